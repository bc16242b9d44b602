//! Recipients as they stand, locked and read before they are changed.

use std::collections::HashMap;

use postrider_model::{
    MessageId, RecipientId, RecipientState, TenantId, Timestamp, WaitCause, Waits,
};
use postrider_store::{Outcome, Settlement};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place};

/// A recipient as it stood before.
pub(crate) struct Standing {
    pub(crate) tenant: TenantId,
    pub(crate) state: RecipientState,
    pub(crate) attempts: i64,
    pub(crate) events: i64,
    pub(crate) waits: Waits,
    pub(crate) updated_at: Timestamp,
    /// Its queue row, where it has one and it was asked for.
    pub(crate) queued: Option<Queued>,
}

/// What a queue row says of its waiting.
#[derive(Clone, Copy)]
pub(crate) struct Queued {
    pub(crate) cause: WaitCause,
    pub(crate) since: Timestamp,
    pub(crate) due_at: Timestamp,
}

/// Those that are there, until the transaction ends for nobody else to change. Locked in one order
/// by all: by message and id.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    keys: impl Iterator<Item = (MessageId, RecipientId)>,
) -> Result<HashMap<RecipientId, Standing>, Fault> {
    let (messages, recipients): (Vec<Uuid>, Vec<Uuid>) =
        keys.map(|(m, r)| (m.uuid(), r.uuid())).unzip();
    // Index recipients (primary key), in the part of each message's day.
    let rows: Vec<(Uuid, Uuid, String, i64, i64, String, i64)> = sqlx::query_as(
        "SELECT r.id, r.tenant, r.state, r.attempts, r.events, r.waits, r.updated_at
         FROM unnest($1::uuid[], $2::uuid[]) AS x (message, id)
         JOIN recipients AS r ON r.message = x.message AND r.id = x.id
         ORDER BY r.message, r.id FOR NO KEY UPDATE OF r",
    )
    .bind(messages)
    .bind(recipients)
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter();
    rows.map(|(id, tenant, state, attempts, events, waits, updated_at)| {
        let place = Place {
            table: "recipients",
            id,
        };
        let standing = Standing {
            tenant: TenantId::of(tenant),
            state: place.cell("state", RecipientState::parse(&state))?,
            attempts,
            events,
            waits: place.json("waits", &waits)?,
            updated_at: Timestamp::from_micros(updated_at),
            queued: None,
        };
        Ok((RecipientId::of(id), standing))
    })
    .collect()
}

/// Their queue rows. Asked after they are locked, not with it: what a lock waited for is seen by
/// the next statement only.
pub(crate) async fn read_queued(
    connection: &mut PgConnection,
    standing: &mut HashMap<RecipientId, Standing>,
) -> Result<(), Fault> {
    let recipients: Vec<Uuid> = standing.keys().map(|id| id.uuid()).collect();
    // Index queue (primary key).
    let rows: Vec<(Uuid, String, i64, i64)> = sqlx::query_as(
        "SELECT recipient, cause, since, due_at FROM queue WHERE recipient = ANY($1)",
    )
    .bind(recipients)
    .fetch_all(connection)
    .await?;
    for (id, cause, since, due_at) in rows {
        let place = Place { table: "queue", id };
        if let Some(standing) = standing.get_mut(&RecipientId::of(id)) {
            standing.queued = Some(Queued {
                cause: place.cell("cause", WaitCause::parse(&cause))?,
                since: Timestamp::from_micros(since),
                due_at: Timestamp::from_micros(due_at),
            });
        }
    }
    Ok(())
}

impl Standing {
    /// Whether the last thing that happened to it may be this very settlement. Its events tell.
    pub(crate) fn may_be_of(&self, settlement: &Settlement) -> bool {
        let attempts = match settlement.outcome {
            Outcome::Final { attempts, .. }
            | Outcome::Retry { attempts, .. }
            | Outcome::Held { attempts } => attempts,
            Outcome::Noted => return false,
        };
        self.updated_at == settlement.at && self.attempts == i64::from(attempts)
    }

    /// The ledger up to `now`: what was waited for since it was last written, by what the
    /// database knows of it.
    pub(crate) fn waits_until(&self, now: Timestamp) -> Waits {
        let mut waits = self.waits.clone();
        match self.queued {
            Some(row) => {
                waits.add(row.cause, row.due_at.min(now).since(row.since));
                waits.add(WaitCause::Turn, now.since(row.due_at.max(row.since)));
            }
            None if self.state == RecipientState::Held => {
                waits.add(WaitCause::Held, now.since(self.updated_at));
            }
            None => {}
        }
        waits
    }
}
