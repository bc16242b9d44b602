//! One SMTP session on the receiving side (RFC 5321 §4): what may come when, and what is said to
//! it. How it is said, the script decides (`play`).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::command::{Command, Mail, parse};
use super::stream::{Gone, Stream};
use super::transcript::printed;
use super::wire::{Body, BodyReader, Inbound, Line};
use super::{Exchanger, Ground};
use crate::mailbox::Received;
use crate::script::{Act, Feature, Phase};

/// RFC 5321 §4.5.3.1.8: at least 100.
const MOST_RECIPIENTS: usize = 1_000;

pub(super) struct Session {
    pub(super) exchanger: Exchanger,
    pub(super) ground: Arc<Ground>,
    pub(super) peer: SocketAddr,
    pub(super) stream: Stream,
    pub(super) outbound: Vec<u8>,
    inbound: Inbound,
    hello: Option<String>,
    tls: Option<String>,
    pub(super) envelope: Option<Envelope>,
    // Whole, between its final dot and its being recorded.
    message: Option<Bytes>,
}

pub(super) struct Envelope {
    pub(super) from: String,
    pub(super) recipients: Vec<String>,
    smtputf8: bool,
}

impl Session {
    pub(super) fn new(
        tcp: TcpStream,
        peer: SocketAddr,
        exchanger: Exchanger,
        ground: Arc<Ground>,
    ) -> Self {
        Self {
            exchanger,
            ground,
            peer,
            stream: Stream::Plain(tcp),
            outbound: Vec::new(),
            inbound: Inbound::default(),
            hello: None,
            tls: None,
            envelope: None,
            message: None,
        }
    }

    /// The whole session. Ends when either side does.
    pub(super) async fn run(mut self) {
        let Gone = self.converse().await;
    }

    async fn converse(&mut self) -> Gone {
        let greeting = format!("220 {} ESMTP ready", self.exchanger.host());
        if let Err(gone) = self.perform(Phase::Connect, None, &greeting).await {
            return gone;
        }
        loop {
            let turn = match self.next_line().await {
                Ok(line) => self.obey(line).await,
                Err(gone) => Err(gone),
            };
            if let Err(gone) = turn {
                return gone;
            }
        }
    }

    async fn next_line(&mut self) -> Result<Line, Gone> {
        loop {
            if let Some(line) = self.inbound.line() {
                return Ok(line);
            }
            self.flush().await?;
            self.stream.read(&mut self.inbound.buffer).await?;
        }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        if !self.outbound.is_empty() {
            self.stream.write(&self.outbound).await?;
            self.outbound.clear();
        }
        Ok(())
    }

    async fn obey(&mut self, line: Line) -> Result<(), Gone> {
        let Line::Whole(line) = line else {
            self.exchanger.note("-- a line that is too long".to_owned());
            self.say("500 5.5.6 the line is too long");
            return Ok(());
        };
        self.exchanger.note(printed('C', &line));
        match parse(&line) {
            Command::Ehlo(name) => self.ehlo(name).await?,
            Command::Helo(name) => self.helo(name).await?,
            Command::StartTls => self.starttls().await?,
            Command::Mail(mail) => self.mail(mail).await?,
            Command::Rcpt(address) => self.rcpt(address).await?,
            Command::Data => self.data().await?,
            Command::Rset => {
                if self
                    .perform(Phase::Rset, None, "250 2.0.0 forgotten")
                    .await?
                {
                    self.envelope = None;
                }
            }
            Command::Quit => {
                self.perform(Phase::Quit, None, "221 2.0.0 bye").await?;
                self.flush().await?;
                self.stream.close().await;
                return Err(Gone);
            }
            Command::Noop => self.say("250 2.0.0 ok"),
            Command::Vrfy => self.say("252 2.1.5 send it and see"),
            Command::Wrong(how) => self.say(&format!("501 5.5.4 {how}")),
            Command::BadRecipient => self.say("501 5.1.3 that is no address"),
            Command::Unknown => self.say("500 5.5.1 unknown command"),
        }
        Ok(())
    }

