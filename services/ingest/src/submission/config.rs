//! The SMTP door's limits.

use std::time::Duration;

/// What the door allows its clients; the defaults are for the open internet.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// The name in the greeting, which the certificate is made for.
    pub host: String,
    /// Bytes of one message, as `SIZE` announces them (RFC 1870).
    pub size_most: u64,
    /// Recipients of one message.
    pub recipients_most: usize,
    /// Open connections of all submission ports together.
    pub connections_most: usize,
    /// Those from one address (of IPv6: from one /64): a site sits behind one.
    pub connections_of_one_most: usize,
    /// The whole TLS handshake.
    pub handshake: Duration,
    /// From the connection to the end of the sign-in.
    pub before_sign_in: Duration,
    /// Between two commands: RFC 5321 §4.5.3.2.7.
    pub idle: Duration,
    /// The whole session; it ends between two messages.
    pub session: Duration,
    /// How long a client may take nothing of a reply.
    pub write: Duration,
    /// The slowest DATA, bytes per second, after the grace.
    pub data_bytes_per_second: u64,
    /// What DATA has before its pace counts.
    pub data_grace: Duration,
    /// What the first wrong password waits for its answer; the second twice, every further one
    /// three times as long.
    pub tarpit: Duration,
    /// Sign-ins that may fail in one session: some programs try each mechanism in turn.
    pub failed_sign_ins_most: u32,
    /// Commands that may fail in one session.
    pub errors_most: u32,
    /// Where the HTTP API is, told to programs that speak HTTP here.
    pub api: Option<String>,
    /// Where a page explains the refusals; `#pr-201` is added. Told where there is one.
    pub documentation: Option<String>,
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            size_most: 41_943_040,
            recipients_most: 1_000,
            connections_most: 4_096,
            connections_of_one_most: 200,
            handshake: Duration::from_secs(30),
            before_sign_in: Duration::from_mins(1),
            idle: Duration::from_mins(5),
            session: Duration::from_mins(30),
            write: Duration::from_secs(30),
            data_bytes_per_second: 500,
            data_grace: Duration::from_secs(30),
            tarpit: Duration::from_secs(1),
            failed_sign_ins_most: 3,
            errors_most: 20,
            api: None,
            documentation: None,
        }
    }
}
