//! What the gate does by itself, beside the mail: letters to reply addresses, notices of what failed,
//! the days of ramps, addresses that take no mail any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_model::{
    Domain, EmailAddress, ReplyAddress, ReplySource, ReplyStatus, SuppressionReason, Tenant,
    Timestamp,
};
use postrider_runtime::Shutdown;
use postrider_store::{
    StoreError, Suppressed, SuppressionFilter, SuppressionPage, SuppressionStart,
};
use tokio::time::MissedTickBehavior;

use crate::accept::Gate;
use crate::asking::{AGAIN, Patience, Unknown};

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(2);
/// After a letter that could not be written: nothing of ours may be accepted for a while.
const PAUSE: Duration = Duration::from_mins(1);
/// Bounces of our own letters that are looked at in one round.
const BOUNCES_MOST: u8 = 100;
/// Days without us that a ramp is decided for afterwards.
const DAYS_MOST: i64 = 31;

/// What of a round need not be done again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    generation: u64,
    /// UTC.
    day: i64,
    /// A letter failed: the round is made again then, whatever was seen.
    again_at: Option<Timestamp>,
    /// Somebody may have been told then of what is not yet used.
    finish_at: Option<Timestamp>,
}

impl Gate {
    /// Works until shutdown begins; in every process with a gate, and any number of them: who
    /// is first with something has the directory say so. Runs once.
    pub async fn run(&self, shutdown: Shutdown) {
        let Some(mut unknown) = self.unknown.take() else {
            return;
        };
        let mut seen = Seen::default();
        let mut round = tokio::time::interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.begun() => break,
                Some(one) = unknown.recv() => {
                    self.write(&one).await;
                }
                _ = round.tick() => {
                    if let Err(fault) = self.tend(&mut seen).await {
                        tracing::warn!(
                            error = &fault as &dyn std::error::Error,
                            "reply addresses and ramps could not be looked after"
                        );
                    }
                }
            }
        }
    }

    // False where it is to be tried again.
    async fn write(&self, unknown: &Unknown) -> bool {
        let written = self.write_to(unknown).await;
        match &written {
            Ok(outcome) => tracing::debug!(
                tenant.id = %unknown.tenant,
                outcome = ?outcome,
                "a reply address that mail named"
            ),
            Err(fault) => tracing::warn!(
                tenant.id = %unknown.tenant,
                error = fault as &dyn std::error::Error,
                "a reply address could not be asked"
            ),
        }
        written.is_ok()
    }

    async fn tend(&self, seen: &mut Seen) -> Result<(), StoreError> {
        self.break_bounced().await?;
        self.tell_failures().await?;
        let now = self.clock.now();
        let mut current = Seen {
            generation: self.roster.generation(),
            day: now.day(),
            again_at: None,
            finish_at: seen.finish_at.filter(|at| now < *at),
        };
        let waits = seen.again_at.is_some_and(|at| now < at);
        if waits || current == *seen || self.roster.house().is_none() {
            return Ok(());
        }
        for tenant in self.roster.tenants() {
            self.decide_ramp(&tenant, current.day).await?;
        }
        let addresses = self.roster.reply_addresses();
        let (due, finish_at) = half_told(&addresses, now);
        current.finish_at = finish_at;
        for unknown in never_asked(&addresses).into_iter().chain(due) {
            if !self.write(&unknown).await {
                current.again_at = Some(now.after(PAUSE));
            }
        }
        *seen = current;
        Ok(())
    }

    // A letter of ours that came back for good: nothing goes to that mailbox, whosever it is.
    async fn break_bounced(&self) -> Result<(), StoreError> {
        let Some(house) = self.roster.house() else {
            return Ok(());
        };
        let page = SuppressionPage {
            limit: BOUNCES_MOST,
            start: SuppressionStart::Newest,
        };
        let (filter, now) = (SuppressionFilter::default(), self.clock.now());
        let list = self.suppressions.suppressions(house.id, filter, page, now);
        let list = list.await?.map(|list| list.suppressions);
        let mut broken = false;
        for one in list.unwrap_or_default() {
            if one.reason == SuppressionReason::HardBounce {
                let of = self.directory.break_reply_address(&one.address).await?;
                tracing::info!(
                    domain = %one.address.domain(),
                    tenants = of.len(),
                    "a reply address takes no mail: a letter of ours came back"
                );
                broken |= !of.is_empty();
            }
            // Done with: whoever asks that address again gets another letter.
            let which = [Suppressed::Id(one.id)];
            self.suppressions.lift(house.id, &which).await?;
        }
        // No notice goes there in this very round.
        if broken {
            self.roster.refresh(self.directory.as_ref()).await?;
        }
        Ok(())
    }

    /// Decides a tenant's ramp up to today, a day after the other.
    pub(crate) async fn decide_ramp(&self, tenant: &Tenant, today: i64) -> Result<(), StoreError> {
        let first = tenant.ramp.decided.max(today - DAYS_MOST);
        if tenant.ramp.is_past() || tenant.ramp.decided >= today {
            return Ok(());
        }
        let mut then = tenant.clone();
        for day in first..today {
            let usage = self.mail.usage(tenant.id, Timestamp::of_day(day)).await?;
            then.ramp = self.rules.identity.ramp.next(&then, &usage, day + 1);
        }
        // False: another process has decided it.
        let (was, ramp) = (tenant.ramp, then.ramp);
        let is_ours = self.directory.change_ramp(tenant.id, was, ramp).await?;
        if is_ours && was.per_day != ramp.per_day {
            tracing::info!(
                tenant.id = %tenant.id,
                per_day = ramp.per_day,
                "a new tenant may send more"
            );
        }
        Ok(())
    }
}

