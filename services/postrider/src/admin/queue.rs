//! Verbs about the queue. A verb is raised, the owners of shards let go of what it is about and
//! say so, it is enacted in batches, and it is closed: so it cannot race with an attempt.
//!
//! No control stands longer than about two and a half minutes: what is left then is raised anew.
//! One that is older was left by a command that died, and the caretaker closes it.

mod list;
mod reseal;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail};
use postrider_model::{ControlId, RecipientId, Vendor, VendorId};
use postrider_store::{Acknowledged, ControlVerb, NewControl, Roster, Scope, StoreError};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{About, Office, QueueAct, show};
use crate::holds::named;

/// How long owners may take to answer. Longer than a lease: who is dead by then owns nothing, and
/// nobody waits for it.
const ANSWER_MOST: Duration = Duration::from_secs(20);
/// Between two looks at who has answered: the first, and the longest.
const LOOK_FIRST: Duration = Duration::from_millis(2);
const LOOK_MOST: Duration = Duration::from_millis(200);
/// How long one control is enacted before it is closed and raised anew.
const ROUND: Duration = Duration::from_mins(2);
/// How often, and with which pause, closing is tried while the database is away.
const CLOSE_TRIES: u32 = 20;
const CLOSE_PAUSE: Duration = Duration::from_millis(500);

/// What a verb has done so far.
#[derive(Debug, Default)]
struct Done {
    changed: u64,
    too_late: BTreeSet<RecipientId>,
    not_answered: BTreeSet<String>,
    /// Of a release: messages that were signed anew, and those that could not be.
    resealed: Option<(u64, u64)>,
}

impl Office {
    /// Carries out a verb. `Err` of `hold` and `cancel` where a living owner does not answer:
    /// nothing is promised then that an attempt might break.
    pub(super) async fn queue(&self, act: QueueAct, about: About) -> anyhow::Result<Value> {
        let scope = self.scope(about).await?;
        let stops = matches!(act, QueueAct::Hold | QueueAct::Cancel | QueueAct::Suspend);
        if stops && scope == Scope::Vendor(Vendor::OPERATOR) {
            bail!(
                "the service's own letters, to all shops, are among the mail of that vendor: stop one of its tenants, by `--tenant`"
            );
        }
        let mut done = Done::default();
        match act {
            QueueAct::Hold => self.rounds(ControlVerb::Hold, &scope, &mut done).await,
            QueueAct::Cancel => self.rounds(ControlVerb::Cancel, &scope, &mut done).await,
            QueueAct::RetryNow => self.rounds(ControlVerb::RetryNow, &scope, &mut done).await,
            QueueAct::Release => {
                // First, so that nothing leaves under signatures that are about to end.
                done.resealed = Some(self.reseal_held(&scope).await?);
                self.rounds(ControlVerb::Release, &scope, &mut done).await
            }
            QueueAct::Suspend => self.suspend(&scope, &mut done).await,
            QueueAct::Resume => self.resume(&scope).await,
        }?;
        let told = answer(act, (&self.roster, &scope), &done);
        if act != QueueAct::RetryNow {
            return Ok(told);
        }
        // Done is done: that it cannot be counted is no fault of it.
        match self.hurried(&scope).await {
            Ok(found) => Ok(show::joined(told, found)),
            Err(fault) => {
                tracing::warn!(
                    fault = format!("{fault:#}"),
                    "what is due now cannot be counted"
                );
                Ok(told)
            }
        }
    }

    /// The suspensions of the queue that stand; or those of a vendor: of it, its tenants and their messages.
    async fn suspensions(&self, vendor: Option<String>) -> anyhow::Result<Value> {
        let vendor = match vendor {
            Some(vendor) => Some(self.find_vendor(&vendor).await?.id),
            None => None,
        };
        let mut shown = Vec::new();
        for control in self.database.controls.controls().await? {
            let is_meant = match vendor {
                Some(vendor) => self.vendor_within(&control.scope).await? == Some(vendor),
                None => true,
            };
            if control.verb == ControlVerb::Suspend && is_meant {
                let about = json!({"id": control.id, "verb": control.verb.as_str()});
                let since = json!({"since": control.at});
                let about = show::joined(about, scope_shown(&self.roster, &control.scope));
                shown.push(show::joined(about, since));
            }
        }
        Ok(shown.into())
    }

    /// Whose tenants alone a verb is about; `None` where it may be several vendors'.
    async fn vendor_within(&self, scope: &Scope) -> Result<Option<VendorId>, StoreError> {
        let tenant = match scope {
            Scope::Vendor(vendor) => return Ok(Some(*vendor)),
            Scope::Domain(_) => None,
            Scope::Tenant(tenant) => Some(*tenant),
            Scope::Message(message) => self.database.vendors.sender_of(*message).await?,
        };
        let tenant = tenant.and_then(|tenant| self.roster.tenant(tenant));
        Ok(tenant.map(|tenant| tenant.vendor))
    }

    async fn scope(&self, about: About) -> anyhow::Result<Scope> {
        Ok(match about {
            About::Tenant(which) => Scope::Tenant(self.find(&which).await?.1.id),
            About::Vendor(which) => Scope::Vendor(self.find_vendor(&which).await?.id),
            About::Domain(domain) => Scope::Domain(domain),
            About::Message(id) => Scope::Message(id),
        })
    }

