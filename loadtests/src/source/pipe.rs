//! A connection to a relay, in the clear or under TLS.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::relay::HOST;

pub(super) trait Pipe: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Pipe for T {}

/// Whether a connection is encrypted from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Clear,
    /// To whatever certificate it shows.
    Tls,
}

pub(super) async fn open(door: SocketAddr, layer: Layer) -> io::Result<Box<dyn Pipe>> {
    let tcp = TcpStream::connect(door).await?;
    tcp.set_nodelay(true)?;
    Ok(match layer {
        Layer::Clear => Box::new(tcp),
        Layer::Tls => {
            let any = postrider_tls::opportunistic();
            Box::new(postrider_tls::connect(&any, HOST, tcp).await?)
        }
    })
}
