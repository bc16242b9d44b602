//! One session: in which order commands may come, and what becomes of each.
//!
//! The driver reads into `space`, takes actions from `next` until there is none, writes, and reads
//! on. An action that asks is answered by `answer` before anything behind it is looked at, so that
//! pipelined commands are decided one after the other. While nothing is asked for and `next` is
//! `None` the buffer holds less than one line; a driver that reads only then has its bound.
//!
//! Stricter than it must be in one thing: what was refused as content never becomes commands. A
//! client that goes on talking behind a refused DATA, behind BDAT or behind STARTTLS in plain text
//! is cut off. Milder in another: bytes before the greeting and behind EHLO or AUTH are heard in
//! their order (RFC 2920 §3.1 has them wait), because old programs are like that and nothing can
//! be won by it on a port where only the signed-in are served.

mod action;
mod commands;
mod content;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};

pub use action::{Action, Config, Layer, Limits, StartTls};

use crate::lines::{AUTH_MOST, COMMAND_MOST, Found, LineReader};
use crate::sign_in::Exchange;
use crate::{Refusal, Reply, redact};
use content::Incoming;

/// Room for reading commands, and for reading content, in bytes.
const COMMAND_ROOM: usize = 4 * 1024;
/// The second is one record of TLS (RFC 8446 §5.1): more never comes at once.
const CONTENT_ROOM: usize = 16 * 1024;

/// The server's side of one connection, from the greeting on.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    layer: Layer,
    input: BytesMut,
    lines: LineReader,
    actions: VecDeque<Action>,
    state: State,
    hello: Option<String>,
    signed_in: bool,
    transaction: Option<Transaction>,
    // The last command was a refused DATA: what comes may be its content.
    unasked: bool,
    errors: u32,
    refused_sign_ins: u32,
}

#[derive(Debug)]
enum State {
    /// Before the greeting.
    Quiet,
    Commands,
    Challenged(Exchange),
    /// The driver owes an answer.
    Asked(Question),
    Content(Incoming),
    Handshake,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    SignIn,
    Mail,
    Recipient,
    Data,
    Content,
}

/// A sender that was taken, and how many recipients since.
#[derive(Debug, Default)]
struct Transaction {
    recipients: usize,
}

impl Session {
    /// A session that has not greeted yet. Under implicit TLS the layer is `Tls` from the start.
    pub fn new(config: Arc<Config>, layer: Layer) -> Self {
        Self {
            config,
            layer,
            input: BytesMut::new(),
            lines: LineReader::default(),
            actions: VecDeque::new(),
            state: State::Quiet,
            hello: None,
            signed_in: false,
            transaction: None,
            unasked: false,
            errors: 0,
            refused_sign_ins: 0,
        }
    }

    /// Greets. What was heard before is kept, and handled after it.
    pub fn greet(&mut self) {
        if matches!(self.state, State::Quiet) {
            let banner = format!("{} ESMTP Postrider", self.config.host);
            self.reply(Reply::new(220, None, banner));
            self.state = State::Commands;
        }
    }

    /// Says `reply` and closes, whatever was going on: no room, shutdown, too slow.
    pub fn turn_away(&mut self, reply: Reply) {
        if !matches!(self.state, State::Closed) {
            self.reply(reply);
            self.close();
        }
    }

    /// Where to read the socket into. Only to be used while `next` is `None` and `waits` is false.
    pub fn space(&mut self) -> &mut BytesMut {
        if self.in_content() {
            self.input.reserve(CONTENT_ROOM);
        } else {
            // A session that idles between messages does not keep the room for content.
            if self.input.is_empty() && self.input.capacity() > 2 * COMMAND_ROOM {
                self.input = BytesMut::new();
            }
            self.input.reserve(COMMAND_ROOM);
        }
        &mut self.input
    }

