//! What the lines of the journal say, one after another.

use std::collections::BTreeMap;

use postrider_model::{MessageId, RecipientId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What was open when the process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenEntry {
    pub(crate) recipient: RecipientId,
    pub(crate) message: MessageId,
    pub(crate) attempt: u32,
    /// How many starts in a row have found this recipient in flight, this one among them. 0
    /// where its result is known.
    pub(crate) unclean_starts: u32,
    /// The result that could not be settled: it is to be settled, and nothing sent again.
    pub(crate) result: Option<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    message: MessageId,
    attempt: u32,
    #[serde(default)]
    pub(super) unclean_starts: u32,
    /// False once its doubt was noted: only the count is still of interest.
    in_flight: bool,
    /// True where the process that wrote this began it.
    #[serde(default)]
    pub(super) begun: bool,
    #[serde(default)]
    result: Option<Value>,
}

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// An entry as it stands.
    Entry(RecipientId, Entry),
    Begin(RecipientId, MessageId, u32),
    Result(RecipientId, Value),
    Noted(RecipientId),
    Close(RecipientId),
}

impl Line {
    /// Whose line it is.
    pub(super) fn recipient(&self) -> RecipientId {
        let (Self::Entry(id, _)
        | Self::Begin(id, ..)
        | Self::Result(id, _)
        | Self::Noted(id)
        | Self::Close(id)) = self;
        *id
    }
}

impl Entry {
    /// It may have been taken, and nobody knows.
    pub(super) fn is_doubtful(&self) -> bool {
        self.in_flight && self.result.is_none()
    }

    pub(super) fn is_open(&self) -> bool {
        self.in_flight || self.result.is_some()
    }

    pub(super) fn to_open(&self, recipient: RecipientId) -> OpenEntry {
        OpenEntry {
            recipient,
            message: self.message,
            attempt: self.attempt,
            unclean_starts: if self.is_doubtful() {
                self.unclean_starts
            } else {
                0
            },
            result: self.result.clone(),
        }
    }
}

/// The one meaning of a line, when it is written and when it is read again.
pub(super) fn apply(entries: &mut BTreeMap<RecipientId, Entry>, line: Line) {
    match line {
        Line::Entry(recipient, entry) => {
            entries.insert(recipient, entry);
        }
        Line::Begin(recipient, message, attempt) => {
            // Begun again without a close: the count of unclean starts goes on.
            let unclean_starts = entries.get(&recipient).map_or(0, |old| old.unclean_starts);
            let entry = Entry {
                message,
                attempt,
                unclean_starts,
                in_flight: true,
                begun: true,
                result: None,
            };
            entries.insert(recipient, entry);
        }
        Line::Result(recipient, result) => {
            if let Some(entry) = entries.get_mut(&recipient) {
                entry.result = Some(result);
            }
        }
        Line::Noted(recipient) => {
            if let Some(entry) = entries.get_mut(&recipient) {
                entry.in_flight = false;
            }
        }
        Line::Close(recipient) => {
            entries.remove(&recipient);
        }
    }
}
