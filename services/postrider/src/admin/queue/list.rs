//! What waits and what is stopped, for operators: by tenant and cause, and beside each what holds it.

use std::collections::{BTreeMap, BTreeSet};

use postrider_model::{TenantStatus, WaitCause};
use postrider_store::{Queued, QueuedQuery, Scope};
use serde_json::{Value, json};

use super::{Office, show};
use crate::holds::{self, Hold, Holds, Mail, named, together};

/// Recipients that are looked at, of those that wait and of those that were held. More are not counted: a
/// queue of millions takes seconds, which are the mail's.
const LOOKED_AT: u32 = 100_000;
/// Lines of an answer, the longest first.
const LINES: usize = 100;

/// What waits in one place, put together.
#[derive(Default)]
struct Waiting {
    lines: BTreeMap<Line, u64>,
    recipients: u64,
    /// Whether there may be more than was looked at.
    more: bool,
}

/// What waits alike.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    tenant: String,
    vendor: Option<String>,
    cause: WaitCause,
    holds: Vec<Hold>,
    /// Reply addresses whose owners do not know the tenant: what names one waits for them, which a message
    /// has to be looked into for.
    disowned: Vec<String>,
}

impl Office {
    /// The suspensions that stand, and what waits; or of a vendor: of it, its tenants and their messages.
    pub(in crate::admin) async fn list_queue(
        &self,
        vendor: Option<String>,
    ) -> anyhow::Result<Value> {
        let within = match &vendor {
            Some(vendor) => Some(Scope::Vendor(self.find_vendor(vendor).await?.id)),
            None => None,
        };
        let suspensions = self.suspensions(vendor).await?;
        let holds = self.holds().await?;
        let waiting = self.waiting(within.as_ref(), &holds).await?;
        Ok(json!({
            "suspensions": suspensions,
            "suspended_vendors": self.suspended_vendors(within.as_ref()),
            "suspended_tenants": self.suspended_tenants(within.as_ref()),
            "closed": holds.closed().map(|why| why.to_string()),
            "waiting": waiting.shown(),
        }))
    }

    async fn waiting(&self, within: Option<&Scope>, holds: &Holds) -> anyhow::Result<Waiting> {
        let query = QueuedQuery {
            within: within.cloned(),
            apart: holds.apart(),
            now: self.provision.clock.now(),
            most: LOOKED_AT,
        };
        let counted = self.database.controls.queued(&query).await?;
        let mut waiting = Waiting {
            more: counted.more,
            ..Waiting::default()
        };
        for queued in &counted.lines {
            waiting.add(self.line(queued, holds), queued.recipients);
        }
        Ok(waiting)
    }

    fn line(&self, queued: &Queued, holds: &Holds) -> Line {
        let tenant = self.roster.tenant(queued.tenant);
        let vendor = tenant
            .as_ref()
            .and_then(|tenant| self.roster.vendor(tenant.vendor));
        Line {
            tenant: named(&self.roster, &Scope::Tenant(queued.tenant)).1,
            vendor: vendor.map(|vendor| vendor.slug.clone()),
            cause: cause(queued),
            holds: holds.over(&Mail::counted(queued)),
            disowned: holds.disowned(&Mail::counted(queued)),
        }
    }

    fn suspended_vendors(&self, within: Option<&Scope>) -> Vec<String> {
        let vendors = self.roster.vendors().into_iter();
        let is_meant = |id| within.is_none_or(|scope| *scope == Scope::Vendor(id));
        let stopped = vendors.filter(|vendor| !vendor.is_active() && is_meant(vendor.id));
        let mut slugs: Vec<_> = stopped.map(|vendor| vendor.slug.clone()).collect();
        slugs.sort_unstable();
        slugs
    }

    fn suspended_tenants(&self, within: Option<&Scope>) -> Vec<String> {
        let tenants = self.roster.tenants().into_iter();
        let stopped = tenants.filter(|tenant| {
            let is_meant = within.is_none_or(|scope| *scope == Scope::Vendor(tenant.vendor));
            tenant.status == TenantStatus::Suspended && is_meant
        });
        let mut slugs: Vec<_> = stopped.map(|tenant| tenant.slug.clone()).collect();
        slugs.sort_unstable();
        slugs
    }

