//! Writing to reply addresses: each is asked once whether it is the tenant's. Whoever writes to
//! strangers because a stolen key made it must do so seldom: caps stand in the directory.

mod waiting;

use std::sync::Arc;

use postrider_model::{
    ReplyAddress, ReplyAddressId, ReplySource, ReplyStatus, Stream, Tenant, TenantStatus, Timestamp,
};
use postrider_store::{AskCaps, Observed, StoreError};

pub(crate) use waiting::{Unknown, UnknownQueue};

use crate::accept::{AcceptError, Gate};
use crate::access::vouched;
use crate::admit::Submission;
use crate::instruments::Door;
use crate::letter::{self, Letter, LetterKind};
use crate::link::ReplyToken;

/// What became of the wish that an address be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskOutcome {
    /// A letter to it is accepted.
    Asked,
    /// It was written to not long ago, for this tenant or another.
    Lately,
    /// The tenant had enough new addresses today.
    TooManyToday,
    /// There is nothing to ask: it is confirmed, or its owner said no.
    Settled(ReplyStatus),
    /// There is no tenant to write as.
    NoHouse,
    /// Nobody is asked on behalf of a tenant that may not send.
    Suspended,
}

/// Why an address could not be written to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
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
    /// Writes to an address what there is to write, unless it was written to lately. One that is
    /// new is entered in the directory.
    pub(crate) async fn write_to(&self, unknown: &Unknown) -> Result<AskOutcome, AskError> {
        let tenant = self.roster.tenant(unknown.tenant);
        let tenant = tenant.ok_or(AskError::NoTenant)?;
        let Some(house) = self.roster.house() else {
            return Ok(AskOutcome::NoHouse);
        };
        if tenant.status == TenantStatus::Suspended {
            return Ok(AskOutcome::Suspended);
        }
        // Mail to our own addresses goes to whom it is to be confirmed for.
        let service = &self.rules.service;
        let domain = unknown.address.domain();
        if *domain == service.send_domain || *domain == service.bounce_domain {
            return Ok(AskOutcome::Settled(ReplyStatus::Refused));
        }
        if let Some(outcome) = self.settled(unknown) {
            return Ok(outcome);
        }
        let now = self.clock.now();
        let Observed { address, ask } = self.entered(unknown, now).await?;
        let Some(entry) = address else {
            return Ok(AskOutcome::TooManyToday);
        };
        let kind = self.kind(unknown, &entry, now).await?;
        let (Some(kind), true) = (kind, ask) else {
            return Ok(match entry.status {
                ReplyStatus::Unconfirmed => AskOutcome::Lately,
                status => AskOutcome::Settled(status),
            });
        };
        let sent = self.send_letter((&house, &tenant), &entry, kind).await;
        if sent.is_err() {
            self.take_back(&entry).await;
        }
        sent.map(|()| AskOutcome::Asked)
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
    fn settled(&self, unknown: &Unknown) -> Option<AskOutcome> {
        let known = self
            .roster
            .reply_address(unknown.tenant, &unknown.address)?;
        match known.status {
            ReplyStatus::Unconfirmed if unknown.source == ReplySource::Domain => None,
            ReplyStatus::Unconfirmed => {
                let pause = self.rules.identity.replies.pause;
                let is_lately = |at: Timestamp| self.clock.now() < at.after(pause);
                let asked = known.asked_at.is_some_and(is_lately);
                asked.then_some(AskOutcome::Lately)
            }
            status => Some(AskOutcome::Settled(status)),
        }
    }

    async fn entered(&self, unknown: &Unknown, now: Timestamp) -> Result<Observed, StoreError> {
        let replies = self.rules.identity.replies;
        let caps = AskCaps {
            per_day: replies.new_per_day,
            pause: replies.pause,
        };
        let status = unknown.status();
        let seen = ReplyAddress {
            id: ReplyAddressId::new(now, self.rng.bytes()),
            tenant: unknown.tenant,
            address: unknown.address.clone(),
            status,
            source: unknown.source,
            confirmed_at: (status == ReplyStatus::Confirmed).then_some(now),
            asked_at: None,
            created_at: now,
        };
        self.directory.observe_reply_address(seen, caps).await
    }

    // What is to be said to it, if anything is. One that was asked in vain before its domain was
    // the tenant's is confirmed now.
    async fn kind(
        &self,
        unknown: &Unknown,
        entry: &ReplyAddress,
        now: Timestamp,
    ) -> Result<Option<LetterKind>, StoreError> {
        let is_domain = unknown.source == ReplySource::Domain;
        Ok(match entry.status {
            ReplyStatus::Unconfirmed if is_domain => {
                let status = ReplyStatus::Confirmed;
                self.directory
                    .set_reply_status(entry.tenant, &entry.address, status, now)
                    .await?;
                Some(LetterKind::Notice)
            }
            ReplyStatus::Unconfirmed => Some(LetterKind::Question),
            ReplyStatus::Confirmed if is_domain => Some(LetterKind::Notice),
            ReplyStatus::Confirmed | ReplyStatus::Refused | ReplyStatus::Broken => None,
        })
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
        let letter = Letter {
            kind,
            tenant: &tenant.name,
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
        self.accept(&caller, submission).await?;
        Ok(())
    }
}
