//! What is said to a host and heard from it, for a message that an operator follows (`postrider send
//! --trace`): kept in memory alone, bounded, and for nobody else's mail.
//!
//! The attempt knows whether it is followed, the session has the lines, and what lies between them
//! need not know of it: the task carries the trace.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use postrider_model::{EmailAddress, MessageId, TenantId, Timestamp};
use postrider_runtime::Clock;
use serde::{Deserialize, Serialize};

use crate::reply::RawReply;
use crate::settle::Party;

/// Messages that are followed at once; the one that was begun first gives way.
const FOLLOWED_MOST: usize = 16;
/// Lines that are kept of a message; what comes after them is not.
const LINES_MOST: usize = 500;
/// Characters that are kept of a line.
const CHARS_MOST: usize = 600;

tokio::task_local! {
    static TRACE: Trace;
}

/// What is followed. Cheap to clone; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct Traces(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    followed: Mutex<VecDeque<Arc<Followed>>>,
    is_served: AtomicBool,
}

#[derive(Debug)]
struct Followed {
    tenant: TenantId,
    /// Folded. The message has no id yet when it begins to be followed.
    recipient: String,
    lines: Mutex<Vec<(MessageId, TraceLine)>>,
}

/// A line of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceLine {
    pub at: Timestamp,
    pub way: TraceWay,
    /// Without its end; what could steer a terminal is masked.
    pub text: String,
}

/// Whose line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceWay {
    /// To the host.
    Said,
    /// From the host.
    Heard,
    /// Of this relay, about what it does.
    Noted,
}

impl Traces {
    /// Keeps what is said about mail of this tenant to this recipient from here on. Call it before
    /// the message is accepted: its first attempt begins at once.
    pub fn follow(&self, tenant: TenantId, recipient: &EmailAddress) {
        let recipient = recipient.folded();
        let mut followed = self.0.followed.lock();
        followed.retain(|one| one.tenant != tenant || one.recipient != recipient);
        if followed.len() >= FOLLOWED_MOST {
            followed.pop_front();
        }
        followed.push_back(Arc::new(Followed {
            tenant,
            recipient,
            lines: Mutex::default(),
        }));
    }

    /// What was said about this message, without the first `seen` lines.
    pub fn lines(&self, message: MessageId, seen: usize) -> Vec<TraceLine> {
        let followed = self.0.followed.lock();
        let of_message = |one: &Arc<Followed>| {
            let lines = one.lines.lock();
            let its_own = lines.iter().filter(|(id, _)| *id == message);
            its_own.map(|(_, line)| line.clone()).collect::<Vec<_>>()
        };
        followed.iter().flat_map(of_message).skip(seen).collect()
    }

    /// Whether this process delivers, so that there will be lines.
    pub fn is_served(&self) -> bool {
        self.0.is_served.load(Ordering::Relaxed)
    }

    pub(crate) fn serve(&self) {
        self.0.is_served.store(true, Ordering::Relaxed);
    }

    /// The trace of an attempt, where one of its recipients is followed.
    pub(crate) fn of(&self, parties: &[Party], clock: &Clock) -> Option<Trace> {
        let followed = self.0.followed.lock();
        let found = followed.iter().find_map(|one| {
            let is_it = |party: &&Party| {
                party.row.tenant == one.tenant && party.recipient.address.folded() == one.recipient
            };
            let party = parties.iter().find(is_it)?;
            Some((Arc::clone(one), party.row.message))
        });
        let (followed, message) = found?;
        Some(Trace {
            followed,
            message,
            clock: clock.clone(),
        })
    }
}

/// Where an attempt's lines go.
#[derive(Clone)]
pub(crate) struct Trace {
    followed: Arc<Followed>,
    message: MessageId,
    clock: Clock,
}