    /// What a verb that hurries finds in its scope once it is done: what is due now, and what of it is held
    /// all the same.
    pub(super) async fn hurried(&self, scope: &Scope) -> anyhow::Result<Value> {
        let holds = self.holds().await?;
        let waiting = self.waiting(Some(scope), &holds).await?;
        let of = |is_meant: &dyn Fn(&Line) -> bool| -> u64 {
            let lines = waiting.lines.iter().filter(|(line, _)| is_meant(line));
            lines.map(|(_, recipients)| recipients).sum()
        };
        let is_due = |line: &Line| matches!(line.cause, WaitCause::Turn | WaitCause::NoRoute);
        let mut stopped: BTreeMap<&[Hold], u64> = BTreeMap::new();
        for (line, recipients) in &waiting.lines {
            if is_due(line) && !line.holds.is_empty() {
                *stopped.entry(&line.holds).or_default() += recipients;
            }
        }
        let stopped = stopped.into_iter().map(|(holds, recipients)| {
            show::joined(json!({"recipients": recipients}), held_by(holds))
        });
        let unsure = waiting.lines.keys();
        let unsure = unsure.filter(|line| is_due(line) && line.is_unsure());
        let confirms: BTreeSet<_> = unsure.flat_map(Line::confirms).collect();
        Ok(json!({
            "due": of(&is_due),
            "scheduled": of(&|line| line.cause == WaitCause::Scheduled),
            "held": of(&|line| line.cause == WaitCause::Held),
            "more": waiting.more,
            "held_by": stopped.collect::<Vec<_>>(),
            "perhaps_held": of(&|line| is_due(line) && line.is_unsure()),
            "perhaps_release": confirms,
        }))
    }
}

impl Waiting {
    fn add(&mut self, line: Line, recipients: u64) {
        *self.lines.entry(line).or_default() += recipients;
        self.recipients += recipients;
    }

    fn shown(self) -> Value {
        let mut lines: Vec<_> = self.lines.into_iter().collect();
        lines.sort_by_key(|(_, recipients)| std::cmp::Reverse(*recipients));
        let left_out = lines.len().saturating_sub(LINES);
        lines.truncate(LINES);
        let lines = lines
            .iter()
            .map(|(line, recipients)| line.shown(*recipients));
        json!({
            "recipients": self.recipients,
            "more": self.more,
            "lines": lines.collect::<Vec<_>>(),
            "left_out": left_out,
        })
    }
}

impl Line {
    /// Nothing that is known of all of it stops it, and something may stop some.
    fn is_unsure(&self) -> bool {
        !self.disowned.is_empty() && self.holds.is_empty()
    }

    /// The commands that let go of what waits for an owner.
    fn confirms(&self) -> impl Iterator<Item = String> {
        let disowned = self.disowned.iter().cloned();
        disowned.map(|address| {
            let tenant = self.tenant.clone();
            Hold::Owner { tenant, address }.release()
        })
    }

    fn why(&self) -> String {
        let plain = holds::cause(Some(self.cause));
        match (self.cause, self.holds.as_slice()) {
            (WaitCause::Held, _) => plain.to_owned(),
            (_, []) if self.is_unsure() => format!(
                "{plain}; but what names {} in Reply-To waits for who does not know {}",
                self.disowned.join(" or "),
                self.tenant
            ),
            (_, []) => plain.to_owned(),
            (_, holds) => {
                let cells: Vec<_> = holds.iter().map(cell).collect();
                cells.join(", and ")
            }
        }
    }

    fn shown(&self, recipients: u64) -> Value {
        let line = json!({
            "recipients": recipients,
            "tenant": self.tenant,
            "vendor": self.vendor,
            "cause": self.cause,
            "why": self.why(),
        });
        let mut shown = show::joined(line, held_by(&self.holds));
        let more = match self.cause {
            WaitCause::Held => vec![format!("postrider queue release --tenant {}", self.tenant)],
            _ if self.is_unsure() => self.confirms().collect(),
            _ => Vec::new(),
        };
        if let Some(Value::Array(release)) = shown.get_mut("release") {
            release.extend(more.into_iter().map(Value::from));
        }
        shown
    }
}

/// In a line of many. What the doctor found is told once, beside them.
fn cell(hold: &Hold) -> String {
    match hold {
        Hold::Doctor(_) => hold.word().to_owned(),
        _ => hold.sentence(),
    }
}

/// By what something is held, and what lets it go.
fn held_by(holds: &[Hold]) -> Value {
    json!({
        "held_by": holds.iter().map(Hold::word).collect::<Vec<_>>(),
        "for": (!holds.is_empty()).then(|| together(holds)),
        "release": holds.iter().map(Hold::release).collect::<Vec<_>>(),
    })
}

/// What is due waits for its turn, whatever it waited for before; but where nothing may leave, for that.
fn cause(queued: &Queued) -> WaitCause {
    match queued.cause {
        WaitCause::Held => WaitCause::Held,
        WaitCause::NoRoute => WaitCause::NoRoute,
        _ if queued.is_due => WaitCause::Turn,
        cause => cause,
    }
}
