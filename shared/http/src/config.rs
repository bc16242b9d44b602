//! The server's limits.

use std::time::Duration;

use crate::Instruments;

/// What a server allows its clients; the defaults are for the open internet.
#[derive(Clone, Debug)]
pub struct Config {
    /// From the connection's start (or the end of the last answer) until a request's header is
    /// complete. So it is also how long an idle HTTP/1.1 connection is kept.
    pub header_timeout: Duration,
    /// How long a body may take, and the one second more it earns for each
    /// `body_bytes_per_second` that have come.
    pub body_timeout: Duration,
    /// The slowest upload that is waited for.
    pub body_bytes_per_second: u64,
    /// How long a client may take nothing of an answer that is being written.
    pub write_timeout: Duration,
    /// The whole TLS handshake.
    pub handshake_timeout: Duration,
    /// How long an HTTP/2 connection is kept without a request on it.
    pub idle: Duration,
    /// Open connections of one listener. For one more, that which waits longest for its client
    /// is closed; where all are being answered, it waits in the kernel's queue.
    pub max_connections: usize,
    /// Those from one address (of IPv6: from one /64). For one more, that of them which waits
    /// longest for its client is closed.
    pub max_connections_of_one: usize,
    /// Request line and header fields together, in bytes.
    pub max_headers_bytes: u32,
    /// Requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// Of a refused body, how much is read and thrown away before the answer, in bytes: a client
    /// that writes before it reads would see a reset instead of the answer.
    pub discard_bytes: u64,
    /// And for how long.
    pub discard_timeout: Duration,
    /// Where the errors are explained: `https://docs.example/errors`; `#` and the error's name are
    /// added. Left out of answers where there is none.
    pub documentation: Option<String>,
    /// Where connections are counted; nowhere where there is none.
    pub instruments: Option<Instruments>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            body_bytes_per_second: 16 * 1024,
            write_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            max_connections: 4_096,
            max_connections_of_one: 1_024,
            max_headers_bytes: 16 * 1024,
            max_streams: 64,
            discard_bytes: 64 * 1024 * 1024,
            discard_timeout: Duration::from_secs(10),
            documentation: None,
            instruments: None,
        }
    }
}