impl Gate {
    /// Looks whether the domains of confirmed reply addresses still take mail, as `takes_mail`
    /// tells; `None` where it does not know. What takes none twice in a row is broken, and mail
    /// falls back to the tenant's default. For a slow round: once in half a day or so.
    pub async fn recheck<F, Answer>(&self, takes_mail: F) -> Result<(), StoreError>
    where
        F: Fn(Domain) -> Answer + Send + Sync,
        Answer: Future<Output = Option<bool>> + Send,
    {
        let directory = self.directory.snapshot().await?;
        let confirmed = directory.reply_addresses.into_iter();
        let confirmed = confirmed.filter(|entry| entry.status == ReplyStatus::Confirmed);
        let mut at: BTreeMap<Domain, Vec<EmailAddress>> = BTreeMap::new();
        for entry in confirmed {
            let there = at.entry(entry.address.domain().clone()).or_default();
            there.push(entry.address);
        }
        for (domain, addresses) in at {
            match takes_mail(domain.clone()).await {
                Some(false) if !self.doubtful.lock().insert(domain.clone()) => {
                    tracing::info!(domain = %domain, "reply addresses there take no mail any more");
                    for address in &addresses {
                        self.directory.break_reply_address(address).await?;
                    }
                }
                Some(true) => {
                    self.doubtful.lock().remove(&domain);
                }
                Some(false) | None => {}
            }
        }
        Ok(())
    }
}

// At a tenant's own domain: entered, and its process died before it was noted that it was told.
// The notice may be lost, so it is written again. First those that are due, then when the next is.
fn half_told(addresses: &[Arc<ReplyAddress>], now: Timestamp) -> (Vec<Unknown>, Option<Timestamp>) {
    let open = addresses.iter().filter(|entry| {
        entry.status == ReplyStatus::Unconfirmed
            && entry.source == ReplySource::Domain
            // For this very tenant, and not that another's letter is in its mailbox.
            && entry.asked_at == Some(entry.created_at)
    });
    let (due, later): (Vec<_>, Vec<_>) =
        open.partition(|entry| entry.created_at.after(AGAIN) <= now);
    let due = due.into_iter().map(|entry| Unknown {
        patience: Patience::Short,
        ..Unknown::of_own_domain(entry.tenant, entry.address.clone())
    });
    let later = later.into_iter().map(|entry| entry.created_at.after(AGAIN));
    (due.collect(), later.min())
}

// What an operator or a tenant entered waits for its first letter.
fn never_asked(addresses: &[Arc<ReplyAddress>]) -> Vec<Unknown> {
    let waiting = addresses.iter().filter(|entry| {
        entry.status == ReplyStatus::Unconfirmed
            && entry.asked_at.is_none()
            && entry.source != ReplySource::Domain
    });
    let unknown = waiting.map(|entry| Unknown {
        tenant: entry.tenant,
        address: entry.address.clone(),
        source: entry.source,
        patience: Patience::Long,
    });
    unknown.collect()
}
