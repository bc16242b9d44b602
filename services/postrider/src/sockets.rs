//! Listening sockets that are bound before the relay is put together. Whoever chooses a free port
//! keeps it bound and hands it over: one that is only looked at may be somebody else's a moment later.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait to be accepted: as many as tokio takes.
const BACKLOG: u32 = 1_024;

/// Sockets by the address that a configuration names. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sockets(Arc<Mutex<Vec<TcpListener>>>);

impl Sockets {
    /// Keeps this one until it is taken; gives its address.
    pub(crate) fn hold(&self, socket: TcpListener) -> io::Result<SocketAddr> {
        let address = socket.local_addr()?;
        self.all().push(socket);
        Ok(address)
    }

    /// The one that is bound to this address, once.
    pub(crate) fn take(&self, address: SocketAddr) -> Option<TcpListener> {
        let mut all = self.all();
        let is_there = |held: &TcpListener| held.local_addr().is_ok_and(|bound| bound == address);
        let at = all.iter().position(is_there)?;
        Some(all.swap_remove(at))
    }

    fn all(&self) -> MutexGuard<'_, Vec<TcpListener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that listens there; connections wait in it from now on. Needs tokio's runtime.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Connections of the last run that are in TIME-WAIT are in nobody's way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_nobody_elses_until_it_was_taken_and_is_taken_once() {
        let sockets = Sockets::default();
        let socket = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = sockets.hold(socket).unwrap();
        assert!(bind(address).is_err());
        assert!(
            sockets
                .take(([127, 0, 0, 2], address.port()).into())
                .is_none()
        );
        let taken = sockets.clone().take(address).unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
        assert!(sockets.take(address).is_none());
    }
}
