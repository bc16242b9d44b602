//! Writing to reply addresses: each is asked once whether it is the tenant's. Whoever writes to
//! strangers because a stolen key made it must do so seldom: caps stand in the directory.

mod colleagues;
mod turns;
mod waiting;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use postrider_model::{
    EmailAddress, ReplyAddress, ReplyAddressId, ReplySource, ReplyStatus, Stream, Tenant, TenantId,
    Timestamp, Vendor,
};
use postrider_store::{AskCaps, Letters, Observed, StoreError};

pub(crate) use turns::Turns;
pub(crate) use waiting::{Patience, Unknown, UnknownQueue, program_asks_broken};

use crate::accept::{AcceptError, Accepted, Gate};
use crate::access::{Caller, vouched};
use crate::admit::Submission;
use crate::instruments::Door;
use crate::letter::{self, Letter, LetterKind};
use crate::link::ReplyToken;

/// Between two letters to one mailbox that an operator asks for, or a program that enrols again:
/// whoever says it twice means it once.
pub(crate) const AGAIN: Duration = Duration::from_mins(10);
/// Letters to one mailbox in a UTC day, where a program asks for one more.
const LETTERS_MOST: u32 = 3;
/// The same before the usual pause has passed since the last one. Programs may enrol at each start, and
/// a mistyped address is a stranger's, who is told to do nothing at all.
const LETTERS_IN_A_ROW: u32 = 5;

/// When a program may have one more letter sent to a mailbox that has got these; `usual` is the usual
/// pause.
pub(crate) fn next_letter(letters: Letters, usual: Duration) -> Timestamp {
    let mut next = letters.last_at.after(AGAIN);
    if letters.that_day >= LETTERS_MOST {
        next = next.max(letters.last_at.next_day());
    }
    if letters.in_a_row >= LETTERS_IN_A_ROW {
        next = next.max(letters.last_at.after(usual));
    }
    next
}

/// What became of the wish that an address be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskOutcome {
    /// A letter to it is accepted.
    Asked,
    /// It was written to not long ago, for this tenant or another.
    Lately,
    /// The tenant had enough new addresses today.
    TooManyToday,
    /// There is nothing to ask: it is confirmed, or its owner said no.
    Settled(ReplyStatus),
    /// There is no tenant to write as, or it may not send.
    NoHouse,
    /// Nobody is asked on behalf of a tenant that may not send.
    Suspended,
}