    async fn ehlo(&mut self, name: String) -> Result<(), Gone> {
        let announced = self.announcement();
        if self.perform(Phase::Ehlo, None, &announced).await? {
            self.hello = Some(name);
            self.envelope = None;
        }
        Ok(())
    }

    fn announcement(&self) -> String {
        let in_plain = self.tls.is_none();
        let mut text = format!("250 {}", self.exchanger.host());
        self.exchanger.with_script(|script| {
            let size = format!("SIZE {}", script.largest());
            for (feature, keyword) in [
                (Feature::Pipelining, "PIPELINING"),
                (Feature::Size, size.as_str()),
                (Feature::EightBitMime, "8BITMIME"),
                (Feature::SmtpUtf8, "SMTPUTF8"),
                (Feature::EnhancedStatusCodes, "ENHANCEDSTATUSCODES"),
                (Feature::StartTls, "STARTTLS"),
            ] {
                // RFC 3207 §4.2: not again under TLS.
                if script.offers(feature) && (feature != Feature::StartTls || in_plain) {
                    text.push('\n');
                    text.push_str(keyword);
                }
            }
        });
        text
    }

    async fn helo(&mut self, name: String) -> Result<(), Gone> {
        let usual = format!("250 {}", self.exchanger.host());
        if self.perform(Phase::Helo, None, &usual).await? {
            self.hello = Some(name);
            self.envelope = None;
        }
        Ok(())
    }

    async fn starttls(&mut self) -> Result<(), Gone> {
        if self.tls.is_some() {
            self.say("503 5.5.1 TLS is on already");
            return Ok(());
        }
        if !self.offers(Feature::StartTls) {
            self.say("502 5.5.1 no TLS here");
            return Ok(());
        }
        if self
            .perform(Phase::Starttls, None, "220 2.0.0 go ahead")
            .await?
        {
            self.flush().await?;
            self.inbound.forget();
            self.perform(Phase::Handshake, None, "").await?;
        }
        Ok(())
    }

    /// The handshake; what was heard before it is forgotten (RFC 3207 §4.2).
    pub(super) async fn handshake(&mut self) -> Result<(), Gone> {
        self.flush().await?;
        let acceptor = self
            .exchanger
            .acceptor(&self.ground.authority)
            .ok_or(Gone)?;
        match self.stream.secure(&acceptor).await {
            Ok(facts) => {
                self.exchanger.note(format!("-- {facts}"));
                self.tls = Some(facts);
                self.hello = None;
                self.envelope = None;
                Ok(())
            }
            Err(gone) => {
                self.exchanger.note("-- the handshake failed".to_owned());
                Err(gone)
            }
        }
    }

    async fn mail(&mut self, mail: Mail) -> Result<(), Gone> {
        if let Some(refusal) = self.objection(&mail) {
            self.say(refusal);
            return Ok(());
        }
        if self.perform(Phase::MailFrom, None, "250 2.1.0 ok").await? {
            self.envelope = Some(Envelope {
                from: mail.from,
                recipients: Vec::new(),
                smtputf8: mail.smtputf8,
            });
        }
        Ok(())
    }

