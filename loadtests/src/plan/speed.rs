//! What a message costs and how many pass, in the sizes that mail has, next to one signature on the
//! same machine in the same minute, and to Postfix with `OpenDKIM` on the same work.

mod submission;

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::{PATIENCE, Stage};
use crate::database::Kind;
use crate::ledger::{Entry, Ledger, answer_spread, arrival_spread, start_spread};
use crate::machine;
use crate::meter::{Syncs, Used};
use crate::peer::{Peer, unpacked};
use crate::relay::{Relay, Role};
use crate::report::{Figures, Found, Report, Verdict, say};
use crate::scenario::{Mail, Scenario, unlimited};
use crate::sink::Sink;
use crate::source::{Load, Told, Way, send};
use crate::stock::Tenant;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Speed {
    tenants: u32,
    /// Connections that hand mail over.
    clients: usize,
    sizes: Vec<Size>,
    /// One message at a time, so many, so many per second.
    idle: u64,
    idle_rate: f64,
}

/// Mail of one size.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    /// As figures are named by it.
    name: String,
    text: usize,
    #[serde(default)]
    file: usize,
    messages: u64,
    /// The peer is slower: as long a time needs fewer.
    peer_messages: u64,
}

/// Who does the work.
enum Server<'a> {
    Relay {
        relay: Relay,
        stage: &'a Stage<'a>,
        tenants: Vec<Arc<Tenant>>,
    },
    Peer {
        peer: Peer,
        sink: Sink,
        ledger: Ledger,
    },
}

/// One turn of a load.
struct Turn {
    told: Told,
    is_whole: bool,
    server: Used,
    database: Used,
    commits: Option<f64>,
    syncs: Option<f64>,
    entries: Vec<Entry>,
}

pub(crate) async fn run(
    speed: &Speed,
    scenario: &Scenario,
    (kind, binary, out): (Kind, &Path, &Path),
) -> anyhow::Result<Found> {
    if kind == Kind::Postfix {
        let packages = match unpacked(&out.join("bench/peer")) {
            Ok(packages) => packages,
            Err(error) => return Ok(skipped(&format!("{error:#}"))),
        };
        let ledger = Ledger::open();
        let sink = Sink::start(scenario.sink, ledger.clone()).await?;
        let peer = Peer::start(&packages, &sink).await?;
        let server = Server::Peer { peer, sink, ledger };
        return speed.measure(&server).await;
    }
    let stage = Stage::set(scenario, kind, binary).await?;
    let (stock, store) = stage.base.stock().await?;
    let tenants = stock.tenants(speed.tenants, unlimited()).await?;
    store.close().await;
    let mut relay = stage
        .base
        .relay("one", Role::All, &stage.sink, &scenario.delivery)?;
    relay.start()?;
    relay.listens().await?;
    let server = Server::Relay {
        relay,
        stage: &stage,
        tenants,
    };
    let mut found = speed.measure(&server).await?;
    if let Server::Relay {
        mut relay, tenants, ..
    } = server
    {
        let promises = stage.promises(&tenants, &relay).await?;
        found.verdicts.extend(promises);
        relay.stop().await?;
    }
    Ok(found)
}

fn skipped(why: &str) -> Found {
    let verdict = Verdict::figure("Postfix and OpenDKIM can run here", false, why.to_owned());
    Found {
        figures: Figures::default(),
        verdicts: vec![verdict],
    }
}

