//! The operator's verbs: what can be asked of a relay, and what is done then.
//!
//! On SQLite a command reaches a running relay through a Unix socket in its folder (`socket`), so
//! that one process writes the database; where none runs, and on PostgreSQL, the command opens the
//! database itself. Both ways end in `Office::execute`.

mod audit;
mod disowned;
mod dkim;
mod find;
mod house;
mod import;
mod key;
mod nodes;
mod queue;
mod refused;
mod reply;
mod report;
mod session;
mod show;
mod since;
mod socket;
mod suppression;
mod tenant;
mod token;
mod trace;
mod vendor;
mod verb;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::bail;
use postrider_delivery::{Traces, WayOut};
use postrider_gate::{Access, Gate, Provision, RampConfig};
use postrider_model::{Domain, EmailAddress, Limits, Tenant};
use postrider_runtime::Shutdown;
use postrider_store::{DirectorySnapshot, Roster, TenantChange};
use serde_json::Value;

pub(crate) use disowned::{Reader, disowned, next_reply_to};
pub use find::FindRequest;
pub(crate) use import::ROWS_MOST;
pub use import::{ImportRow, RowOutcome};
pub use key::NewKey;
pub(crate) use refused::Refused;
pub use report::{ReportBy, ReportRequest};
pub use since::Since;
pub(crate) use since::{moment, span};
pub use socket::{ask, serve};
pub use tenant::AddedTenant;
pub use token::TokenAct;
pub use trace::TraceAct;
pub use vendor::{VendorAct, VendorChange};
pub use verb::{About, QueueAct, SuppressionAct, SuppressionsOf, Verb};

use crate::database::Database;
use crate::holds::{Holds, Outlook};
use audit::Done;

/// Where verbs are carried out.
pub struct Office {
    pub(crate) database: Database,
    pub(crate) provision: Provision,
    pub(crate) roster: Roster,
    pub(crate) access: Arc<Access>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) newcomers: Newcomers,
    /// Who answers for the relay, where somebody is named.
    pub(crate) contact: Option<EmailAddress>,
    /// How long mail is tried at most, whatever its key says.
    pub(crate) lifetime: Duration,
    /// Whose dialogues are kept where this process delivers.
    pub(crate) traces: Traces,
    /// Whether mail may leave, where this process delivers.
    pub(crate) way_out: OnceLock<WayOut>,
    /// Whether no other process delivers, as only one has the database.
    pub(crate) is_alone: bool,
    /// The domain whose mail stays on this machine.
    pub(crate) simulator: Option<Domain>,
    /// Where the DNS records to publish are written at each change.
    pub(crate) records_path: PathBuf,
    /// Verbs that take long end early from here on, and leave nothing open.
    pub(crate) stopping: Shutdown,
}

/// Who the audit says did what an operator's command did.
const CLI: &str = "cli";

/// What a new tenant begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomers {
    pub(crate) limits: Limits,
    /// Whether all of them are known people: confirmed, and without a ramp.
    pub(crate) vouched: bool,
    /// How the others begin.
    pub(crate) ramp: RampConfig,
}

impl Office {
    /// Carries out a verb and answers in JSON. What it changed is seen by this process's doors and
    /// queue when it returns, and by those of other processes a quarter of a second later.
    pub async fn execute(&self, verb: Verb) -> anyhow::Result<Value> {
        self.execute_for(CLI, verb).await
    }

    /// The same for whom the audit is to name: `token ID`, `vendor key KID`.
    pub async fn execute_for(&self, actor: &str, verb: Verb) -> anyhow::Result<Value> {
        if verb.only_reads() {
            return self.carry_out(verb).await;
        }
        let (done, is_part) = (Done::of(&verb), matches!(verb, Verb::TenantImport { .. }));
        let answer = self.carry_out(verb).await?;
        // One of many: the poll reads the directory for all of them. Done is done, and a key is shown
        // this one time: if it cannot be read now, the poll reads it again.
        if !is_part && let Err(fault) = self.roster.refresh(&*self.database.directory).await {
            tracing::error!(
                error = &fault as &dyn std::error::Error,
                "the directory cannot be read after a change"
            );
        }
        self.note_done(actor, done.with(&answer)).await;
        Ok(answer)
    }