/// Why an address could not be written to.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("the tenant is not there")]
    NoTenant,
    #[error("the letter could not be composed")]
    Letter,
    #[error("the letter was not accepted")]
    Accept(#[from] AcceptError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gate {
    /// An operator has one of a tenant's reply addresses asked once more. That it was asked this
    /// week does not matter, nor that it took no mail any more; ten minutes between two letters to
    /// a mailbox and its owner's answer do.
    pub async fn ask_again(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
    ) -> Result<AskOutcome, AskError> {
        let outcome = self
            .write_to(&Unknown::again(tenant, address.clone()))
            .await?;
        self.roster.refresh(self.directory.as_ref()).await?;
        Ok(outcome)
    }

    /// The program of a tenant enrols again while its letter may be lost: the address that waits for
    /// its owner is asked once more, after ten minutes, three times a day and five times in all at
    /// most, until the usual pause is over. No fault of that ends the enrolment.
    pub(crate) async fn ask_enrolled(&self, tenant: &Tenant, address: &EmailAddress) {
        let known = self.roster.reply_address(tenant.id, address);
        // The first letter is on its way by itself, but to an address that is broken.
        let is_under_way =
            |known: &ReplyAddress| known.status != ReplyStatus::Broken && known.asked_at.is_none();
        let Some(known) = known.filter(|known| !is_under_way(known)) else {
            return;
        };
        let unknown = Unknown::enrolled_again(tenant.id, known.address.clone());
        let written = self.write_to(&unknown).await;
        if matches!(written, Ok(AskOutcome::Asked))
            && let Err(fault) = self.roster.refresh(self.directory.as_ref()).await
        {
            tracing::error!(
                error = &fault as &dyn std::error::Error,
                "the directory cannot be read after a letter"
            );
        }
        match written {
            Ok(outcome) => tracing::debug!(
                tenant.id = %tenant.id,
                outcome = ?outcome,
                "a tenant is enrolled again that waits for its reply address"
            ),
            Err(fault) => tracing::warn!(
                tenant.id = %tenant.id,
                error = &fault as &dyn std::error::Error,
                "a reply address could not be asked again"
            ),
        }
    }

    /// The usual pause between two letters to a mailbox.
    pub(crate) fn letters_pause(&self) -> Duration {
        self.rules.identity.replies.pause
    }

    /// Whom letters are written as, where it may send.
    pub(crate) fn house(&self) -> Option<Arc<Tenant>> {
        let house = self.roster.house();
        house.filter(|house| self.roster.is_active(house))
    }

    /// Writes to an address what there is to write, unless it was written to lately. One that is
    /// new is entered in the directory.
    pub(crate) async fn write_to(&self, unknown: &Unknown) -> Result<AskOutcome, AskError> {
        let tenant = self.roster.tenant(unknown.tenant);
        let tenant = tenant.ok_or(AskError::NoTenant)?;
        let Some(house) = self.house() else {
            return Ok(AskOutcome::NoHouse);
        };
        if let Some(outcome) = self.settled(&tenant, unknown) {
            return Ok(outcome);
        }
        let now = self.clock.now();
        let Observed { address, ask } = self.entered(unknown, now).await?;
        let Some(entry) = address else {
            return Ok(AskOutcome::TooManyToday);
        };
        let (Some(kind), true) = (kind(unknown, &tenant, &entry), ask) else {
            return Ok(match entry.status {
                ReplyStatus::Unconfirmed => AskOutcome::Lately,
                ReplyStatus::Broken if unknown.asks_broken(&tenant, &entry) => AskOutcome::Lately,
                status => AskOutcome::Settled(status),
            });
        };
        if let Err(fault) = self.send_letter((&house, &tenant), &entry, kind).await {
            self.take_back(&entry).await;
            return Err(fault);
        }
        // Used from here on, and not before it could be told.
        if kind == LetterKind::Notice && entry.status == ReplyStatus::Unconfirmed {
            let (directory, status) = (&self.directory, ReplyStatus::Confirmed);
            directory
                .set_reply_status(entry.tenant, &entry.address, status, now)
                .await?;
        }
        Ok(AskOutcome::Asked)
    }

    // Nobody was written to: the next who names it may have it asked, not only after the pause.
    async fn take_back(&self, entry: &ReplyAddress) {
        let Some(at) = entry.asked_at else { return };
        let taken = self.directory.take_back_asking(&entry.address, at).await;
        if let Err(fault) = taken {
            tracing::warn!(
                tenant.id = %entry.tenant,
                error = &fault as &dyn std::error::Error,
                "a reply address counts as asked and was not: `postrider reply ask` writes to it"
            );
        }
    }

    // What is known in memory saves the question to the directory.
    fn settled(&self, tenant: &Tenant, unknown: &Unknown) -> Option<AskOutcome> {
        if !self.roster.is_active(tenant) {
            return Some(AskOutcome::Suspended);
        }
        // Mail to our own addresses goes to whom it is to be confirmed for.
        let service = &self.rules.service;
        let domain = unknown.address.domain();
        if *domain == service.send_domain || *domain == service.bounce_domain {
            return Some(AskOutcome::Settled(ReplyStatus::Refused));
        }
        let (replies, now) = (self.rules.identity.replies, self.clock.now());
        let Some(known) = self.roster.reply_address(tenant.id, &unknown.address) else {
            let today = self.roster.brought_in(tenant.id, now.day());
            let is_full = unknown.is_capped() && today >= replies.new_per_day;
            return is_full.then_some(AskOutcome::TooManyToday);
        };
        match known.status {
            ReplyStatus::Unconfirmed => {}
            ReplyStatus::Broken if unknown.asks_broken(tenant, &known) => {}
            status => return Some(AskOutcome::Settled(status)),
        }
        let pause = unknown.pause(replies.pause);
        let is_lately = |at: Timestamp| now < at.after(pause) && !unknown.is_urgent();
        let asked = known.asked_at.is_some_and(is_lately);
        asked.then_some(AskOutcome::Lately)
    }

    async fn entered(&self, unknown: &Unknown, now: Timestamp) -> Result<Observed, StoreError> {
        let replies = self.rules.identity.replies;
        let (letters_per_day, letters_in_a_row) = match unknown.patience {
            Patience::Few => (LETTERS_MOST, LETTERS_IN_A_ROW),
            Patience::Long | Patience::Short => (0, 0),
        };
        let caps = AskCaps {
            per_day: replies.new_per_day,
            pause: unknown.pause(replies.pause),
            letters_per_day,
            letters_in_a_row,
            rest: replies.pause,
        };
        let seen = ReplyAddress {
            id: ReplyAddressId::new(now, self.rng.bytes()),
            tenant: unknown.tenant,
            address: unknown.address.clone(),
            status: ReplyStatus::Unconfirmed,
            source: unknown.source,
            confirmed_at: None,
            asked_at: None,
            told_at: None,
            refused_at: None,
            attested_by: None,
            created_at: now,
        };
        self.directory.observe_reply_address(seen, caps).await
    }

    async fn send_letter(
        &self,
        (house, tenant): (&Arc<Tenant>, &Arc<Tenant>),
        entry: &ReplyAddress,
        kind: LetterKind,
    ) -> Result<(), AskError> {
        let token = ReplyToken {
            tenant: entry.tenant,
            address: entry.address.clone(),
            at: self.clock.now(),
        };
        let token = token.print(&self.master, entry.id);
        let vendor = self.roster.vendor(tenant.vendor);
        let vendor = vendor.filter(|vendor| vendor.id != Vendor::OPERATOR);
        let letter = Letter {
            kind,
            tenant: &tenant.name,
            vendor: vendor.as_ref().map(|vendor| vendor.name.as_str()),
            language: tenant.language,
            address: &entry.address,
            service: self.rules.service.host.as_str(),
            link: format!("{}/c/{token}", self.rules.identity.public_url),
        };
        let raw = letter::compose(&letter, self.rng.bytes()).map_err(|_| AskError::Letter)?;
        let submission = Submission {
            door: Door::House,
            raw,
            envelope: vec![entry.address.clone()],
            bcc: Vec::new(),
            stream: Some(Stream::Transactional),
            tags: Vec::new(),
            scheduled_at: None,
            expires_at: None,
            claim: None,
            session: None,
        };
        let caller = vouched(&self.roster, house.id).map_err(AcceptError::from)?;
        self.accept_letter(&caller, submission).await?;
        Ok(())
    }

    // Boxed: a letter may be written while a message is being accepted.
    fn accept_letter<'a>(
        &'a self,
        caller: &'a Caller,
        letter: Submission,
    ) -> Pin<Box<dyn Future<Output = Result<Accepted, AcceptError>> + Send + 'a>> {
        Box::pin(self.accept(caller, letter))
    }
}

// What is to be said to it, if anything is.
fn kind(unknown: &Unknown, tenant: &Tenant, entry: &ReplyAddress) -> Option<LetterKind> {
    match entry.status {
        ReplyStatus::Unconfirmed if unknown.source == ReplySource::Domain => {
            Some(LetterKind::Notice)
        }
        ReplyStatus::Unconfirmed => Some(LetterKind::Question),
        ReplyStatus::Broken if unknown.asks_broken(tenant, entry) => Some(LetterKind::Question),
        ReplyStatus::Confirmed | ReplyStatus::Refused | ReplyStatus::Broken => None,
    }
}