impl Trace {
    fn add(&self, way: TraceWay, text: &str) {
        let mut lines = self.followed.lines.lock();
        if lines.len() >= LINES_MOST {
            return;
        }
        let mask = |one: char| if one.is_control() { '\u{fffd}' } else { one };
        let text = text.chars().take(CHARS_MOST).map(mask).collect();
        let at = self.clock.now();
        lines.push((self.message, TraceLine { at, way, text }));
    }
}

/// Does it with what is said there written down, where there is a trace.
pub(crate) async fn within<T: Send>(
    trace: Option<Trace>,
    work: impl Future<Output = T> + Send,
) -> T {
    match trace {
        Some(trace) => TRACE.scope(trace, work).await,
        None => work.await,
    }
}

/// Whether what is done here is followed.
pub(crate) fn is_on() -> bool {
    TRACE.try_with(|_| ()).is_ok()
}

/// Commands, as they are written.
pub(crate) fn said(bytes: &[u8]) {
    with(|trace| {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            trace.add(TraceWay::Said, line);
        }
    });
}

/// A reply, line by line as RFC 5321 §4.2.1 has it.
pub(crate) fn heard(reply: &RawReply) {
    with(|trace| {
        let text = String::from_utf8_lossy(&reply.text);
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let joint = if lines.peek().is_some() { '-' } else { ' ' };
            trace.add(TraceWay::Heard, &format!("{:03}{joint}{line}", reply.code));
        }
    });
}

/// What this relay does or meets.
pub(crate) fn noted(text: impl FnOnce() -> String) {
    with(|trace| trace.add(TraceWay::Noted, &text()));
}

fn with(write: impl FnOnce(&Trace)) {
    // Outside of a trace there is nobody to tell.
    TRACE.try_with(write).unwrap_or(());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(traces: &Traces, message: MessageId) -> Trace {
        let followed = traces.0.followed.lock().back().cloned().unwrap();
        Trace {
            followed,
            message,
            clock: Clock::system(),
        }
    }

    #[tokio::test]
    async fn lines_are_kept_for_whom_they_are_and_nobody_else() {
        let traces = Traces::default();
        let tenant = TenantId::from_bytes([1; 16]);
        traces.follow(tenant, &"Ann@example.org".parse().unwrap());
        let (mine, other) = (
            MessageId::from_bytes([2; 16]),
            MessageId::from_bytes([3; 16]),
        );
        let hello = async {
            said(b"EHLO relay.test\r\n");
            heard(&RawReply {
                code: 250,
                text: b"mx\nSIZE \x1b[31m".to_vec(),
            });
        };
        within(Some(trace(&traces, mine)), hello).await;
        within(Some(trace(&traces, other)), async {
            noted(|| "other".to_owned());
        })
        .await;
        within(None, async { said(b"MAIL FROM:<>\r\n") }).await;
        let texts: Vec<_> = traces
            .lines(mine, 0)
            .into_iter()
            .map(|one| one.text)
            .collect();
        assert_eq!(
            texts,
            ["EHLO relay.test", "250-mx", "250 SIZE \u{fffd}[31m"]
        );
        assert_eq!(traces.lines(mine, 2).len(), 1);
        assert_eq!(traces.lines(other, 0).len(), 1);
    }

    #[tokio::test]
    async fn neither_lines_nor_messages_grow_without_bound() {
        let traces = Traces::default();
        let message = MessageId::from_bytes([2; 16]);
        for number in 0..100_u8 {
            let tenant = TenantId::from_bytes([number; 16]);
            traces.follow(tenant, &"ann@example.org".parse().unwrap());
        }
        assert_eq!(traces.0.followed.lock().len(), FOLLOWED_MOST);
        let long = vec![b'x'; 5_000];
        within(Some(trace(&traces, message)), async {
            for _ in 0..2 * LINES_MOST {
                said(&long);
            }
        })
        .await;
        let lines = traces.lines(message, 0);
        assert_eq!((lines.len(), lines[0].text.len()), (LINES_MOST, CHARS_MOST));
    }
}
