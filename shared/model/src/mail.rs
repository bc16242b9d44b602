//! Small facts about a message that are stored beside its bytes.

use crate::state::words;

words!(
    /// The lane of a message.
    #[derive(Default)]
    Stream {
        /// Invoices, estimates, appointments: what one person waits for.
        #[default]
        Transactional = "transactional",
        /// Reminders and campaigns.
        Bulk = "bulk",
    }
);

/// A client's own label on a message.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tag {
    pub name: String,
    pub value: String,
}

/// What is remembered of an attachment after its bytes are gone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attachment {
    pub filename: String,
    /// In bytes, decoded.
    pub size: u64,
    pub content_type: String,
    pub content_id: Option<String>,
}
