//! The addresses of `acme.listen`: opened at the start, or later, when whoever has them is gone. Mail
//! waits for none of them.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use postrider_model::Timestamp;
use postrider_runtime::Shutdown;
use postrider_telemetry::Gauge;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::door::ChallengeDoor;
use super::files::{on_disk, text_of};
use crate::config::Config;
use crate::folder;
use crate::sockets::{Sockets, bind};

/// How soon one that is shut is tried again.
const TRY_EVERY: Duration = Duration::from_secs(10);
/// An authority looks from a few places at once; the rest are browsers on their way to HTTPS.
const CONNECTIONS_MOST: usize = 256;
const CONNECTIONS_OF_ONE: usize = 32;
/// Nobody has a body to send here.
const DISCARD: u64 = 64 * 1024;

/// An address at which this process cannot listen, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shut {
    pub(crate) address: SocketAddr,
    /// When it was tried first. A process that was killed leaves what it noted.
    pub(crate) since: Timestamp,
    pub(crate) said: String,
    pub(crate) remedy: String,
}

impl Shut {
    /// Where a running relay notes them for the doctor.
    pub(crate) fn path(config: &Config) -> PathBuf {
        config.acme_folder().join("shut.json")
    }

    /// Those of the relay that runs, or did; none where there is no such file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Self>> {
        let Some(text) = text_of(path)? else {
            return Ok(Vec::new());
        };
        let read = serde_json::from_slice(&text);
        read.with_context(|| format!("{} is damaged: remove it", path.display()))
    }

    fn of(address: SocketAddr, since: Timestamp, fault: &io::Error) -> Self {
        Self {
            address,
            since,
            said: fault.to_string(),
            remedy: remedy(fault.kind()).to_owned(),
        }
    }
}

fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AddrInUse => {
            "end the program that listens there, or have it pass on /.well-known/acme-challenge/ to another address, and name that one in acme.listen; [::] takes IPv4 as well, and is named alone"
        }
        ErrorKind::PermissionDenied => {
            "let this process bind ports below 1024 (AmbientCapabilities=CAP_NET_BIND_SERVICE in its systemd unit), or forward port 80 to a higher port, and name that one in acme.listen"
        }
        _ => "name an address of this machine in acme.listen",
    }
}

/// The door of an authority's questions, at all of its addresses.
pub(crate) struct Port80 {
    door: Arc<ChallengeDoor>,
    opened: Vec<TcpListener>,
    shut: watch::Sender<Vec<Shut>>,
    /// `Shut::path`.
    note: PathBuf,
    gauge: Gauge,
}

impl Port80 {
    /// Tries each address once: those that open accept when it returns.
    pub(crate) fn open(
        config: &Config,
        sockets: &Sockets,
        door: ChallengeDoor,
        gauge: Gauge,
        now: Timestamp,
    ) -> Self {
        let (mut opened, mut shut) = (Vec::new(), Vec::new());
        for address in &config.acme.listen {
            match sockets.take(*address).map_or_else(|| bind(*address), Ok) {
                Ok(listener) => opened.push(listener),
                Err(fault) => shut.push(told(*address, now, &fault)),
            }
        }
        Self {
            door: Arc::new(door),
            opened,
            shut: watch::Sender::new(shut),
            note: Shut::path(config),
            gauge,
        }
    }

    /// Where it listens already.
    pub(crate) fn opened(&self) -> io::Result<Vec<SocketAddr>> {
        self.opened.iter().map(TcpListener::local_addr).collect()
    }

    /// Those that are shut, now and later.
    pub(crate) fn shut(&self) -> watch::Receiver<Vec<Shut>> {
        self.shut.subscribe()
    }

    /// Answers, and tries again what is shut, until shutdown begins.
    pub(crate) async fn answer(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut serving = JoinSet::new();
        self.note().await;
        loop {
            for listener in self.opened.drain(..) {
                let (door, shutdown) = (Arc::clone(&self.door), shutdown.clone());
                serving.spawn(postrider_http::serve(
                    listener,
                    None,
                    door,
                    limits(),
                    shutdown,
                ));
            }
            tokio::select! {
                biased;
                () = shutdown.begun() => break,
                Some(ended) = serving.join_next() => {
                    ended.context("acme.listen")?;
                    bail!("the door of acme.listen ended by itself");
                }
                () = tokio::time::sleep(TRY_EVERY), if !self.shut.borrow().is_empty() => {}
            }
            if self.try_again() {
                self.note().await;
            }
        }
        while serving.join_next().await.is_some() {}
        // What is written there is said of a relay that runs.
        self.shut.send_replace(Vec::new());
        self.note().await;
        Ok(())
    }

    /// Whether another address is open now, or is shut for another reason.
    fn try_again(&mut self) -> bool {
        let before = self.shut.borrow().clone();
        let mut still = Vec::new();
        for shut in &before {
            match bind(shut.address) {
                Ok(listener) => {
                    tracing::info!(address = %shut.address, "acme.listen: open now, an authority is answered there");
                    self.opened.push(listener);
                }
                Err(fault) if fault.to_string() == shut.said => still.push(shut.clone()),
                Err(fault) => still.push(told(shut.address, shut.since, &fault)),
            }
        }
        let is_news = still != before;
        self.shut.send_replace(still);
        is_news
    }

    async fn note(&self) {
        let shut = self.shut.borrow().clone();
        self.gauge.count(shut.len());
        let path = self.note.clone();
        if let Err(fault) = on_disk(move || noted(&path, &shut)).await {
            tracing::warn!(
                error = &*fault as &dyn std::error::Error,
                "acme.listen: `postrider doctor` does not see which addresses are shut"
            );
        }
    }
}

fn noted(path: &Path, shut: &[Shut]) -> anyhow::Result<()> {
    if !shut.is_empty() {
        return folder::write_atomically(path, &serde_json::to_vec_pretty(shut)?);
    }
    // A folder that nobody may write in is no trouble where there is nothing to write.
    if !path.try_exists()? {
        return Ok(());
    }
    let removed = std::fs::remove_file(path);
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

fn told(address: SocketAddr, since: Timestamp, fault: &io::Error) -> Shut {
    let shut = Shut::of(address, since, fault);
    tracing::warn!(
        %address,
        remedy = shut.remedy,
        error = fault as &dyn std::error::Error,
        "acme.listen: cannot listen there; it is tried again, and no certificate is asked for meanwhile"
    );
    shut
}

fn limits() -> postrider_http::Config {
    postrider_http::Config {
        max_connections: CONNECTIONS_MOST,
        max_connections_of_one: CONNECTIONS_OF_ONE,
        discard_bytes: DISCARD,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_an_address_is_shut_is_told_with_what_to_do_and_kept_while_it_is() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("shut.json");
        let address = "[::]:80".parse().unwrap();
        let since = Timestamp::parse("2026-01-31T08:00:00Z").unwrap();
        for (kind, does) in [
            (ErrorKind::AddrInUse, "end the program"),
            (ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE"),
            (ErrorKind::AddrNotAvailable, "an address of this machine"),
        ] {
            let shut = vec![Shut::of(address, since, &kind.into())];
            assert!(shut[0].remedy.contains(does), "{shut:?}");
            assert!(shut[0].remedy.contains("acme.listen"), "{shut:?}");
            noted(&path, &shut).unwrap();
            assert_eq!(Shut::read(&path).unwrap(), shut);
        }
        for _ in 0..2 {
            noted(&path, &[]).unwrap();
            assert_eq!(Shut::read(&path).unwrap(), []);
        }
    }
}
