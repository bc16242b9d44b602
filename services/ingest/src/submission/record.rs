//! The black box of one session. Only what may be seen comes in here: `postrider_smtp` takes
//! passwords and AUTH lines out of what it heard before it shows it, and content never comes.

use std::collections::VecDeque;
use std::time::Duration;

use postrider_gate::{Caller, SmtpPassword};
use postrider_model::{
    ApiToken, CredentialId, MessageId, Session, SessionCode, SessionLine, SessionTls, Side,
    TenantId, Timestamp,
};
use postrider_runtime::Clock;
use tokio::time::Instant;

use crate::submission::Guest;
use crate::submission::verdict::{Facts, Reached};

/// Lines of each half that are kept: the middle of a long dialogue is cut.
const HALF_LINES: usize = 100;
/// And bytes.
const HALF_BYTES: usize = 16 * 1024;
/// Bytes of one line.
const LINE_MOST: usize = 512;
/// Messages that are named.
const EMAILS_MOST: usize = 200;
/// How soon it is written that there is something new.
const MOMENT: Duration = Duration::from_millis(200);
/// How often a session that lasts is written anew: soon behind a refusal; each time after twice as
/// long while all goes well, since what is written anew is all of it.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MOST: Duration = Duration::from_secs(30);

/// What was said, and what came of it.
pub(crate) struct Record {
    pub(crate) code: SessionCode,
    pub(crate) tls: SessionTls,
    pub(crate) facts: Facts,
    /// Whether it has its place among those that are kept.
    pub(crate) is_kept: bool,
    guest: Guest,
    clock: Clock,
    started_at: Timestamp,
    tenant: Option<TenantId>,
    credential: Option<CredentialId>,
    claimed: Option<TenantId>,
    head: Vec<SessionLine>,
    head_bytes: usize,
    tail: VecDeque<SessionLine>,
    tail_bytes: usize,
    left_out: usize,
    emails: Vec<MessageId>,
    /// Since when it has something to show that was not written yet.
    news: Option<Instant>,
    written: Option<Instant>,
    pause: Duration,
}

impl Record {
    pub(crate) fn new(code: SessionCode, guest: Guest, clock: Clock) -> Self {
        Self {
            code,
            tls: SessionTls::default(),
            facts: Facts::default(),
            is_kept: false,
            guest,
            started_at: clock.now(),
            clock,
            tenant: None,
            credential: None,
            claimed: None,
            head: Vec::new(),
            head_bytes: 0,
            tail: VecDeque::new(),
            tail_bytes: 0,
            left_out: 0,
            emails: Vec::new(),
            news: None,
            written: None,
            pause: PAUSE,
        }
    }

    pub(crate) fn client(&mut self, line: String) {
        self.facts.reach(Reached::Command);
        self.line(Side::Client, line);
    }

    pub(crate) fn server(&mut self, line: String) {
        self.line(Side::Server, line);
    }

    pub(crate) fn signed_in(&mut self, caller: &Caller) {
        self.tenant = Some(caller.tenant.id);
        self.credential = caller.credential;
        self.facts.reach(Reached::SignedIn);
    }

    /// A sign-in that failed named this tenant, if any.
    pub(crate) fn claimed(&mut self, tenant: Option<TenantId>) {
        self.claimed = tenant.or(self.claimed);
    }

    pub(crate) fn accepted(&mut self, email: Option<MessageId>) {
        self.facts.accepted += 1;
        self.news.get_or_insert_with(Instant::now);
        if let Some(email) = email
            && self.emails.len() < EMAILS_MOST
            && !self.emails.contains(&email)
        {
            self.emails.push(email);
        }
    }

    /// A refusal is worth showing.
    pub(crate) fn has_news(&mut self) {
        self.news.get_or_insert_with(Instant::now);
        self.pause = PAUSE;
    }

    /// When it should be written; `None` while there is nothing new. Most sessions are over before.
    pub(crate) fn due(&self) -> Option<Instant> {
        let soonest = self.news? + MOMENT;
        Some(
            self.written
                .map_or(soonest, |at| soonest.max(at + self.pause)),
        )
    }

    /// As it is now, while the session lasts.
    pub(crate) fn so_far(&mut self) -> Session {
        self.news = None;
        if self.written.replace(Instant::now()).is_some() {
            self.pause = (self.pause * 2).min(PAUSE_MOST);
        }
        self.session(None)
    }

    /// As it ended.
    pub(crate) fn at_end(&self) -> Session {
        self.session(Some(self.clock.now()))
    }

    fn session(&self, ended_at: Option<Timestamp>) -> Session {
        Session {
            code: self.code,
            started_at: self.started_at,
            ended_at,
            tenant: self.tenant,
            credential: self.credential,
            // Who signed in after all is known.
            claimed: self.claimed.filter(|_| self.tenant.is_none()),
            peer: self.guest.peer,
            port: self.guest.port.number,
            verdict: self.facts.verdict(&self.tls),
            tls: self.tls.clone(),
            dialogue: self.dialogue(),
            emails: self.emails.clone(),
        }
    }

