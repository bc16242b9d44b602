//! The ports of this internet: picked so that nothing else listens there, and kept in a folder so
//! that a restart finds them again. In a network of its own nobody else can take them meanwhile.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use postrider_runtime::Rng;
use serde::{Deserialize, Serialize};
use tokio::net::TcpSocket;

use crate::dns::Sockets;
use crate::network::Network;

/// How often a port is picked anew when something else is in the way.
const TRIES: usize = 50;

const FILE: &str = "fakenet.json";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub(crate) dns: u16,
    pub(crate) smtp: u16,
}

impl Ports {
    /// Those that were used last in this folder; zeros where there are none or none readable.
    pub(crate) fn kept_in(dir: &Path) -> Self {
        let text = std::fs::read(dir.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(crate) fn keep_in(self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)?;
        std::fs::write(dir.join(FILE), serde_json::to_vec(&self)?)
    }
}

/// What a port must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Exactly(u16),
    Rather(u16),
    Any,
}

impl Wish {
    /// `asked` by configuration, else `last` time's; 0 is «not said».
    pub(crate) fn of(asked: u16, last: u16) -> Self {
        match (asked, last) {
            (0, 0) => Self::Any,
            (0, last) => Self::Rather(last),
            (asked, _) => Self::Exactly(asked),
        }
    }

    fn fulfil<T>(self, bind: impl Fn(u16) -> io::Result<T>) -> io::Result<T> {
        let rng = Rng::system();
        let first = match self {
            Self::Exactly(port) => return bind(port),
            Self::Rather(port) => bind(port),
            Self::Any => bind(rng.port()),
        };
        (0..TRIES).fold(first, |bound, _| bound.or_else(|_| bind(rng.port())))
    }
}

/// A port for DNS, the same on UDP and TCP.
pub(crate) fn dns(host: Ipv4Addr, wish: Wish) -> io::Result<Sockets> {
    wish.fulfil(|port| {
        let tcp = TcpListener::bind((host, port))?;
        let udp = UdpSocket::bind((host, tcp.local_addr()?.port()))?;
        Ok(Sockets { udp, tcp })
    })
}

/// A port for all exchangers of this network, and what holds it.
pub(crate) fn smtp(network: Network, wish: Wish) -> io::Result<(u16, TcpListener)> {
    wish.fulfil(|port| {
        // In a network of its own, who listens elsewhere or only looks is in nobody's way.
        let port = if network.is_shared() {
            free_everywhere(port)?
        } else {
            port
        };
        let anchor = TcpListener::bind(SocketAddr::from((network.anchor(), port)))?;
        Ok((anchor.local_addr()?.port(), anchor))
    })
}

// Somebody who listens on all addresses, or on one of ours, is seen by binding to all of them.
// Nothing listens here, so nobody outside can reach it.
fn free_everywhere(port: u16) -> io::Result<u16> {
    let probe = TcpSocket::new_v4()?;
    // Connections of the last run that are in TIME-WAIT are in nobody's way.
    probe.set_reuseaddr(true)?;
    probe.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?;
    Ok(probe.local_addr()?.port())
}