    /// Hears bytes that were read elsewhere.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next thing to do, in order; `None` where more must be read, answered or secured first.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that ends is over; this one goes on when more is heard"
    )]
    pub fn next(&mut self) -> Option<Action> {
        while self.actions.is_empty() && self.step() {}
        self.actions.pop_front()
    }

    /// Answers the one open question; by its code, 2yz and 3yz are yes, all others no, and 421
    /// closes. The reply comes back as `Action::Reply`. Without a question it is not heard.
    pub fn answer(&mut self, reply: Reply) {
        let State::Asked(question) = self.state else {
            return;
        };
        self.state = State::Commands;
        let code = reply.code();
        let yes = code < 400;
        self.reply(reply);
        match question {
            Question::SignIn if yes => self.signed_in = true,
            // 454 is our own trouble, and no attempt.
            Question::SignIn if code >= 500 => self.refused_sign_ins += 1,
            Question::Mail if yes => self.transaction = Some(Transaction::default()),
            Question::Recipient if yes => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients += 1;
                }
            }
            Question::Data if yes => self.state = State::Content(Incoming::default()),
            Question::Data if code != 421 => self.content_is_unasked(),
            Question::Content => {
                self.transaction = None;
                if yes {
                    self.errors = 0;
                }
            }
            Question::SignIn | Question::Mail | Question::Recipient | Question::Data => {}
        }
        if code == 421 {
            self.close();
        }
    }

    /// Keeps no more of the content that is coming in: it is drained to its end, and then this is
    /// the reply. Elsewhere than in content it is not heard.
    pub fn discard(&mut self, reply: Reply) {
        if let State::Content(incoming) = &mut self.state {
            incoming.discard(reply);
        }
    }

    /// The handshake behind `Action::StartTls` is done. All that was heard in plain text is
    /// forgotten (RFC 3207 §4.2), but not how often it was wrong.
    pub fn secured(&mut self) {
        let errors = self.errors;
        *self = Self {
            errors,
            state: State::Commands,
            ..Self::new(Arc::clone(&self.config), Layer::Tls)
        };
    }

    /// True while an answer is owed.
    pub fn waits(&self) -> bool {
        matches!(self.state, State::Asked(_))
    }

    /// True between 354 and the end of data.
    pub fn in_content(&self) -> bool {
        matches!(self.state, State::Content(_))
    }

    /// True between MAIL and the answer to its content.
    pub fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    pub fn is_secure(&self) -> bool {
        self.layer == Layer::Tls
    }

    pub fn is_signed_in(&self) -> bool {
        self.signed_in
    }

    /// The name the client said of itself, printable; it may be empty.
    pub fn hello(&self) -> Option<&str> {
        self.hello.as_deref()
    }

    // One step forward; false where there is none.
    fn step(&mut self) -> bool {
        match &self.state {
            State::Quiet | State::Asked(_) | State::Handshake => false,
            State::Closed => {
                self.input.clear();
                false
            }
            State::Content(_) => self.read_content(),
            State::Commands | State::Challenged(_) => self.read_line(),
        }
    }

    fn read_line(&mut self) -> bool {
        let most = self.line_most();
        match self.lines.next(&mut self.input, most) {
            Found::More => return false,
            Found::Line(line) => self.hear(&line),
            Found::BareLineFeed => self.refuse(Refusal::BareLineFeed),
            Found::TooLong { most } => {
                self.state = State::Commands;
                self.heard(redact::too_long(most));
                self.refuse(Refusal::LineTooLong { most });
            }
            Found::Flood { most } => {
                self.heard(redact::too_long(most));
                self.refuse(Refusal::LineTooLong { most });
                self.close();
            }
        }
        true
    }

    fn line_most(&self) -> usize {
        let is_auth = || {
            self.input
                .trim_ascii_start()
                .get(..4)
                .is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH"))
        };
        if matches!(self.state, State::Challenged(_)) || is_auth() {
            AUTH_MOST
        } else {
            COMMAND_MOST
        }
    }

    fn hear(&mut self, line: &[u8]) {
        match std::mem::replace(&mut self.state, State::Commands) {
            State::Challenged(exchange) => {
                self.heard(redact::answer(line));
                self.go_on(exchange.answered(line));
            }
            _ => self.command(line),
        }
    }

    fn ask(&mut self, question: Question, action: Action) {
        self.actions.push_back(action);
        self.state = State::Asked(question);
    }

    fn reply(&mut self, reply: Reply) {
        self.actions.push_back(Action::Reply(reply));
    }

    fn heard(&mut self, line: String) {
        self.actions.push_back(Action::Heard(line));
    }

    fn refuse(&mut self, refusal: Refusal) {
        let closes = refusal.closes();
        self.errors += u32::from(refusal.counts());
        self.actions.push_back(Action::Refuse(refusal));
        if closes {
            self.close();
        } else if self.errors >= self.config.limits.errors {
            self.actions
                .push_back(Action::Refuse(Refusal::TooManyErrors));
            self.close();
        }
    }

    // What is still in the buffer behind a refused DATA was meant as content. What comes later is
    // looked at: a good client waits for the reply and goes on with a command.
    fn content_is_unasked(&mut self) {
        if matches!(self.state, State::Closed) {
            return;
        }
        self.unasked = true;
        if self.input.has_remaining() {
            self.refuse(Refusal::ContentUnasked);
        }
    }

    fn close(&mut self) {
        if !matches!(self.state, State::Closed) {
            self.actions.push_back(Action::Close);
            self.state = State::Closed;
            self.input = BytesMut::new();
        }
    }
}
