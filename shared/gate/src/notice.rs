//! Telling tenants by mail what could not be delivered. Ours goes to who asked us to send, never
//! to who was to receive; several failures go into one mail, and few mails into an hour. Mail of
//! the house itself is told to nobody, so that no mail comes of ours.

mod letter;

use std::sync::Arc;
use std::time::Duration;

use postrider_model::{EmailAddress, MessageId, ReplyStatus, Stream, Tenant, TenantId, Timestamp};
use postrider_store::{Failure, StoreError};

use self::letter::{Notice, Undelivered};
use crate::accept::{AcceptError, Gate};
use crate::access::vouched;
use crate::admit::Submission;
use crate::instruments::Door;
use crate::seen::SeenRecipient;

/// Tenants that are told in one round.
const TENANTS_MOST: u32 = 100;
/// Failures that are read for one mail, and messages that are listed in it.
const FAILURES_MOST: u32 = 500;
const LISTED_MOST: usize = 20;
const HOUR: Duration = Duration::from_hours(1);

/// Why a tenant could not be told.
#[derive(Debug, thiserror::Error)]
enum NoticeError {
    #[error("the notice could not be composed")]
    Letter,
    #[error("the notice was not accepted")]
    Accept(#[from] AcceptError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a tenant is told.
enum Listener {
    Here(To),
    /// Not now: it is suspended, or its address is not confirmed yet. What there is waits.
    Away,
    /// It does not want to be.
    Nobody,
}

/// Who is told, and in whose name.
struct To {
    tenant: Arc<Tenant>,
    address: EmailAddress,
    house: TenantId,
}

impl Gate {
    /// Tells those tenants of which something failed a while ago.
    pub(crate) async fn tell_failures(&self) -> Result<(), StoreError> {
        let Some(pause) = self.pause() else {
            return Ok(());
        };
        let now = self.clock.now();
        let told_before = now.before(pause);
        let before = now.before(self.rules.identity.notices.gather);
        let tenants = self.failures.untold(before, told_before, TENANTS_MOST);
        for tenant in tenants.await? {
            if let Err(fault) = self.tell(tenant, now, told_before).await {
                tracing::warn!(
                    tenant.id = %tenant,
                    error = &fault as &dyn std::error::Error,
                    "a tenant could not be told of what failed; it is tried again later"
                );
            }
        }
        Ok(())
    }

    /// Between two notices to one tenant; `None` where nobody is told.
    fn pause(&self) -> Option<Duration> {
        HOUR.checked_div(self.rules.identity.notices.per_hour)
    }

    // Dies this between the mail and its being noted, the tenant is told again after the pause. So it
    // is asked again after the pause where it cannot be told now.
    async fn tell(
        &self,
        tenant: TenantId,
        now: Timestamp,
        told_before: Timestamp,
    ) -> Result<(), NoticeError> {
        let turn = self.failures.begin_telling(tenant, now, told_before);
        if !turn.await? {
            return Ok(());
        }
        match self.listener(tenant) {
            Listener::Here(to) => self.write_notice(&to, now).await?,
            Listener::Away => return Ok(()),
            Listener::Nobody => {}
        }
        self.failures.told(tenant, now).await?;
        Ok(())
    }

    // Only at an address that is confirmed: a notice must not be a way to write to strangers.
    fn listener(&self, id: TenantId) -> Listener {
        // A tenant that is not known here yet is no tenant that is gone: its failures go with it.
        let (Some(tenant), Some(house)) = (self.roster.tenant(id), self.roster.house()) else {
            return Listener::Away;
        };
        if !tenant.notices || tenant.is_house {
            return Listener::Nobody;
        }
        let address = tenant.reply_to.clone();
        let known = self.roster.reply_address(id, &address);
        let is_confirmed = known.is_some_and(|known| known.status == ReplyStatus::Confirmed);
        if is_confirmed && self.roster.is_active(&tenant) {
            Listener::Here(To {
                tenant,
                address,
                house: house.id,
            })
        } else {
            Listener::Away
        }
    }

    async fn write_notice(&self, to: &To, turn: Timestamp) -> Result<(), NoticeError> {
        let To {
            tenant,
            address,
            house,
        } = to;
        let untold = self.failures.failures(tenant.id, turn, FAILURES_MOST);
        let untold = untold.await?;
        let mut listed = Vec::new();
        for (message, failures) in by_message(&untold.failures).into_iter().take(LISTED_MOST) {
            // Erased since, or past retention: there is nothing to tell of it.
            if let Some(seen) = self.seen(tenant, message).await? {
                listed.push(Undelivered {
                    recipients: seen.recipients.len(),
                    failed: failed(seen.recipients, &failures),
                    subject: seen.subject,
                    accepted_at: seen.accepted_at,
                    link: self.link_to(tenant.id, message),
                });
            }
        }
        if listed.is_empty() {
            return Ok(());
        }
        let notice = Notice {
            tenant: &tenant.name,
            language: tenant.language,
            address,
            service: self.rules.service.host.as_str(),
            more: untold.total.saturating_sub(in_list(&listed)),
            listed,
        };
        let raw = letter::compose(&notice, self.rng.bytes()).map_err(|_| NoticeError::Letter)?;
        let submission = Submission {
            door: Door::House,
            raw,
            envelope: vec![address.clone()],
            bcc: Vec::new(),
            stream: Some(Stream::Transactional),
            tags: Vec::new(),
            scheduled_at: None,
            expires_at: None,
            claim: None,
            session: None,
        };
        let caller = vouched(&self.roster, *house).map_err(AcceptError::from)?;
        self.accept(&caller, submission).await?;
        tracing::info!(tenant.id = %tenant.id, failures = untold.total, "a tenant is told of what failed");
        Ok(())
    }
}

fn in_list(listed: &[Undelivered]) -> u64 {
    listed.iter().map(|one| one.failed.len() as u64).sum()
}

/// In the order in which the first of each failed.
fn by_message(failures: &[Failure]) -> Vec<(MessageId, Vec<Failure>)> {
    let mut messages: Vec<(MessageId, Vec<Failure>)> = Vec::new();
    for failure in failures {
        match messages.iter_mut().find(|(id, _)| *id == failure.message) {
            Some((_, its)) => its.push(*failure),
            None => messages.push((failure.message, vec![*failure])),
        }
    }
    messages
}

// Others of the message may have failed before, and were told of then.
fn failed(mut recipients: Vec<SeenRecipient>, failures: &[Failure]) -> Vec<SeenRecipient> {
    recipients.retain(|one| failures.iter().any(|failure| failure.recipient == one.id));
    recipients
}
