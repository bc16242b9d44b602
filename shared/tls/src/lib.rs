//! TLS for the doors and for delivery: one provider (aws-lc-rs), TLS 1.2 and 1.3, nothing older.
//!
//! The only crate that names rustls. The provider is passed to every configuration, so nothing
//! depends on what another library installs for the process. What a certificate must prove is
//! decided here (`trusting`, `opportunistic`); when TLS is demanded at all is decided elsewhere.

mod acceptor;
mod certificate;
mod connector;
mod facts;
mod fault;
mod pem;
mod renewal;
mod request;
mod self_signed;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use tokio::net::TcpStream;

pub use acceptor::{Acceptor, IdentityFiles};
pub use certificate::Certificate;
pub use connector::{
    Connector, connect, offering, opportunistic, trusting, trusting_nobody, trusting_the_web,
};
pub use facts::{Facts, client_facts, server_facts, server_protocol};
pub use fault::HandshakeFault;
pub use pem::TlsError;
pub use renewal::keep_current;
pub use request::{CertificateRequest, KeyKind, certificate_request};
pub use self_signed::{Issued, self_signed};

/// An accepted TLS connection over TCP.
pub type ServerStream = ServerStreamOver<TcpStream>;

/// An accepted TLS connection over whatever carries it.
pub type ServerStreamOver<S> = tokio_rustls::server::TlsStream<S>;

/// A TLS connection that we opened, over TCP; what `mail-send` makes of STARTTLS, too.
pub type ClientStream = tokio_rustls::client::TlsStream<TcpStream>;

/// RFC 8996 forbids what is older.
const VERSIONS: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
