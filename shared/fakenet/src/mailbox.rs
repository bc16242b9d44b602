//! What the exchangers received: one entry for each transaction, whole, within a bound. Signatures
//! are verified when somebody looks, so that a load that nobody looks at costs nothing.

mod verdicts;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use postrider_model::Timestamp;
use tokio::sync::watch;

use verdicts::Verdicts;

/// More is not kept; the oldest goes first.
const MOST_MESSAGES: usize = 10_000;
const MOST_BYTES: usize = 256 << 20;

/// One received message with its envelope. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Counted from 1 since the start; never given twice.
    pub id: u64,
    /// The exchanger's name: `mx.example.org`.
    pub host: Arc<str>,
    pub peer: SocketAddr,
    /// What the client called itself in EHLO or HELO.
    pub hello: String,
    /// Without angle brackets; empty for `<>`.
    pub mail_from: String,
    /// The accepted ones, in their order.
    pub rcpt_to: Vec<String>,
    pub received_at: Timestamp,
    /// `TLSv1.3 TLS_AES_256_GCM_SHA384`; `None` in plain.
    pub tls: Option<String>,
    /// The message as it was before dot-stuffing.
    pub raw: Bytes,
}

/// What a list of messages says of one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    pub id: String,
    pub mail_from: String,
    pub rcpt_to: Vec<String>,
    pub received_at: Timestamp,
    /// Bytes of the message.
    pub size: usize,
    pub tls: Option<String>,
    /// Unfolded and decoded (RFC 2047).
    pub subject: Option<String>,
    /// `pass` or `fail` for each DKIM-Signature, in their order, the key asked of this
    /// internet's DNS.
    pub dkim: Vec<&'static str>,
}

/// The messages that all exchangers of one internet received.
#[derive(Debug)]
pub struct Mailbox {
    kept: Mutex<Kept>,
    /// Messages that are kept.
    most: usize,
    count: watch::Sender<usize>,
    verdicts: Verdicts,
}

#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Received>,
    bytes: usize,
    last_id: u64,
}

impl Mailbox {
    /// `dns`: who is asked for the keys of signatures.
    pub(crate) fn new(dns: SocketAddr) -> Self {
        Self {
            kept: Mutex::default(),
            most: MOST_MESSAGES,
            count: watch::Sender::new(0),
            verdicts: Verdicts::new(dns),
        }
    }

    /// One that keeps nothing, so that nobody's keys are asked for either.
    pub(crate) fn none() -> Self {
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            most: 0,
            ..Self::new(nobody)
        }
    }

    /// All messages with their verdicts, the oldest first. A signature is verified once, the
    /// first time that it is looked at and its key is there.
    pub async fn entries(&self) -> Vec<Entry> {
        let messages = self.messages();
        let oldest = messages.first().map_or(u64::MAX, |message| message.id);
        self.verdicts.forget_before(oldest);
        let mut entries = Vec::with_capacity(messages.len());
        for message in messages {
            entries.push(self.describe(message).await);
        }
        entries
    }

    /// One message with its verdicts.
    pub async fn entry(&self, id: u64) -> Option<Entry> {
        let message = self.message(id)?;
        Some(self.describe(message).await)
    }

    async fn describe(&self, message: Received) -> Entry {
        let dkim = self.verdicts.of(&message).await;
        Entry {
            id: message.id.to_string(),
            subject: postrider_message::header_value(&message.raw, "Subject"),
            size: message.raw.len(),
            mail_from: message.mail_from,
            rcpt_to: message.rcpt_to,
            received_at: message.received_at,
            tls: message.tls,
            dkim,
        }
    }

    /// All messages, the oldest first.
    pub fn messages(&self) -> Vec<Received> {
        self.kept.lock().messages.iter().cloned().collect()
    }

    /// The messages that one exchanger received, the oldest first.
    pub fn of_host(&self, host: &str) -> Vec<Received> {
        let kept = self.kept.lock();
        let of_host = kept.messages.iter().filter(|m| *m.host == *host);
        of_host.cloned().collect()
    }

    pub fn message(&self, id: u64) -> Option<Received> {
        let kept = self.kept.lock();
        kept.messages.iter().find(|m| m.id == id).cloned()
    }

    /// The bytes of one message.
    pub fn raw(&self, id: u64) -> Option<Bytes> {
        self.message(id).map(|message| message.raw)
    }

    /// Empties the mailbox.
    pub fn clear(&self) {
        let mut kept = self.kept.lock();
        kept.messages.clear();
        kept.bytes = 0;
        self.count.send_replace(0);
    }

    /// Returns once there are `count` messages or more in it. May be cancelled at any point.
    pub async fn wait_for(&self, count: usize) {
        // The sender lives in `self`, so this only ends by the count being reached.
        let mut seen = self.count.subscribe();
        let _reached = seen.wait_for(|&n| n >= count).await;
    }

    /// Takes a message in and gives it its id.
    pub(crate) fn keep(&self, mut message: Received) {
        let mut kept = self.kept.lock();
        kept.last_id += 1;
        message.id = kept.last_id;
        kept.bytes += message.raw.len();
        kept.messages.push_back(message);
        while kept.messages.len() > self.most || kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.messages.pop_front() else {
                break;
            };
            kept.bytes -= oldest.raw.len();
        }
        self.count.send_replace(kept.messages.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(size: usize) -> Received {
        Received {
            id: 0,
            host: "mx.example.org".into(),
            peer: "127.0.0.1:1".parse().unwrap(),
            hello: String::new(),
            mail_from: String::new(),
            rcpt_to: Vec::new(),
            received_at: Timestamp::from_micros(0),
            tls: None,
            raw: Bytes::from(vec![b'x'; size]),
        }
    }

    #[test]
    fn the_oldest_messages_go_when_there_are_too_many() {
        let mailbox = Mailbox::new("127.0.0.1:9".parse().unwrap());
        for _ in 0..MOST_MESSAGES + 5 {
            mailbox.keep(message(1));
        }
        assert_eq!(mailbox.messages().len(), MOST_MESSAGES);
        assert!(mailbox.message(5).is_none());
        assert!(mailbox.message(6).is_some());
    }

    #[test]
    fn the_oldest_messages_go_when_they_are_too_large() {
        let mailbox = Mailbox::new("127.0.0.1:9".parse().unwrap());
        for _ in 0..5 {
            mailbox.keep(message(60 << 20));
        }
        assert_eq!(mailbox.messages().len(), 4);
        assert_eq!(mailbox.messages()[0].id, 2);
    }
}
