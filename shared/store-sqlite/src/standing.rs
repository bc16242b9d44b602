//! Recipients as they stand, read inside the committer's transaction before they are changed.

use std::collections::HashMap;

use postrider_model::{
    MessageId, RecipientId, RecipientState, TenantId, Timestamp, WaitCause, Waits,
};
use postrider_store::{Epoch, Outcome, Settlement, Shard};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{Place, json};

/// A recipient as it stood before.
pub(crate) struct Standing {
    pub(crate) tenant: TenantId,
    pub(crate) state: RecipientState,
    pub(crate) attempts: u32,
    pub(crate) events: i64,
    pub(crate) waits: Waits,
    pub(crate) updated_at: Timestamp,
    /// Its queue row, where it has one.
    pub(crate) queued: Option<Queued>,
    /// How often the shard that was asked about has changed hands.
    pub(crate) epoch: Option<Epoch>,
}

/// What a queue row says of its waiting.
#[derive(Clone, Copy)]
pub(crate) struct Queued {
    pub(crate) cause: WaitCause,
    pub(crate) since: Timestamp,
    pub(crate) due_at: Timestamp,
}

/// Whom to read.
#[derive(Serialize)]
pub(crate) struct Key {
    pub(crate) message: MessageId,
    pub(crate) recipient: RecipientId,
    /// The shard whose epoch matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<u16>,
}

impl Key {
    pub(crate) fn of(message: MessageId, recipient: RecipientId) -> Self {
        Self {
            message,
            recipient,
            shard: None,
        }
    }

    pub(crate) fn with_shard(self, shard: Option<Shard>) -> Self {
        Self {
            shard: shard.map(Shard::number),
            ..self
        }
    }
}

/// As the database answers: key, tenant (in hex), state, attempts, events, waits, last settlement; cause, beginning
/// and end of the wait from the queue row; epoch.
type Row = (
    usize,
    TenantId,
    RecipientState,
    u32,
    i64,
    String,
    i64,
    Option<WaitCause>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// Those that are there.
pub(crate) async fn read(
    connection: &mut SqliteConnection,
    keys: &[Key],
) -> Result<HashMap<RecipientId, Standing>, Fault> {
    // Indexes recipients (primary key), queue_recipient and shards (primary key). One JSON text
    // for all: an answer per row would cost two changes of thread each.
    let rows: String = sqlx::query_scalar(
        "WITH k AS MATERIALIZED (SELECT key, value ->> 'message' AS message,
             value ->> 'recipient' AS recipient, value ->> 'shard' AS shard FROM json_each(?1))
         SELECT json_group_array(json_array(k.key, hex(r.tenant), r.state, r.attempts, r.events, r.waits,
             r.updated_at, q.cause, q.since, q.due_at, s.epoch))
         FROM k CROSS JOIN recipients AS r
             ON r.message = unhex(k.message, '-') AND r.id = unhex(k.recipient, '-')
         LEFT JOIN queue AS q ON q.recipient = r.id
         LEFT JOIN shards AS s ON s.shard = k.shard",
    )
    .bind(json(keys)?)
    .fetch_one(connection)
    .await?;
    let all = Place {
        table: "recipients",
        id: &[],
    };
    let rows: Vec<Row> = all.cell("state", serde_json::from_str(&rows))?;
    let mut standings = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Some(key) = keys.get(row.0) {
            standings.insert(key.recipient, standing(key.recipient, row)?);
        }
    }
    Ok(standings)
}

fn standing(recipient: RecipientId, row: Row) -> Result<Standing, Fault> {
    let (_, tenant, state, attempts, events, waits, updated_at, cause, since, due_at, epoch) = row;
    let place = Place {
        table: "recipients",
        id: recipient.as_bytes(),
    };
    let queued = match (cause, since, due_at) {
        (Some(cause), Some(since), Some(due_at)) => Some(Queued {
            cause,
            since: Timestamp::from_micros(since),
            due_at: Timestamp::from_micros(due_at),
        }),
        _ => None,
    };
    Ok(Standing {
        tenant,
        state,
        attempts,
        events,
        waits: place.cell("waits", serde_json::from_str(&waits))?,
        updated_at: Timestamp::from_micros(updated_at),
        queued,
        epoch: epoch.map(Epoch),
    })
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
        self.updated_at == settlement.at && self.attempts == attempts
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
