//! How long is waited for a client, and what it is told in the end.

use std::time::Duration;

use tokio::time::Instant;

use crate::catalogue::Entry;
use crate::submission::SmtpConfig;

/// The times of one session.
pub(crate) struct Patience {
    began: Instant,
    last: Instant,
    content: Option<Content>,
}

struct Content {
    began: Instant,
    bytes: u64,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// A password.
    SignIn,
    /// The next command within a message.
    Command,
    /// The next message, or QUIT.
    Message,
    Content,
}

/// When the wait is over, and with which entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) entry: Entry,
}

impl Patience {
    pub(crate) fn new(began: Instant) -> Self {
        Self {
            began,
            last: began,
            content: None,
        }
    }

    pub(crate) fn heard(&mut self, bytes: usize, now: Instant) {
        self.last = now;
        if let Some(content) = &mut self.content {
            content.bytes += bytes as u64;
        }
    }

    /// Time that we took does not count as the client's.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.last = now;
    }

    /// Time within content that we took for ourselves.
    pub(crate) fn forgive(&mut self, span: Duration, now: Instant) {
        self.last = now;
        if let Some(content) = &mut self.content {
            content.began += span;
        }
    }

    pub(crate) fn content_begins(&mut self, began: Instant) {
        let bytes = 0;
        self.last = began;
        self.content = Some(Content { began, bytes });
    }

    pub(crate) fn content_ended(&mut self, now: Instant) {
        self.last = now;
        self.content = None;
    }

    pub(crate) fn deadline(&self, waiting: Waiting, config: &SmtpConfig) -> Deadline {
        let idle = Deadline {
            at: self.last + config.idle,
            entry: Entry::IDLE,
        };
        match (waiting, &self.content) {
            (Waiting::SignIn, _) => sooner(
                idle,
                self.began + config.before_sign_in,
                Entry::TOO_SLOW_TO_SIGN_IN,
            ),
            (Waiting::Content, Some(content)) => {
                let earned = content.bytes / config.data_bytes_per_second.max(1);
                let at = content.began + config.data_grace + Duration::from_secs(earned);
                sooner(idle, at, Entry::TOO_SLOW)
            }
            // Who keeps a message open with NOOP has an end too, a later one.
            (Waiting::Command, _) => {
                let at = self.began + config.session * 2;
                sooner(idle, at, Entry::SESSION_TOO_LONG)
            }
            // Not in the midst of a message.
            (Waiting::Message, _) => {
                sooner(idle, self.began + config.session, Entry::SESSION_TOO_LONG)
            }
            (Waiting::Content, _) => idle,
        }
    }
}

fn sooner(one: Deadline, at: Instant, entry: Entry) -> Deadline {
    if at < one.at {
        Deadline { at, entry }
    } else {
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_has_its_own_end() {
        let config = SmtpConfig::default();
        let began = Instant::now();
        let mut patience = Patience::new(began);
        let over = |patience: &Patience, waiting| {
            let Deadline { at, entry } = patience.deadline(waiting, &config);
            (at.duration_since(began).as_secs(), entry.id)
        };
        assert_eq!(over(&patience, Waiting::SignIn), (60, "PR-511"));
        assert_eq!(over(&patience, Waiting::Command), (300, "PR-512"));
        let later = began + Duration::from_mins(26);
        patience.heard(10, later);
        assert_eq!(over(&patience, Waiting::Message), (1_800, "PR-513"));
        assert_eq!(over(&patience, Waiting::Command), (1_860, "PR-512"));
        patience.content_begins(later);
        assert_eq!(over(&patience, Waiting::Content), (1_590, "PR-514"));
        patience.heard(5_000, later);
        assert_eq!(over(&patience, Waiting::Content), (1_600, "PR-514"));
        patience.forgive(Duration::from_secs(30), later);
        assert_eq!(over(&patience, Waiting::Content), (1_630, "PR-514"));
    }
}