    fn objection(&self, mail: &Mail) -> Option<&'static str> {
        let unknown = mail.unknown
            || (mail.size.is_some() && !self.offers(Feature::Size))
            || (mail.body && !self.offers(Feature::EightBitMime))
            || (mail.smtputf8 && !self.offers(Feature::SmtpUtf8));
        let largest = self.exchanger.with_script(|script| script.largest());
        if self.hello.is_none() {
            Some("503 5.5.1 say EHLO first")
        } else if self.envelope.is_some() {
            Some("503 5.5.1 one at a time")
        } else if unknown {
            Some("555 5.5.4 unknown parameter")
        } else if mail.size.is_some_and(|size| size > largest) {
            Some("552 5.3.4 too large")
        } else if !mail.smtputf8 && !mail.from.is_ascii() {
            // RFC 6531 §3.5.
            Some("553 5.6.7 that needs SMTPUTF8")
        } else {
            None
        }
    }

    async fn rcpt(&mut self, address: String) -> Result<(), Gone> {
        let refusal = match &self.envelope {
            None => Some("503 5.5.1 say MAIL first"),
            Some(envelope) if envelope.recipients.len() >= MOST_RECIPIENTS => {
                Some("452 4.5.3 too many recipients")
            }
            Some(envelope) if !envelope.smtputf8 && !address.is_ascii() => {
                Some("553 5.6.7 that needs SMTPUTF8")
            }
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            self.say(refusal);
            return Ok(());
        }
        let accepted = self
            .perform(Phase::Rcpt, Some(&address), "250 2.1.5 ok")
            .await?;
        if let Some(envelope) = &mut self.envelope
            && accepted
        {
            envelope.recipients.push(address);
        }
        Ok(())
    }

    // A script may say 354 where nobody would: to a transaction without recipients.
    async fn data(&mut self) -> Result<(), Gone> {
        let usual = match &self.envelope {
            None => "503 5.5.1 say MAIL first",
            Some(envelope) if envelope.recipients.is_empty() => "554 5.5.1 no valid recipients",
            Some(_) => "354 end with a dot on a line by itself",
        };
        if !self.perform(Phase::Data, None, usual).await? {
            return Ok(());
        }
        let body = self.body().await?;
        let has_recipients = self
            .envelope
            .as_ref()
            .is_some_and(|e| !e.recipients.is_empty());
        let usual = match body {
            Body::TooLarge => "552 5.3.4 too large".to_owned(),
            Body::Whole(_) if !has_recipients => "554 5.5.1 no valid recipients".to_owned(),
            Body::Whole(message) => {
                let usual = format!("250 2.0.0 taken, {} bytes", message.len());
                self.message = Some(message);
                usual
            }
        };
        self.perform(Phase::FinalDot, None, &usual).await?;
        self.message = None;
        self.envelope = None;
        Ok(())
    }

    async fn body(&mut self) -> Result<Body, Gone> {
        let (largest, mut interruption) = self
            .exchanger
            .with_script(|script| (script.largest(), script.interruption()));
        let mut reader = BodyReader::new(largest);
        loop {
            let body = reader.take(&mut self.inbound);
            if let Some((_, act)) = interruption.take_if(|(after, _)| reader.taken() >= *after) {
                self.exchanger
                    .note(format!("-- {} bytes of the message", reader.taken()));
                self.interrupt(act).await?;
            }
            if let Some(body) = body {
                self.exchanger
                    .note(format!("-- a message of {} bytes", reader.taken()));
                return Ok(body);
            }
            self.flush().await?;
            self.stream.read(&mut self.inbound.buffer).await?;
        }
    }

    async fn interrupt(&mut self, act: Act) -> Result<(), Gone> {
        self.play(act, Phase::Body, "").await.map(|_| ())
    }

    /// Puts the message into the mailbox, once.
    pub(super) fn record(&mut self) {
        let (Some(raw), Some(envelope)) = (self.message.take(), &self.envelope) else {
            return;
        };
        self.ground.mailbox.keep(Received {
            id: 0,
            host: Arc::clone(&self.exchanger.0.host),
            peer: self.peer,
            hello: self.hello.clone().unwrap_or_default(),
            mail_from: envelope.from.clone(),
            rcpt_to: envelope.recipients.clone(),
            received_at: self.ground.clock.now(),
            tls: self.tls.clone(),
            raw,
        });
        self.exchanger.count(|counts| counts.received += 1);
    }

    fn offers(&self, feature: Feature) -> bool {
        self.exchanger.with_script(|script| script.offers(feature))
    }
}
