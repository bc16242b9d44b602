//! What became of a message, in words that tests compare.

use serde_json::Value;

/// The events of one message, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Timeline(pub(crate) Vec<Value>);

const FINAL: [&str; 6] = [
    "delivered",
    "bounced",
    "failed",
    "expired",
    "cancelled",
    "suppressed",
];

impl Timeline {
    /// The events of one recipient.
    pub(crate) fn of(&self, recipient: &str) -> Self {
        let of = |event: &&Value| event["recipient"] == recipient;
        Self(self.0.iter().filter(of).cloned().collect())
    }

    /// The types, in their order.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.0
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect()
    }

    /// The types without those that say that an attempt began.
    pub(crate) fn outcomes(&self) -> Vec<&str> {
        let mut kinds = self.kinds();
        kinds.retain(|kind| *kind != "attempted");
        kinds
    }

    pub(crate) fn has(&self, kind: &str) -> bool {
        self.kinds().contains(&kind)
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.kinds().iter().filter(|other| **other == kind).count()
    }

    /// The first event of this type.
    #[track_caller]
    pub(crate) fn first(&self, kind: &str) -> &Value {
        let found = self.0.iter().find(|event| event["type"] == kind);
        found.unwrap_or_else(|| panic!("no event {kind}: {:#?}", self.0))
    }

    /// How it ended, where it has.
    pub(crate) fn end(&self) -> Option<&Value> {
        let is_final = |event: &&Value| FINAL.contains(&event["type"].as_str().unwrap());
        self.0.iter().find(is_final)
    }

    /// Everybody it went to, each once.
    pub(crate) fn recipients(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for event in &self.0 {
            let recipient = event["recipient"].as_str().unwrap();
            if !all.contains(&recipient) {
                all.push(recipient);
            }
        }
        all
    }

    /// Whether each recipient has come to an end.
    pub(crate) fn is_settled(&self) -> bool {
        let recipients = self.recipients();
        !recipients.is_empty() && recipients.iter().all(|one| self.of(one).end().is_some())
    }
}

/// `550 5.1.1` of an event's reply; `-` where there is none.
pub(crate) fn codes(event: &Value) -> String {
    let reply = &event["reply"];
    match (reply["code"].as_u64(), reply["enhanced"].as_str()) {
        (Some(code), Some(enhanced)) => format!("{code} {enhanced}"),
        (Some(code), None) => code.to_string(),
        (None, _) => "-".to_owned(),
    }
}

/// The value of the header field that stands first, unfolded; empty where there is none.
pub(crate) fn header(raw: &[u8], name: &str) -> String {
    postrider_message::header_value(raw, name).unwrap_or_default()
}

/// How often a header field stands in a message.
pub(crate) fn header_count(raw: &[u8], name: &str) -> usize {
    postrider_message::header_values(raw, name).len()
}

/// What follows the header.
pub(crate) fn body(raw: &[u8]) -> &[u8] {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    &raw[end + 4..]
}
