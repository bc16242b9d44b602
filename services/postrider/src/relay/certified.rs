//! ACME in a running relay: the door on port 80, and the task that has certificates.

use anyhow::Context;
use postrider_acme::{Answers, Authority};
use postrider_tls::{trusting, trusting_the_web};

use super::{Machine, Relay, done};
use crate::acme::{Attempts, ChallengeDoor, Early, Gauges, Keeper, Port80};
use crate::config::Config;
use crate::core::Core;

impl Relay {
    pub(super) fn start_acme(
        &mut self,
        config: &Config,
        core: &Core,
        machine: &Machine,
    ) -> anyhow::Result<()> {
        let gauges = Gauges::new(&core.metrics);
        if !config.acme.is_on() {
            return Ok(());
        }
        let answers = Answers::default();
        let door = ChallengeDoor {
            answers: answers.clone(),
            authority: config.https_authority(),
        };
        let (now, gauge) = (machine.clock.now(), gauges.shut.clone());
        let port = Port80::open(config, &machine.sockets, door, gauge, now);
        self.acme = port.opened().context("acme.listen")?;
        let shut = port.shut();
        self.spawn("port 80", port.answer(self.shutdown.clone()));
        let connector = if config.acme.root.as_os_str().is_empty() {
            trusting_the_web()
        } else {
            let file = config.path(&config.acme.root);
            let pem = std::fs::read(&file);
            let pem = pem.with_context(|| format!("acme.root: cannot read {}", file.display()))?;
            trusting(&pem)
        };
        let keeper = Keeper {
            authority: Authority {
                directory: config.acme.directory.clone(),
                resolver: self.resolver(config, core)?,
                connector: connector.context("acme.root")?,
            },
            contact: config.acme_contact().to_owned(),
            names: config.acme_names(),
            about: config.acme_about(),
            files: config.acme_files(),
            account: config.acme_folder().join("account.json"),
            attempts: Attempts::path(config),
            answers,
            shut,
            early: Early::drawn(&machine.rng),
            clock: machine.clock.clone(),
            rng: machine.rng.clone(),
            gauges,
        };
        let keeping = keeper.keep(self.shutdown.clone());
        self.spawn("acme", done(keeping));
        Ok(())
    }
}
