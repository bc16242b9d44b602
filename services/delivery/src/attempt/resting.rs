//! Rows that an attempt gives back as they were, or to a later time.

use postrider_model::{Timestamp, WaitCause};
use postrider_store::QueueRow;

use super::Left;

/// As they are: nothing was learned of them.
pub(super) fn untouched(rows: impl IntoIterator<Item = QueueRow>) -> Vec<Left> {
    let rows = rows.into_iter();
    rows.map(|row| Left::Back(Box::new(row))).collect()
}

/// Not before `due_at`, for this reason.
pub(super) fn rest(
    rows: impl IntoIterator<Item = QueueRow>,
    due_at: Timestamp,
    cause: Option<WaitCause>,
) -> Vec<Left> {
    let rows = rows.into_iter().map(|row| QueueRow {
        due_at,
        cause: cause.unwrap_or(row.cause),
        ..row
    });
    untouched(rows)
}
