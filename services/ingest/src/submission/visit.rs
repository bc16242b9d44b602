//! One client: what its first bytes are, TLS, and the conversation.

mod opening;

use std::sync::Arc;
use std::time::Duration;

use postrider_gate::Caller;
use postrider_model::SessionCode;
use postrider_smtp::{Action, Layer, Opening, Reply, Session, sniff};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::catalogue::Entry;
use crate::instruments::Matter;
use crate::submission::crowd::Seat;
use crate::submission::handing_over::Draft;
use crate::submission::patience::{Patience, Waiting};
use crate::submission::record::Record;
use crate::submission::replies::{self, Told};
use crate::submission::verdict::Reached;
use crate::submission::wire::Wire;
use crate::submission::{Guest, SmtpDoor};

/// How long what a client still sends is read after our last words, so that they reach it.
const LINGER: Duration = Duration::from_secs(1);

/// One session and everything that belongs to it.
pub(crate) struct Visit<'d> {
    pub(crate) door: &'d Arc<SmtpDoor>,
    pub(crate) guest: Guest,
    pub(crate) seat: &'d Seat,
    pub(crate) talk: Session,
    pub(crate) record: Record,
    pub(crate) patience: Patience,
    pub(crate) caller: Option<Caller>,
    pub(crate) draft: Option<Draft>,
    wire: Wire,
    out: Vec<u8>,
}

/// Nothing more can be said or heard.
struct Over;

/// Serves one client to its end, and puts its black box where it is found.
pub(crate) async fn visit(door: &Arc<SmtpDoor>, from: (TcpStream, Guest), seat: &Seat) {
    let mut visit = Visit::new(door, from, seat);
    if visit.open().await.is_ok() {
        visit.converse().await;
    }
    if visit.talk.in_content() {
        visit.record.facts.reach(Reached::Content);
    }
    if visit.record.facts.tells() {
        let session = visit.record.at_end();
        if visit.record.facts.is_untold() {
            tracing::info!(
                session = %session.code,
                client.ip = %visit.guest.peer.ip(),
                "a submission session ended without a word of ours: {}",
                session.verdict
            );
        }
        visit.keep(session);
    }
    visit.wire.close(LINGER).await;
}

impl<'d> Visit<'d> {
    fn new(door: &'d Arc<SmtpDoor>, (tcp, guest): (TcpStream, Guest), seat: &'d Seat) -> Self {
        let code = SessionCode::new(door.ports.rng.bytes());
        let talk = match guest.port.tls {
            Some(_) => Arc::clone(&door.talk),
            None => Arc::clone(&door.talk_without_tls),
        };
        Self {
            talk: Session::new(talk, Layer::Plain),
            record: Record::new(code, guest.clone(), door.ports.clock.clone()),
            patience: Patience::new(Instant::now()),
            caller: None,
            draft: None,
            wire: Wire::Plain(tcp),
            out: Vec::new(),
            door,
            guest,
            seat,
        }
    }

    async fn converse(&mut self) {
        loop {
            while let Some(action) = self.talk.next() {
                if self.act(action).await.is_err() {
                    self.flush().await;
                    return;
                }
            }
            self.flush().await;
            if matches!(self.wire, Wire::Gone) || self.hear().await.is_err() {
                return;
            }
        }
    }

    async fn act(&mut self, action: Action) -> Result<(), Over> {
        match action {
            Action::Heard(line) => self.record.client(line),
            Action::Reply(reply) => self.say(&reply),
            Action::Refuse(refusal) => {
                let told = replies::of_refusal(&refusal, &self.door.config);
                let reply = self.no(&told);
                self.say(&reply);
            }
            Action::StartTls => {
                self.flush().await;
                self.start_tls("STARTTLS").await?;
                self.talk.secured();
            }
            Action::Authenticate(given) => {
                self.record.facts.reach(Reached::Password);
                let reply = self.sign_in(&given).await;
                self.talk.answer(reply);
            }
            Action::Mail(mail) => {
                let reply = self.mail(&mail);
                self.talk.answer(reply);
            }
            Action::Recipient(address) => {
                let reply = self.recipient(address);
                self.talk.answer(reply);
            }
            Action::BeginData => {
                let reply = self.begin_data().await;
                self.talk.answer(reply);
            }
            Action::Data(piece) => self.data(piece).await,
            Action::Overflow => self.forget_content(),
            Action::EndOfData { size } => {
                self.patience.content_ended(Instant::now());
                self.record.client(format!("[{size} bytes]"));
                self.flush().await;
                let reply = self.hand_over().await;
                self.patience.answered(Instant::now());
                self.talk.answer(reply);
            }
            Action::Reset => self.draft = None,
            Action::Close => return Err(Over),
        }
        Ok(())
    }

