//! The questions to the database, one at a time.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use postrider_model::Timestamp;
use postrider_store::{
    Changes, Control, Controls, Cursor, LaneKey, LanePage, Place, Queue, QueueRow, Shard,
    StoreError,
};
use tokio::time::timeout;

use super::PAGE;
use super::sweep::SWEPT;

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(30);

/// A question.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Before anything of these shards is read: which verbs stand; where changes begin, if that
    /// is not known.
    Begin {
        shards: Vec<Shard>,
        cursor: bool,
    },
    Verbs,
    /// The beginnings of these shards' lanes.
    Shards {
        shards: Vec<Shard>,
        until: Timestamp,
        limit: u32,
    },
    Changes {
        shards: Arc<[Shard]>,
        since: Cursor,
    },
    /// Rows that have come near their time.
    Near {
        shards: Arc<[Shard]>,
        span: Range<Timestamp>,
        after: Option<Place>,
    },
    /// The next page of a lane.
    Lane {
        lane: LaneKey,
        after: Place,
        until: Timestamp,
        limit: u32,
    },
    Sweep {
        shards: Vec<Shard>,
        until: Timestamp,
    },
}

/// An answer.
#[derive(Debug)]
pub(crate) enum Found {
    Begun(Option<Cursor>, Vec<Control>),
    Verbs(Vec<Control>),
    Pages(Vec<LanePage>),
    Changes(Changes),
    Rows(Vec<QueueRow>),
}

/// Asks the database.
pub(crate) async fn ask(
    queue: Arc<dyn Queue>,
    controls: Arc<dyn Controls>,
    work: Work,
) -> (Work, Result<Found, StoreError>) {
    let asked = answer(queue.as_ref(), controls.as_ref(), &work);
    let found = match timeout(ANSWER, asked).await {
        Ok(found) => found,
        Err(late) => Err(StoreError::Unavailable(Box::new(late))),
    };
    (work, found)
}

async fn answer(
    queue: &dyn Queue,
    controls: &dyn Controls,
    work: &Work,
) -> Result<Found, StoreError> {
    match work {
        Work::Begin { cursor, .. } => {
            let cursor = if *cursor {
                Some(queue.cursor().await?)
            } else {
                None
            };
            Ok(Found::Begun(cursor, controls.controls().await?))
        }
        Work::Verbs => controls.controls().await.map(Found::Verbs),
        Work::Shards {
            shards,
            until,
            limit,
        } => {
            let pages = queue.load_shards(shards, *until, *limit).await;
            pages.map(Found::Pages)
        }
        Work::Changes { shards, since } => {
            let changes = queue.load_changed(shards, since, PAGE).await;
            changes.map(Found::Changes)
        }
        Work::Near {
            shards,
            span,
            after,
        } => {
            let rows = queue.load_due(shards, span.clone(), *after, PAGE).await;
            rows.map(Found::Rows)
        }
        Work::Lane {
            lane,
            after,
            until,
            limit,
        } => {
            let rows = queue.load_lane(*lane, *after, *until, *limit).await;
            rows.map(Found::Rows)
        }
        Work::Sweep { shards, until } => {
            let pages = queue.load_shards(shards, *until, SWEPT).await;
            pages.map(Found::Pages)
        }
    }
}
