//! Where the verbs of a command are carried out that asks many: by the running relay, or in a database
//! that was opened once.

use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;

use crate::admin::{self, Verb};
use crate::cli::Place;
use crate::config::Config;
use crate::core::Core;
use crate::database::Location;
use crate::relay::Machine;

pub(super) enum Asked {
    Running(PathBuf),
    /// Beside the processes that have it open, where the database takes several.
    Own(Box<Core>, Location),
}

impl Asked {
    /// Asks a first verb, and gives its answer.
    pub(super) async fn first(place: &Place, verb: &Verb) -> anyhow::Result<(Self, Value)> {
        let config = Config::read(&super::config_path(place)?)?;
        let (socket, location) = (config.socket_path(), Location::of(&config)?);
        if !location.is_shared()
            && let Some(answer) = admin::ask(&socket, verb).await?
        {
            return Ok((Self::Running(socket), answer));
        }
        let core = Core::open_when_free(&config, &Machine::real()).await?;
        let answered = async {
            if !verb.only_reads() {
                core.office.ensure_signing_keys().await?;
            }
            core.office.execute(verb.clone()).await
        };
        match answered.await {
            Ok(answer) => Ok((Self::Own(Box::new(core), location), answer)),
            Err(fault) => {
                core.database.close().await;
                Err(fault)
            }
        }
    }

    pub(super) async fn ask(&self, verb: Verb) -> anyhow::Result<Value> {
        match self {
            Self::Running(socket) => admin::ask(socket, &verb)
                .await?
                .context("the relay was stopped meanwhile: repeat it"),
            Self::Own(core, _) => core.office.execute(verb).await,
        }
    }

    /// Whether a relay may be at work in this database.
    pub(super) fn may_be_served(&self) -> bool {
        match self {
            Self::Running(_) => true,
            Self::Own(_, location) => location.is_shared(),
        }
    }

    pub(super) async fn close(self) {
        if let Self::Own(core, _) = self {
            core.database.close().await;
        }
    }
}