    /// A refusal: counted, remembered, and as it is said.
    pub(crate) fn no(&mut self, told: &Told) -> Reply {
        let matter = Matter::of(&told.entry);
        self.door.instruments.refusals.add(matter, 1);
        self.record.facts.refused(told);
        self.record.has_news();
        told.reply(Some(self.record.code), &self.door.config)
    }

    /// Writes a reply with the next that goes out.
    fn say(&mut self, reply: &Reply) {
        for line in reply.wire_lines() {
            self.out.extend_from_slice(line.as_bytes());
            self.out.extend_from_slice(b"\r\n");
            self.record.server(line);
        }
    }

    /// Sends what was said.
    pub(crate) async fn flush(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let written = timeout(self.door.config.write, self.wire.write(&self.out)).await;
        if !matches!(written, Ok(Ok(()))) {
            self.wire = Wire::Gone;
        }
        self.out.clear();
    }

    // One read, or the end of waiting for it.
    async fn hear(&mut self) -> Result<(), Over> {
        let may_stop = !self.talk.in_transaction();
        let deadline = self.patience.deadline(self.waiting(), &self.door.config);
        let news = self.record.due();
        if news.is_some_and(|at| at <= Instant::now()) {
            self.keep_so_far();
            return Ok(());
        }
        let space = self.talk.space();
        tokio::select! {
            biased;
            () = self.door.shutdown.begun(), if may_stop => self.turn_away(Entry::STOPPING),
            // Before reading: who never stops talking has an end too.
            () = sleep_until(deadline.at) => self.turn_away(deadline.entry),
            read = self.wire.read(space) => match read {
                Ok(bytes) if bytes > 0 => return self.heard(bytes),
                _ => {
                    self.wire = Wire::Gone;
                    return Err(Over);
                }
            },
            () = sleep_until(news.unwrap_or(deadline.at)), if news.is_some() => self.keep_so_far(),
        }
        Ok(())
    }

    fn keep_so_far(&mut self) {
        let session = self.record.so_far();
        self.keep(session);
    }

    fn keep(&mut self, session: postrider_model::Session) {
        let record = &mut self.record;
        let course = record.facts.course();
        self.door.keeper.keep(session, course, &mut record.is_kept);
    }

    fn heard(&mut self, bytes: usize) -> Result<(), Over> {
        self.patience.heard(bytes, Instant::now());
        // A program that means implicit TLS and was greeted before it said so.
        let is_first = self.record.facts.reached == Reached::Nothing && !self.talk.is_secure();
        if !is_first {
            return Ok(());
        }
        let first: &[u8] = self.talk.space();
        if matches!(sniff(first), Some(Opening::Tls | Opening::Ssl2)) {
            let from = (self.guest.peer.ip(), self.guest.port.number);
            self.door.latecomers.was_late(from, Instant::now());
            self.record.client("[a TLS handshake]".to_owned());
            self.broken(Entry::TLS_TOO_LATE, &[]);
            return Err(Over);
        }
        Ok(())
    }

    fn waiting(&self) -> Waiting {
        match &self.caller {
            None => Waiting::SignIn,
            Some(_) if self.talk.in_content() => Waiting::Content,
            Some(_) if self.talk.in_transaction() => Waiting::Command,
            Some(_) => Waiting::Message,
        }
    }

    fn turn_away(&mut self, entry: Entry) {
        let config = &self.door.config;
        let (seconds, minutes) = match entry {
            Entry::SESSION_TOO_LONG => (config.session.as_secs(), config.session.as_secs() / 60),
            Entry::IDLE => (config.idle.as_secs(), config.idle.as_secs() / 60),
            _ => (config.before_sign_in.as_secs(), 0),
        };
        let rate = config.data_bytes_per_second.to_string();
        let (seconds, minutes) = (seconds.to_string(), minutes.to_string());
        let values = [
            ("seconds", seconds.as_str()),
            ("minutes", minutes.as_str()),
            ("rate", rate.as_str()),
        ];
        let told = replies::told(entry, &values);
        let reply = self.no(&told);
        self.talk.turn_away(reply);
    }

    /// The session ends without a word of ours; this is why.
    pub(crate) fn broken(&mut self, entry: Entry, values: &[(&str, &str)]) {
        let matter = Matter::of(&entry);
        self.door.instruments.refusals.add(matter, 1);
        let told = replies::told(entry, values);
        // The client sees no code: this is how its session is found.
        tracing::info!(
            session = %self.record.code,
            client.ip = %self.guest.peer.ip(),
            refusal = entry.id,
            "a submission session ended before it began: {}",
            told.sentence
        );
        self.record.facts.broken = Some(told);
    }
}