impl Speed {
    async fn measure(&self, server: &Server<'_>) -> anyhow::Result<Found> {
        let mut figures = Figures::default();
        let cores = std::thread::available_parallelism()?.get();
        figures.set("signature CPU µs", machine::signature(1)?);
        figures.set(
            "signature CPU µs, all cores busy",
            machine::signature(cores)?,
        );
        let mut phase = 0;
        let mut is_whole = true;
        for size in &self.sizes {
            let messages = size.messages(server);
            // The first tenth fills caches and connections, here and there.
            for (messages, counts) in [(messages / 10, false), (messages, true)] {
                let mail = size.mail(self.clients, 0.0);
                let turn = server.pass(mail, phase, messages).await?;
                phase += 1;
                is_whole &= turn.is_whole;
                if counts {
                    turn.note(&mut figures, &size.name);
                    let rate = figures.get(&format!("{}: delivered per second", size.name));
                    say(&format!("  {}: {rate:.0}/s, {:?}", size.name, turn.told));
                }
            }
        }
        if let Some(size) = self.sizes.first() {
            let turn = server
                .pass(size.mail(1, self.idle_rate), phase, self.idle)
                .await?;
            is_whole &= turn.is_whole;
            turn.note_spreads(&mut figures, "idle");
        }
        #[expect(clippy::cast_precision_loss, reason = "kB")]
        figures.set("RSS peak MB", server.used().0.rss_peak_kb as f64 / 1_024.0);
        let mut verdicts = Vec::new();
        if let Server::Relay { .. } = server {
            self.note_signatures(&mut figures);
            let came = self.by_smtp(server, phase + 1, &mut figures, &mut verdicts);
            is_whole &= came.await?;
        }
        let ledger = server.ledger();
        let (unsigned, count) = (ledger.unsigned(), ledger.count(|_| true));
        verdicts.extend([
            Verdict::promise(
                "all that was taken arrived",
                is_whole && count.missing == 0,
                format!("{} of {} are missing", count.missing, count.acknowledged),
            ),
            Verdict::promise(
                "all that arrived is signed",
                unsigned == 0,
                format!("{unsigned} of {} are not", count.arrived),
            ),
        ]);
        Ok(Found { figures, verdicts })
    }

    fn note_signatures(&self, figures: &mut Figures) {
        for size in &self.sizes {
            let cpu = figures.get(&format!("{}: CPU µs/message", size.name));
            for signature in ["signature CPU µs", "signature CPU µs, all cores busy"] {
                let ratio = cpu / figures.get(signature);
                let of = signature.replace("signature CPU µs", "signatures");
                figures.set(format!("{}: CPU in {of}", size.name), ratio);
            }
        }
    }

    /// The relay's figures over the peer's.
    pub(crate) fn compare(&self, report: &mut Report) {
        let Some(peer) = report.databases.get(Kind::Postfix.as_str()) else {
            return;
        };
        let theirs = peer.medians.clone();
        for (name, of) in &mut report.databases {
            if *name == Kind::Postfix.as_str() {
                continue;
            }
            for size in &self.sizes {
                let figure = |what: &str| format!("{}: {what}", size.name);
                let (cpu, rate) = (figure("CPU µs/message"), figure("delivered per second"));
                let cheaper = theirs.get(&cpu) / of.medians.get(&cpu);
                let faster = of.medians.get(&rate) / theirs.get(&rate);
                of.medians.set(figure("CPU of the peer over ours"), cheaper);
                of.medians.set(figure("rate over the peer's"), faster);
                of.verdicts.push(Verdict::figure(
                    &format!(
                        "{}: a quarter of Postfix's and OpenDKIM's CPU at most",
                        size.name
                    ),
                    cheaper >= 4.0,
                    format!("{cheaper:.2} times cheaper, {faster:.2} times as fast"),
                ));
            }
            if let Some(size) = self.sizes.first() {
                let signatures = of.medians.get(&format!("{}: CPU in signatures", size.name));
                of.verdicts.push(Verdict::figure(
                    &format!("{}: the CPU of two signatures at most", size.name),
                    signatures <= 2.0,
                    format!("{signatures:.2} signatures"),
                ));
            }
        }
    }
}

impl Size {
    fn messages(&self, server: &Server<'_>) -> u64 {
        match server {
            Server::Relay { .. } => self.messages,
            Server::Peer { .. } => self.peer_messages,
        }
    }

    fn mail(&self, clients: usize, rate: f64) -> Mail {
        Mail {
            size: self.text,
            attachment: self.file,
            clients,
            rate,
            ..Mail::default()
        }
    }
}

