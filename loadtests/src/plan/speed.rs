//! What a message costs and how many pass, in the sizes that mail has, next to one signature on the
//! same machine in the same minute, and to Postfix with `OpenDKIM` on the same work.

mod doors;
mod turn;

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::{PATIENCE, Stage};
use crate::database::Kind;
use crate::ledger::Ledger;
use crate::machine;
use crate::meter::{Syncs, Used};
use crate::peer::{Peer, unpacked};
use crate::relay::{Relay, Role};
use crate::report::{Figures, Found, Report, Verdict, say};
use crate::scenario::{Mail, Scenario, unlimited};
use crate::sink::Sink;
use crate::source::{Load, Way, send};
use crate::stock::Tenant;
use turn::Turn;

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
    let mut server = Server::Relay {
        relay,
        stage: &stage,
        tenants,
    };
    let mut found = speed.measure(&server).await?;
    if let Server::Relay { relay, tenants, .. } = &server {
        let promises = stage.promises(tenants, relay).await?;
        found.verdicts.extend(promises);
    }
    server.restart_under_tls().await?;
    speed.by_https(&server, &mut found).await?;
    if let Server::Relay { mut relay, .. } = server {
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

/// What a run has found so far.
#[derive(Default)]
struct Course {
    phase: u16,
    /// Something that was taken did not arrive.
    lacks: bool,
    figures: Figures,
    verdicts: Vec<Verdict>,
}

impl Course {
    /// Mail of one size as fast as it is answered, noted under this name.
    async fn straight(
        &mut self,
        speed: &Speed,
        server: &Server<'_>,
        (way, size, name): (Option<Way>, &Size, &str),
    ) -> anyhow::Result<()> {
        let messages = size.messages(server);
        // The first tenth fills caches and connections, here and there.
        for (messages, counts) in [(messages / 10, false), (messages, true)] {
            let mail = size.mail(speed.clients, 0.0);
            let turn = server.pass_by(way, mail, self.phase, messages).await?;
            self.phase += 1;
            self.lacks |= !turn.is_whole;
            if counts {
                turn.note(&mut self.figures, name);
                let rate = self.figures.get(&format!("{name}: delivered per second"));
                say(&format!("  {name}: {rate:.0}/s, {:?}", turn.told));
            }
        }
        Ok(())
    }

    /// Mail of the first size one at a time: as programs send, and as they wait for the answer.
    async fn one_by_one(
        &mut self,
        speed: &Speed,
        server: &Server<'_>,
        (way, name): (Option<Way>, &str),
    ) -> anyhow::Result<()> {
        let Some(size) = speed.sizes.first() else {
            return Ok(());
        };
        let mail = size.mail(1, speed.idle_rate);
        let turn = server.pass_by(way, mail, self.phase, speed.idle).await?;
        self.phase += 1;
        self.lacks |= !turn.is_whole;
        turn.note_spreads(&mut self.figures, name);
        Ok(())
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
        let mut course = Course::default();
        for size in &self.sizes {
            let name = size.name.clone();
            course.straight(self, server, (None, size, &name)).await?;
            if let Server::Relay { .. } = server {
                self.by_smtp(server, size, &mut course).await?;
            }
        }
        course.one_by_one(self, server, (None, "idle")).await?;
        if let Server::Relay { .. } = server {
            self.by_smtp_one_by_one(server, &mut course).await?;
        }
        let Course {
            lacks,
            figures: found,
            mut verdicts,
            ..
        } = course;
        figures.merge(&found, "");
        #[expect(clippy::cast_precision_loss, reason = "kB")]
        figures.set("RSS peak MB", server.used().0.rss_peak_kb as f64 / 1_024.0);
        if let Server::Relay { .. } = server {
            self.note_signatures(&mut figures);
        }
        let ledger = server.ledger();
        let (unsigned, count) = (ledger.unsigned(), ledger.count(|_| true));
        verdicts.extend([
            Verdict::promise(
                "all that was taken arrived",
                !lacks && count.missing == 0,
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
        // Who does less than the same work is nothing to compare with.
        if peer.verdicts.iter().any(Verdict::is_broken) {
            return;
        }
        let theirs = peer.medians.clone();
        for (name, of) in &mut report.databases {
            if *name == Kind::Postfix.as_str() {
                continue;
            }
            for size in &self.sizes {
                let figure = |what: &str| format!("{}: {what}", size.name);
                let (cpu, rate) = (figure("CPU µs/message"), figure("delivered per second"));
                let database = of.medians.get(&figure("database CPU µs/message"));
                let cheaper = theirs.get(&cpu) / (of.medians.get(&cpu) + database);
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
    // HTTP is served in the clear or under TLS, not both at once.
    async fn restart_under_tls(&mut self) -> anyhow::Result<()> {
        if let Self::Relay { relay, .. } = self {
            relay.stop().await?;
            relay.put_under_tls()?;
            relay.start()?;
            relay.listens().await?;
        }
        Ok(())
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
            } => {
                let load = stage.load(mail, tenants, phase, messages);
                let way = way.unwrap_or(load.way);
                let door = match way {
                    Way::Submission => relay.smtp,
                    Way::Http | Way::Https | Way::Smtp => relay.door,
                };
                (Load { way, ..load }, door)
            }
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
