//! What was negotiated, in the words that logs and events show.

use rustls::{CommonState, ProtocolVersion};

use crate::{ClientStream, ServerStream, ServerStreamOver};

/// How a connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `TLSv1.3`, `TLSv1.2`.
    pub version: String,
    /// The suite's name in IANA's registry: `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
}

/// What was negotiated with a client.
pub fn server_facts<S>(stream: &ServerStreamOver<S>) -> Facts {
    facts(stream.get_ref().1)
}

/// What was negotiated with a server.
pub fn client_facts(stream: &ClientStream) -> Facts {
    facts(stream.get_ref().1)
}

/// The protocol that ALPN chose; `None` where the client offered none.
pub fn server_protocol(stream: &ServerStream) -> Option<&[u8]> {
    stream.get_ref().1.alpn_protocol()
}

fn facts(state: &CommonState) -> Facts {
    let version = match state.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLS",
    };
    let cipher = state.negotiated_cipher_suite().map(|suite| suite.suite());
    let cipher = cipher.and_then(|suite| suite.as_str()).unwrap_or("unknown");
    // rustls writes TLS13_AES_…, the registry TLS_AES_… (RFC 8446 §B.4).
    let cipher = match cipher.strip_prefix("TLS13_") {
        Some(suite) => format!("TLS_{suite}"),
        None => cipher.to_owned(),
    };
    Facts {
        version: version.to_owned(),
        cipher,
    }
}