    async fn rounds(
        &self,
        verb: ControlVerb,
        scope: &Scope,
        done: &mut Done,
    ) -> anyhow::Result<()> {
        loop {
            let round = self.round(verb, scope, done).await;
            let changed = done.changed;
            let more = round.with_context(|| match changed {
                0 => "nothing was changed".to_owned(),
                n => format!("{n} recipients were changed before it failed: repeat it"),
            })?;
            if !more {
                return Ok(());
            }
        }
    }

    /// From raising to closing. True where there is more to do.
    async fn round(
        &self,
        verb: ControlVerb,
        scope: &Scope,
        done: &mut Done,
    ) -> anyhow::Result<bool> {
        let id = self.raise(verb, scope).await?;
        let worked = self.enact(id, verb, done).await;
        let closed = self.close(id).await;
        let more = worked?;
        closed.context("it is done, but stands until the relay closes it, in ten minutes")?;
        Ok(more)
    }

    async fn raise(&self, verb: ControlVerb, scope: &Scope) -> anyhow::Result<ControlId> {
        let at = self.provision.clock.now();
        let control = NewControl {
            id: ControlId::new(at, self.provision.rng.bytes()),
            verb,
            scope: scope.clone(),
            at,
            note: Some("by the operator".to_owned()),
        };
        let (id, raised) = (control.id, self.database.controls.raise(control).await);
        if let Err(StoreError::Unavailable(_)) = raised
            && let Err(fault) = self.close(id).await
        {
            // It may stand all the same: its commit was not heard of.
            tracing::warn!(error = &fault as &dyn std::error::Error, control = %id, "a verb may stand until the relay closes it");
        }
        Ok(raised?)
    }

    async fn enact(
        &self,
        id: ControlId,
        verb: ControlVerb,
        done: &mut Done,
    ) -> anyhow::Result<bool> {
        self.wait_for_owners(id, done).await?;
        let stops = matches!(verb, ControlVerb::Hold | ControlVerb::Cancel);
        if stops && !done.not_answered.is_empty() {
            let names: Vec<_> = done.not_answered.iter().map(String::as_str).collect();
            let names = names.join(", ");
            if self.stopping.has_begun() {
                bail!("it was interrupted before an answer from {names}");
            }
            bail!(
                "no answer within {} s from {names}: what this would stop may be about to be sent there. See `postrider nodes`, and try again",
                ANSWER_MOST.as_secs()
            );
        }
        let until = Instant::now() + ROUND;
        loop {
            if self.stopping.has_begun() {
                bail!("it was stopped before it was done");
            }
            let now = self.provision.clock.now();
            let batch = self.database.controls.enact(id, now).await?;
            done.changed += batch.changed;
            if !batch.more || Instant::now() >= until {
                return Ok(batch.more);
            }
        }
    }

    /// Waits until every living owner has let go of what the verb is about.
    async fn wait_for_owners(&self, id: ControlId, done: &mut Done) -> Result<(), StoreError> {
        let until = Instant::now() + ANSWER_MOST;
        let mut pause = LOOK_FIRST;
        let seen = loop {
            let now = self.provision.clock.now();
            let seen = self.database.controls.acknowledged(id, now).await?;
            let stops = Instant::now() >= until || self.stopping.has_begun();
            if seen.waiting_for.is_empty() || stops {
                break seen;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stopping.begun() => {}
            }
            pause = (pause * 2).min(LOOK_MOST);
        };
        let Acknowledged {
            waiting_for,
            too_late,
        } = seen;
        done.too_late.extend(too_late);
        done.not_answered = waiting_for.into_iter().collect();
        Ok(())
    }

    async fn close(&self, id: ControlId) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            match self.database.controls.close(id).await {
                // The caretaker was quicker: this command was asleep for long.
                Ok(()) | Err(StoreError::NotFound { .. }) => return Ok(()),
                Err(StoreError::Unavailable(_)) if tries < CLOSE_TRIES => {
                    tries += 1;
                    sleep(CLOSE_PAUSE).await;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    async fn suspend(&self, scope: &Scope, done: &mut Done) -> anyhow::Result<()> {
        let id = self.raise(ControlVerb::Suspend, scope).await?;
        self.wait_for_owners(id, done)
            .await
            .context("the suspension stands, but who obeys it already cannot be read")
    }

    async fn resume(&self, scope: &Scope) -> anyhow::Result<()> {
        let controls = self.database.controls.controls().await?;
        let mut standing = controls
            .into_iter()
            .filter(|control| control.verb == ControlVerb::Suspend && control.scope == *scope);
        let Some(control) = standing.next() else {
            bail!("it is not suspended: `postrider queue list` shows what is");
        };
        Ok(self.database.controls.close(control.id).await?)
    }
}

fn answer(act: QueueAct, (roster, scope): (&Roster, &Scope), done: &Done) -> Value {
    let about = show::joined(json!({"verb": act.as_str()}), scope_shown(roster, scope));
    let mut answer = show::joined(
        about,
        json!({
            "changed": done.changed,
            "too_late": done.too_late,
            "not_answered": done.not_answered,
        }),
    );
    if let Some((resealed, not_resealed)) = done.resealed {
        let sealing = json!({"resealed": resealed, "not_resealed": not_resealed});
        answer = show::joined(answer, sealing);
    }
    answer
}

fn scope_shown(roster: &Roster, scope: &Scope) -> Value {
    let (about, which) = named(roster, scope);
    json!({about: which})
}

#[cfg(test)]
mod tests;
