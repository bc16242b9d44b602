//! Where a sandbox listens: where it was told to, where it did last time, or where it is free. Each
//! address is bound as it is chosen.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, bail};
use postrider_runtime::Rng;
use tokio::net::TcpListener;

use crate::sockets::bind;

const TRIES: u32 = 100;

/// The kept port of this host if it is free, else any free one, which is kept from here on.
pub(super) fn kept_or_any(kept: &mut Option<u16>, host: IpAddr) -> anyhow::Result<TcpListener> {
    let last = kept.and_then(|port| bind(SocketAddr::new(host, port)).ok());
    let socket = match last {
        Some(socket) => socket,
        None => any(host)?,
    };
    *kept = Some(socket.local_addr()?.port());
    Ok(socket)
}

/// What was asked for by `option`: it is free or the start fails. Port 0 chooses one.
pub(super) fn asked(option: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    if address.port() == 0 {
        return any(address.ip());
    }
    bind(address).with_context(|| format!("{option}: cannot listen on {address}"))
}

/// `port`, or the next one above it that is free; `option` is how to name one.
pub(super) fn next_free(option: &str, host: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    let last = port.saturating_add(99);
    let found = (port..=last).find_map(|port| bind(SocketAddr::new(host, port)).ok());
    match found {
        Some(socket) => Ok(socket),
        None => bail!("no port from {port} to {last} is free: name one with {option}"),
    }
}

fn any(host: IpAddr) -> anyhow::Result<TcpListener> {
    let rng = Rng::system();
    let found = (0..TRIES).find_map(|_| bind(SocketAddr::new(host, rng.port())).ok());
    found.with_context(|| format!("no port of {host} is free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn what_was_chosen_is_held_and_found_again() {
        let mut kept = None;
        let first = kept_or_any(&mut kept, HOST).unwrap();
        let address = first.local_addr().unwrap();
        assert_eq!(kept, Some(address.port()));
        // Two sandboxes that start at the same moment do not choose the same.
        let mut same = kept;
        let second = kept_or_any(&mut same, HOST).unwrap();
        assert_ne!(same, kept);
        drop(first);
        let again = kept_or_any(&mut kept, HOST).unwrap();
        assert_eq!(again.local_addr().unwrap(), address);
        let refused = asked("--http", second.local_addr().unwrap()).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("--http: cannot listen on 127.0.0.1:")
        );
    }
}