    async fn carry_out(&self, verb: Verb) -> anyhow::Result<Value> {
        match verb {
            Verb::TenantAdd(add) => self.add_tenant(add).await,
            Verb::TenantImport { vendor, rows } => self.import_tenants(&vendor, &rows).await,
            Verb::Vendor { act } => self.vendor(act).await,
            Verb::Token { act } => self.token(act).await,
            Verb::Audit { since, vendor } => self.audit(since, vendor).await,
            Verb::TenantList { vendor } => self.list_tenants(vendor).await,
            Verb::TenantShow { tenant } => self.show_tenant(&tenant).await,
            Verb::TenantSuspend { tenant, by } => self.suspend_tenant(&tenant, by).await,
            Verb::TenantResume { tenant, by } => self.resume_tenant(&tenant, by).await,
            Verb::TenantLimit { tenant, limits, by } => self.limit(&tenant, limits, by).await,
            Verb::TenantSet {
                tenant,
                language,
                own_domain,
                notices,
                without_plan,
                vouched,
            } => {
                let change = TenantChange {
                    language,
                    own_domain,
                    notices,
                    without_plan,
                };
                self.set_tenant(&tenant, change, vouched).await
            }
            Verb::ReplyToList { tenant } => self.list_reply_to(&tenant).await,
            Verb::ReplyToAdd { tenant, address } => self.add_reply_to(&tenant, address).await,
            Verb::ReplyToAsk { tenant, address } => self.ask_reply_to(&tenant, &address).await,
            Verb::ReplyToConfirm { tenant, address } => self.confirm(&tenant, &address).await,
            Verb::ReplyToRemove { tenant, address } => self.remove(&tenant, &address).await,
            Verb::KeyCreate { tenant, key } => self.create_key(&tenant, key).await,
            Verb::KeyList { tenant } => self.list_keys(&tenant).await,
            Verb::KeyRevoke { id } => self.revoke_key(&id).await,
            Verb::KeySuspend { id, by } => self.suspend_key(&id, by).await,
            Verb::KeyResume { id, by } => self.resume_key(&id, by).await,
            Verb::Suppression { tenant, act } => self.suppression(&tenant, act).await,
            Verb::VendorSuppressions(which) => self.suppressions_of_vendor(which).await,
            Verb::Session { code } => self.session(code).await,
            Verb::Report { report } => self.report(report).await,
            Verb::Find { find } => self.find_mail(find).await,
            Verb::DkimShow => self.show_dkim().await,
            Verb::DkimAdd => self.add_dkim().await,
            Verb::DkimRevoke { selector } => self.revoke_dkim(&selector).await,
            Verb::Send {
                tenant,
                to,
                subject,
                text,
            } => self.send(&tenant, to, (subject, text)).await,
            Verb::Trace { act } => self.trace(act).await,
            Verb::Nodes => self.nodes().await,
            Verb::Queue { act, about } => self.queue(act, about).await,
            Verb::QueueList { vendor } => self.list_queue(vendor).await,
        }
    }

    /// The directory as it is now.
    async fn directory(&self) -> anyhow::Result<&Roster> {
        self.roster.refresh(&*self.database.directory).await?;
        Ok(&self.roster)
    }

    /// What is stopped now, by whom.
    pub(crate) async fn holds(&self) -> anyhow::Result<Holds> {
        let roster = self.directory().await?;
        let controls = &*self.database.controls;
        let outlook = Outlook {
            simulator: self.simulator.clone(),
            way_out: self.way_out.get().filter(|_| self.is_alone).cloned(),
        };
        Ok(Holds::read(controls, roster, outlook).await?)
    }

    /// A tenant by its id or slug, with all that the directory has of it alone.
    async fn find(&self, which: &str) -> anyhow::Result<(DirectorySnapshot, Tenant)> {
        let directory = self.directory().await?;
        let by_id = which.parse().ok().and_then(|id| directory.tenant(id));
        let tenant = by_id.or_else(|| directory.tenant_named(which));
        let all = tenant
            .as_ref()
            .and_then(|tenant| directory.all_of(tenant.id));
        match (tenant, all) {
            (Some(tenant), Some(all)) => Ok((all, (*tenant).clone())),
            _ => bail!("there is no tenant {which:?}: `postrider tenant list` shows all of them"),
        }
    }
}

#[cfg(test)]
mod tests;
