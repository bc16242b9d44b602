//! The sandbox's fake internet: started in the folder, given the relay's DNS records, shown.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use postrider_fakenet::{FakeInternet, LeafKey, Options, mailbox_door};
use postrider_runtime::{Clock, Shutdown};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::ports;
use super::state::State;
use crate::folder;

const PREFIX: &str = "/dev/mailbox";
/// How often the relay's records are looked at.
const RECORDS_EVERY: Duration = Duration::from_millis(250);
/// How long the fake exchangers greylist, and how long with `--fast`.
pub(super) const GREYLIST: Duration = Duration::from_mins(1);
pub(super) const GREYLIST_FAST: Duration = Duration::from_secs(1);

/// A running fake internet with its mailbox page.
pub(super) struct Internet {
    net: Arc<FakeInternet>,
    mailbox: SocketAddr,
    ca_path: PathBuf,
    tasks: JoinSet<()>,
}

#[derive(Deserialize)]
struct Record {
    name: String,
    value: String,
}

impl Internet {
    pub(super) async fn start(
        data: &Path,
        state: &mut State,
        greylist: Duration,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let dir = data.join("fakenet");
        folder::create(&dir)?;
        let options = Options {
            dir: Some(dir),
            host: state.host,
            greylist,
            clock: Clock::system(),
            ..Options::default()
        };
        let net = FakeInternet::start(options)
            .await
            .context("the fake internet does not start")?;
        let net = Arc::new(net);
        let ca_path = data.join("ca.pem");
        folder::write_atomically(&ca_path, net.ca_pem().as_bytes())?;
        let listener = ports::kept_or_any(&mut state.mailbox_port, state.host.into())
            .context("the mailbox page")?;
        let mailbox = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        let door = Arc::new(mailbox_door(&net, PREFIX));
        let limits = postrider_http::Config::default();
        tasks.spawn(postrider_http::serve(
            listener,
            None,
            door,
            limits,
            shutdown.clone(),
        ));
        let records = data.join("dkim-records.json");
        tasks.spawn(keep_publishing(records, Arc::clone(&net), shutdown.clone()));
        Ok(Self {
            net,
            mailbox,
            ca_path,
            tasks,
        })
    }

    /// Publishes the relay's records now, so that the first message finds them.
    pub(super) fn publish(&self, records: &Path) -> anyhow::Result<()> {
        publish(&self.net, &std::fs::read(records)?).context("the relay's DNS records")
    }

    pub(super) fn dns(&self) -> SocketAddr {
        self.net.dns_addr()
    }

    pub(super) fn smtp_port(&self) -> u16 {
        self.net.smtp_port()
    }

    pub(super) fn mailbox_url(&self) -> String {
        format!("http://{}{PREFIX}", self.mailbox)
    }

    pub(super) fn ca_path(&self) -> &Path {
        &self.ca_path
    }

    /// Writes a certificate by the sandbox's CA for a host name, and its key; gives their paths.
    pub(super) fn write_certificate(
        &self,
        data: &Path,
        name: &str,
    ) -> anyhow::Result<(String, String)> {
        let issued = self.net.certificate(name)?;
        let (certificate, key) = ("https.pem".to_owned(), "https-key.pem".to_owned());
        folder::write_atomically(&data.join(&certificate), issued.certificate_pem.as_bytes())?;
        folder::write_atomically(&data.join(&key), issued.key_pem.as_bytes())?;
        Ok((certificate, key))
    }

    /// Writes the submission door's certificates for these names unless they are there already:
    /// programs may have been told to trust them. Gives certificate and key of each.
    pub(super) fn ensure_smtp_certificates(
        &self,
        data: &Path,
        names: &[&str],
    ) -> anyhow::Result<Vec<(String, String)>> {
        let stem = names.first().copied().unwrap_or("smtp");
        let kinds = [(LeafKey::Ecdsa, "ecdsa"), (LeafKey::Rsa, "rsa")];
        let mut pairs = Vec::new();
        for (kind, word) in kinds {
            let certificate = format!("smtp-{stem}-{word}.pem");
            let key = format!("smtp-{stem}-{word}-key.pem");
            if !(data.join(&certificate).exists() && data.join(&key).exists()) {
                let issued = self.net.certificate_for(names, kind)?;
                folder::write_atomically(&data.join(&key), issued.key_pem.as_bytes())?;
                let chain = issued.certificate_pem.as_bytes();
                folder::write_atomically(&data.join(&certificate), chain)?;
            }
            pairs.push((certificate, key));
        }
        Ok(pairs)
    }

    /// Returns when nothing of it runs any more. The shutdown must have begun.
    pub(super) async fn stop(mut self) {
        while self.tasks.join_next().await.is_some() {}
        self.net.shutdown().await;
    }
}

impl Internet {
    /// The id of the newest message in the mailbox; 0 where there is none.
    pub(super) fn newest(&self) -> u64 {
        self.net
            .mailbox()
            .messages()
            .last()
            .map_or(0, |message| message.id)
    }

    /// The first message to `recipient` that came after the one of this id, with its signatures
    /// checked.
    pub(super) async fn arrived_after(&self, id: u64, recipient: &str) -> Option<Arrived> {
        let mailbox = self.net.mailbox();
        let message = mailbox
            .messages()
            .into_iter()
            .find(|message| message.id > id && message.rcpt_to.iter().any(|to| to == recipient))?;
        let dkim = mailbox.entry(message.id).await?.dkim;
        let field = |name| postrider_message::header_value(&message.raw, name).unwrap_or_default();
        Some(Arrived {
            from: field("From"),
            reply_to: field("Reply-To"),
            subject: field("Subject"),
            tls: message.tls,
            dkim,
        })
    }
}

/// What is worth seeing of a message that arrived.
pub(super) struct Arrived {
    from: String,
    reply_to: String,
    subject: String,
    tls: Option<String>,
    dkim: Vec<&'static str>,
}

impl Arrived {
    pub(super) fn shown(&self) -> String {
        format!(
            "Arrived\n  From      {}\n  Reply-To  {}\n  Subject   {}\n  DKIM      {}\n  TLS       {}",
            self.from,
            self.reply_to,
            self.subject,
            if self.dkim.is_empty() {
                "none".to_owned()
            } else {
                self.dkim.join(", ")
            },
            self.tls.as_deref().unwrap_or("none"),
        )
    }

    /// `Ok` where it came over TLS and every signature on it verifies.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.dkim.is_empty() || self.dkim.iter().any(|verdict| *verdict != "pass") {
            bail!("DKIM did not verify: {:?}", self.dkim);
        }
        if self.tls.is_none() {
            bail!("it came without TLS");
        }
        Ok(())
    }
}

/// Keeps the fake DNS saying what the relay asks its operator to publish.
async fn keep_publishing(path: PathBuf, net: Arc<FakeInternet>, shutdown: Shutdown) {
    let mut published = Vec::new();
    let mut every = tokio::time::interval(RECORDS_EVERY);
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            _ = every.tick() => {}
        }
        // Not there before the relay's first start.
        let Ok(text) = tokio::fs::read(&path).await else {
            continue;
        };
        if text != published {
            if let Err(fault) = publish(&net, &text) {
                tracing::warn!(%fault, path = %path.display(), "the records do not parse");
            }
            published = text;
        }
    }
}

fn publish(net: &FakeInternet, records: &[u8]) -> Result<(), serde_json::Error> {
    for record in serde_json::from_slice::<Vec<Record>>(records)? {
        net.set_txt(&record.name, vec![record.value]);
    }
    Ok(())
}