    fn dialogue(&self) -> Vec<SessionLine> {
        let mut lines = self.head.clone();
        if let Some(next) = self.tail.front()
            && self.left_out > 0
        {
            lines.push(SessionLine {
                at: next.at,
                from: Side::Server,
                line: format!("[{} lines left out]", self.left_out),
            });
        }
        lines.extend(self.tail.iter().cloned());
        lines
    }

    fn line(&mut self, from: Side, line: String) {
        let line = SessionLine {
            at: self.clock.now(),
            from,
            line: seen(line),
        };
        let bytes = line.line.len();
        let fits = self.head.len() < HALF_LINES && self.head_bytes + bytes <= HALF_BYTES;
        if self.tail.is_empty() && fits {
            self.head_bytes += bytes;
            self.head.push(line);
            return;
        }
        self.tail_bytes += bytes;
        self.tail.push_back(line);
        while self.tail.len() > HALF_LINES || self.tail_bytes > HALF_BYTES {
            let Some(oldest) = self.tail.pop_front() else {
                return;
            };
            self.tail_bytes -= oldest.line.len();
            self.left_out += 1;
        }
    }
}

// A key in a place where none belongs (a box too far) is still a key.
fn seen(mut line: String) -> String {
    if line.len() > LINE_MOST {
        line.truncate(line.floor_char_boundary(LINE_MOST - 3));
        line.push_str("...");
    }
    let Some(at) = line.find(ApiToken::PREFIX) else {
        return if line.split(|c| !is_part(c)).any(SmtpPassword::is_one) {
            without_passwords(&line)
        } else {
            line
        };
    };
    let (before, key) = line.split_at(at);
    let rest = key.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let before = without_passwords(before);
    format!("{before}[a key]{}", seen(rest.to_owned()))
}

// Of a password, its hyphens counted.
fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

// Passwords for old forms, in groups or not: words of 24 of their characters. That a host's name
// may look like one is no loss.
fn without_passwords(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        shown.push_str(if SmtpPassword::is_one(word) {
            "[a key]"
        } else {
            word
        });
        let next = after.chars().next().map_or(0, char::len_utf8);
        let (between, after) = after.split_at(next);
        shown.push_str(between);
        rest = after;
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postrider_runtime::Rng;

    use super::*;
    use crate::submission::Port;

    fn record() -> Record {
        let port = Port {
            number: 587,
            tls: None,
            banner_after: Duration::ZERO,
        };
        let guest = Guest {
            peer: "192.0.2.1:4000".parse().unwrap(),
            port: Arc::new(port),
        };
        let code = SessionCode::new(Rng::seeded(1).bytes());
        Record::new(code, guest, Clock::held(Timestamp::from_micros(0)))
    }

    #[test]
    fn the_middle_of_a_long_dialogue_is_cut() {
        let mut record = record();
        for number in 0..1_000 {
            record.client(format!("NOOP {number}"));
        }
        let lines: Vec<_> = record.at_end().dialogue;
        assert_eq!(lines.len(), 201);
        assert_eq!(lines[99].line, "NOOP 99");
        assert_eq!(lines[100].line, "[800 lines left out]");
        assert_eq!(lines[200].line, "NOOP 999");
        for _ in 0..1_000 {
            record.client("x".repeat(10_000));
        }
        let lines = record.at_end().dialogue;
        let bytes: usize = lines.iter().map(|line| line.line.len()).sum();
        assert!(bytes < 33 * 1024, "{bytes}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_well_is_written_ever_more_seldom_and_a_refusal_at_once() {
        let mut record = record();
        let mut written = Vec::new();
        for _ in 0..600 {
            record.accepted(None);
            if record.due().is_some_and(|due| due <= Instant::now()) {
                record.so_far();
                written.push(Instant::now());
            }
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        let pauses = written.windows(2).map(|two| (two[1] - two[0]).as_secs());
        assert_eq!(pauses.collect::<Vec<_>>(), [1, 2, 4, 8, 16]);
        record.has_news();
        let due = record.due().unwrap();
        assert!(due <= Instant::now() + PAUSE, "{:?}", due - Instant::now());
    }

    #[test]
    fn a_key_is_seen_nowhere() {
        for (given, want) in [
            ("EHLO pr_live_abc123", "EHLO [a key]"),
            ("a pr_live_x b pr_live_y", "a [a key] b [a key]"),
            ("MAIL FROM:<a@b>", "MAIL FROM:<a@b>"),
            ("EHLO 7f3k-q2m9-0011-abcd-efgh-jkmn", "EHLO [a key]"),
            (
                "MAIL FROM:<7F3KQ2M90011ABCDEFGHJKMN@b>",
                "MAIL FROM:<[a key]@b>",
            ),
            (
                "queued as 0190aaaa-0000-7000-8000-0123456789ab",
                "queued as 0190aaaa-0000-7000-8000-0123456789ab",
            ),
        ] {
            assert_eq!(seen(given.to_owned()), want);
        }
    }
}
