//! Which mail came within the last minutes, so that the very same again is not sent twice. Looked
//! for in memory: with one process there is nobody else to hear of. On disk it is a list that
//! grows at one end, read when the store opens.
//!
//! Bounded: what does not fit, and what an earlier process may have put there for that reason, is
//! among the claims under keys, which are slower to write and as exact.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use postrider_model::{MessageId, TenantId, Timestamp};
use postrider_store::{Answer, Claim, NewMessage};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{hex, json};

/// Kept in memory at most, of less than 100 bytes each.
const KEPT_MOST: usize = 400_000;
/// What stands for longer than this behind its message's time is not recent.
const LIFE_MOST: Duration = Duration::from_hours(1);
/// Removed in one step.
const REMOVED_MOST: u32 = 2_000;

/// A tenant's request: the first half of its hash, and the tenant.
type Mark = [u8; 16];

/// The claims that stand, or stood a moment ago.
#[derive(Default)]
pub(crate) struct Recent {
    standing: HashMap<Mark, Held>,
    /// As they came.
    order: VecDeque<(Timestamp, Mark)>,
    /// Until when some may stand among the claims under keys.
    elsewhere_until: Option<Timestamp>,
}

#[derive(Clone, Copy)]
struct Held {
    message: MessageId,
    until: Timestamp,
}

/// A row, as it is written.
#[derive(Serialize)]
struct RecentRow {
    tenant: TenantId,
    mark: String,
    message: MessageId,
    until: i64,
}

impl Recent {
    /// All that is in the database, before anything is written.
    pub(crate) async fn read(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let mut recent = Self::default();
        // Index messages (primary key).
        let newest: Option<i64> =
            sqlx::query_scalar("SELECT accepted_at FROM messages ORDER BY id DESC LIMIT 1")
                .fetch_optional(&mut *connection)
                .await?;
        let newest = newest.map(Timestamp::from_micros);
        recent.elsewhere_until = newest.map(|at| at.after(LIFE_MOST));
        // All of a small table, in its own order.
        let mut rows =
            sqlx::query_as("SELECT tenant, mark, message, until FROM recent_claims ORDER BY id")
                .fetch(connection);
        while let Some(row) = rows.try_next().await? {
            let (tenant, mark, message, until): (Vec<u8>, Vec<u8>, Vec<u8>, i64) = row;
            let half = <[u8; 16]>::try_from(mark.as_slice());
            if let (Ok(tenant), Ok(half), Ok(message)) = (
                TenantId::try_from(tenant.as_slice()),
                half,
                MessageId::try_from(message.as_slice()),
            ) {
                let until = Timestamp::from_micros(until);
                recent.put(mark_of(tenant, half), Held { message, until });
            }
        }
        Ok(recent)
    }

    /// Whether this one is kept here. The same from the beginning of a transaction to its end.
    pub(crate) fn takes(&self, message: &NewMessage) -> bool {
        let lasts = |claim: &Claim| claim.until <= message.accepted_at.after(LIFE_MOST);
        let claim = message.claim.as_ref().filter(|claim| claim.recent);
        claim.is_some_and(lasts) && self.order.len() < KEPT_MOST
    }

    /// Whether this one may stand among the claims under keys.
    pub(crate) fn may_be_elsewhere(&self, message: &NewMessage) -> bool {
        let now = message.accepted_at;
        !self.takes(message) || self.elsewhere_until.is_some_and(|until| now < until)
    }

    /// The answer to another message that was the same, where that still stands.
    pub(crate) fn answer(&self, message: &NewMessage) -> Option<Answer> {
        let claim = message.claim.as_ref().filter(|claim| claim.recent)?;
        let held = self.standing.get(&mark(claim))?;
        let stands = held.until > message.accepted_at && held.message != message.id;
        stands.then(|| Answer {
            request: claim.answer.request,
            status: 200,
            body: format!("{{\"id\":\"{}\"}}", held.message),
        })
    }

    /// Writes down what new messages are.
    pub(crate) async fn insert(
        &self,
        connection: &mut SqliteConnection,
        messages: &[&NewMessage],
    ) -> Result<(), Fault> {
        let rows = self.rows(messages);
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO recent_claims (tenant, mark, message, until)
             SELECT unhex(value ->> 'tenant', '-'), unhex(value ->> 'mark'),
                 unhex(value ->> 'message', '-'), value ->> 'until'
             FROM json_each(?1)",
        )
        .bind(json(&rows)?)
        .execute(connection)
        .await?;
        Ok(())
    }

    fn rows(&self, messages: &[&NewMessage]) -> Vec<RecentRow> {
        let taken = messages.iter().filter(|message| self.takes(message));
        taken
            .filter_map(|message| {
                let claim = message.claim.as_ref()?;
                Some(RecentRow {
                    tenant: claim.scope.tenant,
                    mark: hex(&half(claim)),
                    message: message.id,
                    until: claim.until.as_micros(),
                })
            })
            .collect()
    }

    /// After their commit: these are stored.
    pub(crate) fn learn<'m>(&mut self, messages: impl Iterator<Item = &'m NewMessage>) {
        let stored: Vec<_> = messages
            .filter_map(|message| {
                let claim = message.claim.as_ref().filter(|claim| claim.recent)?;
                Some((message, claim, self.takes(message)))
            })
            .collect();
        for (message, claim, taken) in stored {
            self.forget_before(message.accepted_at);
            let (message, until) = (message.id, claim.until);
            if taken {
                self.put(mark(claim), Held { message, until });
            } else {
                self.elsewhere_until = self.elsewhere_until.max(Some(until));
            }
        }
    }

    fn put(&mut self, mark: Mark, held: Held) {
        self.order.push_back((held.until, mark));
        self.standing.insert(mark, held);
    }

    fn forget_before(&mut self, now: Timestamp) {
        while let Some((_, mark)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            // It may stand anew.
            if self
                .standing
                .get(&mark)
                .is_some_and(|held| held.until <= now)
            {
                self.standing.remove(&mark);
            }
        }
    }
}

fn half(claim: &Claim) -> [u8; 16] {
    let [half, _] = halves(claim.answer.request);
    half
}

fn halves(hash: [u8; 32]) -> [[u8; 16]; 2] {
    let mut halves = [[0; 16]; 2];
    let bytes = halves.iter_mut().flatten();
    bytes.zip(hash).for_each(|(to, from)| *to = from);
    halves
}

fn mark(claim: &Claim) -> Mark {
    mark_of(claim.scope.tenant, half(claim))
}

fn mark_of(tenant: TenantId, mut half: [u8; 16]) -> Mark {
    let tenant = tenant.as_bytes();
    half.iter_mut().zip(tenant).for_each(|(to, of)| *to ^= of);
    half
}

/// Removes what does not stand any more, from the old end.
pub(crate) async fn remove(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<u64, Fault> {
    let removed = sqlx::query(
        "DELETE FROM recent_claims WHERE id IN (
             SELECT id FROM (SELECT id, until FROM recent_claims ORDER BY id LIMIT ?2)
             WHERE until <= ?1)",
    )
    .bind(now.as_micros())
    .bind(REMOVED_MOST)
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

/// Removes a tenant's, all of the few.
pub(crate) async fn remove_of(
    connection: &mut SqliteConnection,
    tenant: TenantId,
) -> Result<u64, Fault> {
    let removed = sqlx::query(
        "DELETE FROM recent_claims WHERE id IN (
             SELECT id FROM recent_claims WHERE tenant = ?1 LIMIT ?2)",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(REMOVED_MOST)
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}
