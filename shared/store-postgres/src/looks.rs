//! Looks at the suppression list, many at once: every message asks before it is accepted, and a round
//! trip for each would cost as much as its commit. Whoever comes while one look is under way waits for
//! its end, and the next one is for all of them (never on a timer). On SQLite memory answers.

use std::collections::HashSet;

use postrider_model::{EmailAddress, Stream, TenantId, Timestamp};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use uuid::Uuid;

use crate::PostgresStore;
use crate::fault::Fault;
use crate::rows::Id as _;

/// Addresses in one look at most, unless one message has more.
const MOST: usize = 5_000;

/// What one message asks.
struct Look {
    tenant: Uuid,
    stream: Stream,
    folded: Vec<String>,
    now: Timestamp,
    /// Those that are suppressed.
    answer: oneshot::Sender<Result<HashSet<String>, Fault>>,
}

/// Looks that wait, and whose turn it is.
#[derive(Default)]
pub(crate) struct Looks {
    waiting: parking_lot::Mutex<Vec<Look>>,
    turn: tokio::sync::Mutex<()>,
}

impl Looks {
    fn take(&self) -> Vec<Look> {
        let mut waiting = self.waiting.lock();
        let mut sum = 0;
        let fits = waiting.iter().take_while(|look| {
            sum += look.folded.len();
            sum <= MOST
        });
        let count = fits.count().max(1).min(waiting.len());
        waiting.drain(..count).collect()
    }
}

/// Those of `folded` that mail of this tenant and stream must not go to. May be cancelled at any
/// point: who was to be answered by a look that ended early asks again.
pub(crate) async fn suppressed(
    store: &PostgresStore,
    (tenant, stream): (TenantId, Stream),
    addresses: &[EmailAddress],
    now: Timestamp,
) -> Result<HashSet<String>, Fault> {
    let looks = store.looks();
    loop {
        let (answer, mut outcome) = oneshot::channel();
        looks.waiting.lock().push(Look {
            tenant: tenant.uuid(),
            stream,
            folded: addresses.iter().map(EmailAddress::folded).collect(),
            now,
            answer,
        });
        let _turn = looks.turn.lock().await;
        loop {
            match outcome.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Empty) => answer_all(store, looks.take()).await,
                // Taken by one that was cancelled.
                Err(TryRecvError::Closed) => break,
            }
        }
    }
}

async fn answer_all(store: &PostgresStore, looks: Vec<Look>) {
    let found = find(store, &looks).await;
    for (at, look) in looks.into_iter().enumerate() {
        let answer = found.as_ref().map_err(Clone::clone).map(|found| {
            let rows = found.iter().filter(|row| row.look == at);
            let stand = rows.filter(|row| row.until.is_none_or(|until| look.now < until));
            stand.map(|row| row.folded.clone()).collect()
        });
        // Who does not wait any more need not be told.
        let _gone = look.answer.send(answer);
    }
}

/// A suppression that a look asks about.
struct Found {
    look: usize,
    folded: String,
    until: Option<Timestamp>,
}

async fn find(store: &PostgresStore, looks: &[Look]) -> Result<Vec<Found>, Fault> {
    let (mut at, mut tenants, mut streams, mut folded) = (vec![], vec![], vec![], vec![]);
    for (number, look) in (0_i32..).zip(looks) {
        for address in &look.folded {
            at.push(number);
            tenants.push(look.tenant);
            streams.push(look.stream.as_str());
            folded.push(address.as_str());
        }
    }
    let mut connection = store.lend().await?;
    // Index suppressions_address.
    let rows: Vec<(i32, String, Option<i64>)> = sqlx::query_as(
        "SELECT x.at, s.folded, s.until
         FROM unnest($1::integer[], $2::uuid[], $3::text[], $4::text[])
             AS x (at, tenant, stream, folded)
         JOIN suppressions AS s ON s.tenant = x.tenant AND s.folded = x.folded
             AND s.stream IN (x.stream, 'all')",
    )
    .bind(at)
    .bind(tenants)
    .bind(streams)
    .bind(folded)
    .fetch_all(&mut *connection)
    .await?;
    connection.back();
    let rows = rows.into_iter();
    Ok(rows
        .map(|(at, folded, until)| Found {
            look: usize::try_from(at).unwrap_or(usize::MAX),
            folded,
            until: until.map(Timestamp::from_micros),
        })
        .collect())
}
