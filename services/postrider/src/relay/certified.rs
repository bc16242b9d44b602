//! ACME in a running relay: the door on port 80, and the task that has certificates.

use std::sync::Arc;

use anyhow::Context;
use postrider_acme::{Answers, Authority};
use postrider_tls::{trusting, trusting_the_web};

use super::{Machine, Relay, done, listen};
use crate::acme::{Attempts, ChallengeDoor, Gauges, Keeper};
use crate::config::Config;
use crate::core::Core;

/// An authority looks from a few places at once; the rest are browsers on their way to HTTPS.
const CONNECTIONS_MOST: usize = 256;
const CONNECTIONS_OF_ONE: usize = 32;
/// Nobody has a body to send here.
const DISCARD: u64 = 64 * 1024;

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
        self.answer_authorities(config, machine, &answers)?;
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
            clock: machine.clock.clone(),
            rng: machine.rng.clone(),
            gauges,
        };
        let keeping = keeper.keep(self.shutdown.clone());
        self.spawn("acme", done(keeping));
        Ok(())
    }

    fn answer_authorities(
        &mut self,
        config: &Config,
        machine: &Machine,
        answers: &Answers,
    ) -> anyhow::Result<()> {
        for address in &config.acme.listen {
            let listener = listen("acme.listen", *address, machine)?;
            let door = Arc::new(ChallengeDoor {
                answers: answers.clone(),
                authority: config.https_authority(),
            });
            let limits = postrider_http::Config {
                max_connections: CONNECTIONS_MOST,
                max_connections_of_one: CONNECTIONS_OF_ONE,
                discard_bytes: DISCARD,
                ..Default::default()
            };
            let serving =
                postrider_http::serve(listener, None, door, limits, self.shutdown.clone());
            self.spawn("port 80", done(serving));
        }
        Ok(())
    }
}