impl Server<'_> {
    async fn pass(&self, mail: Mail, phase: u16, messages: u64) -> anyhow::Result<Turn> {
        self.pass_by(None, mail, phase, messages).await
    }

    // By this way, or by the one that the server is first of all for.
    async fn pass_by(
        &self,
        way: Option<Way>,
        mail: Mail,
        phase: u16,
        messages: u64,
    ) -> anyhow::Result<Turn> {
        let (load, door) = match self {
            Self::Relay {
                relay,
                stage,
                tenants,
            } if way == Some(Way::Submission) => {
                let load = stage.load(mail, tenants, phase, messages);
                let way = Way::Submission;
                (Load { way, ..load }, relay.smtp)
            }
            Self::Relay {
                relay,
                stage,
                tenants,
            } => (stage.load(mail, tenants, phase, messages), relay.door),
            Self::Peer { peer, sink, .. } => {
                (peer_load(mail, sink.sites, phase, messages), peer.door)
            }
        };
        let ledger = self.ledger();
        let commits = self.commits().await?;
        let syncs = Syncs::count(&self.roots());
        let used = self.used();
        let (told, _) = send(load, &[door], ledger).done().await;
        let is_whole = ledger.drained(phase, PATIENCE).await;
        let now = self.used();
        let syncs = syncs.and_then(Syncs::done);
        let commits = self.commits().await?.zip(commits);
        Ok(Turn {
            told,
            is_whole,
            server: now.0.since(used.0),
            database: now.1.since(used.1),
            commits: commits.map(|(now, before)| now - before),
            syncs,
            entries: ledger.entries(|entry| entry.phase == phase),
        })
    }

    fn ledger(&self) -> &Ledger {
        match self {
            Self::Relay { stage, .. } => &stage.ledger,
            Self::Peer { ledger, .. } => ledger,
        }
    }

    /// Its own processes, and its database's.
    fn used(&self) -> (Used, Used) {
        match self {
            Self::Relay { relay, stage, .. } => (relay.used(), stage.base.database.used()),
            Self::Peer { peer, .. } => (peer.used(), Used::default()),
        }
    }

    fn roots(&self) -> Vec<u32> {
        match self {
            Self::Relay { relay, stage, .. } => relay
                .pid()
                .into_iter()
                .chain(stage.base.database.pid())
                .collect(),
            Self::Peer { peer, .. } => peer.roots(),
        }
    }

    async fn commits(&self) -> anyhow::Result<Option<f64>> {
        Ok(match self {
            Self::Relay { relay, .. } => Some(relay.counters().await?.commits()),
            Self::Peer { .. } => None,
        })
    }
}

fn peer_load(mail: Mail, sites: u8, phase: u16, messages: u64) -> Load {
    Load {
        tenants: Vec::new(),
        phase,
        stream: mail.stream(),
        size: mail.size,
        attachment: mail.attachment,
        way: Way::Smtp,
        sites,
        clients: mail.clients,
        rate: mail.rate(),
        most: messages,
        keys: false,
    }
}

impl Turn {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts and microseconds of one run"
    )]
    fn note(&self, figures: &mut Figures, name: &str) {
        let messages = self.told.accepted.max(1) as f64;
        let mut set = |what: &str, value: f64| figures.set(format!("{name}: {what}"), value);
        let began = self.entries.iter().map(|entry| entry.posted).min();
        let rate = |moment: fn(&Entry) -> u64| {
            let last = self.entries.iter().map(moment).max().unwrap_or(0);
            messages * 1e6 / last.saturating_sub(began.unwrap_or(0)).max(1) as f64
        };
        set("messages", messages);
        set(
            "not taken at once",
            (self.told.put_off + self.told.refused + self.told.unanswered) as f64,
        );
        set("accepted per second", rate(|entry| entry.acknowledged));
        set("delivered per second", rate(|entry| entry.arrived));
        let (server, database) = (
            self.server.cpu_micros as f64,
            self.database.cpu_micros as f64,
        );
        set("CPU µs/message", server / messages);
        set("database CPU µs/message", database / messages);
        let written = self.server.written_bytes + self.database.written_bytes;
        set("bytes written/message", written as f64 / messages);
        if let Some(commits) = self.commits {
            set("commits/message", commits / messages);
        }
        if let Some(syncs) = self.syncs {
            set("fsyncs/message", syncs / messages);
        }
        self.note_spreads(figures, name);
    }

    fn note_spreads(&self, figures: &mut Figures, name: &str) {
        for (what, spread) in [
            ("acknowledged", answer_spread(&self.entries)),
            ("acknowledged to RCPT", start_spread(&self.entries)),
            ("delivered", arrival_spread(&self.entries)),
        ] {
            figures.set(format!("{name}: {what} ms p50"), spread.p50);
            figures.set(format!("{name}: {what} ms p99"), spread.p99);
        }
    }
}
