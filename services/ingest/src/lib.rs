//! The front doors: listening, reading, refusing. What comes in goes to the gate and nowhere else.
//!
//! ```text
//! http         the contract, after Resend's:
//!              POST /emails, /emails/raw      a message, as JSON or as it is
//!              POST /emails/batch             up to a hundred, accepted together
//!              GET /emails                    a tenant's messages, a page at a time
//!              GET /emails/{id}, …/events     what became of it, why it waits and for what it waited
//!              GET /emails/{id}/attachments   what was attached to it
//!              PATCH /emails/{id}             gives a scheduled one another time
//!              POST /emails/{id}/cancel       takes it back: 200, and nothing leaves; 422, and it does
//!              GET /usage                     what is used of the quotas, and when they begin anew
//!              GET /domains                   where mail is sent from
//!              GET /sessions/{code}           what a program said over SMTP
//!              /suppressions                  the addresses that mail does not go to
//!              /enroll                        what a vendor's program calls to bring a tenant
//!              GET /openapi.json              all of this, for machines (openapi.json beside src)
//!              /c/…, /u/…, /m/{token}         the pages behind links in mail; GET /refusals
//!              /.well-known/mta-sts.txt       how other servers send mail to us (RFC 8461)
//! submission   SMTP: any port takes any mode of TLS; its own page says how
//! catalogue    every refusal that a person can meet, under an id that stays
//! refusal      the HTTP door's table: each error of ours → what a client is told
//! ```
//!
//! No policy (that is the gate's), no SQL, no delivery.

pub mod catalogue;
mod http;
mod instruments;
mod refusal;
mod submission;
mod suspension;

use std::sync::Arc;

use postrider_gate::{Access, Budget, Enroller, Gate};
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_store::{Mail, Sessions, Suppressions, Upkeep};
use postrider_telemetry::Registry;
use postrider_tls::Acceptor;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use submission::{SmtpConfig, SmtpListener};
pub use suspension::{Suspension, Suspensions};

/// What the doors work with.
#[derive(Clone)]
pub struct Ports {
    pub gate: Arc<Gate>,
    pub access: Arc<Access>,
    pub enroller: Arc<Enroller>,
    /// Room for bodies, shared by all doors of the process.
    pub budget: Budget,
    pub mail: Arc<dyn Mail>,
    pub suspensions: Arc<dyn Suspensions>,
    pub upkeep: Arc<dyn Upkeep>,
    pub sessions: Arc<dyn Sessions>,
    pub suppressions: Arc<dyn Suppressions>,
    pub clock: Clock,
    pub rng: Rng,
    pub metrics: Registry,
}

/// The doors' settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes that the body of one request may have.
    pub request_most: u64,
    /// Recipients of one message by HTTP, after removing doubles.
    pub http_recipients_most: usize,
    /// The MTA-STS policy that `/.well-known/mta-sts.txt` answers with (RFC 8461 §3.2).
    pub mta_sts: Option<String>,
    pub http: postrider_http::Config,
    pub smtp: SmtpConfig,
    pub doors: Doors,
}

/// Where the doors are for clients out there, as an enrolled tenant is told.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    pub smtp_host: String,
    /// In the order to try.
    pub smtp_ports: Vec<u16>,
    /// Without a slash at its end.
    pub http_base: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request_most: 41_943_040,
            http_recipients_most: 50,
            mta_sts: None,
            http: postrider_http::Config::default(),
            smtp: SmtpConfig::default(),
            doors: Doors::default(),
        }
    }
}

/// A socket that is bound already, and whether it speaks TLS.
pub struct Listener {
    pub tcp: TcpListener,
    pub tls: Option<Acceptor>,
}

/// Where the doors are.
#[derive(Default)]
pub struct Listeners {
    pub http: Vec<Listener>,
    pub smtp: Vec<SmtpListener>,
}

/// Opens the doors on these listeners until shutdown begins; returns when their tasks are gone.
pub async fn run(ports: Ports, config: Config, listeners: Listeners, shutdown: Shutdown) {
    let counted = postrider_http::Instruments::new(&ports.metrics);
    let http = postrider_http::Config {
        instruments: Some(counted),
        ..config.http.clone()
    };
    let mut servers = JoinSet::new();
    let smtp = config.smtp.clone();
    let submission = submission::run(ports.clone(), smtp, listeners.smtp, shutdown.clone());
    servers.spawn(submission);
    let door: Arc<dyn postrider_http::Door> =
        Arc::new(http::HttpDoor::new(ports, &config, shutdown.clone()));
    for Listener { tcp, tls } in listeners.http {
        let (door, http, shutdown) = (Arc::clone(&door), http.clone(), shutdown.clone());
        servers.spawn(postrider_http::serve(tcp, tls, door, http, shutdown));
    }
    while let Some(ended) = servers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a listener ended in a panic");
        }
    }
}
