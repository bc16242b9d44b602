//! Each command, once its line is whole.

use postrider_model::EnhancedCode;

use super::action::StartTls;
use super::{Action, Layer, Question, Session, State};
use crate::command::{self, Verb};
use crate::sign_in::{self, Step};
use crate::{Refusal, Reply, redact};

const OK: EnhancedCode = EnhancedCode(2, 0, 0);

impl Session {
    pub(super) fn command(&mut self, line: &[u8]) {
        self.heard(redact::command(line));
        let unasked = std::mem::take(&mut self.unasked);
        if line
            .iter()
            .any(|&byte| byte != b'\t' && byte.is_ascii_control())
        {
            return self.refuse(if unasked {
                Refusal::ContentUnasked
            } else {
                Refusal::ControlCharacters
            });
        }
        let (verb, arguments) = Verb::of(line);
        match verb {
            Verb::Ehlo => self.ehlo(arguments),
            Verb::Helo => self.helo(arguments),
            Verb::StartTls => self.starttls(arguments),
            Verb::Auth => self.auth(arguments),
            Verb::Mail => self.mail(arguments),
            Verb::Rcpt => self.recipient(arguments),
            Verb::Data => self.data(),
            Verb::Rset => {
                self.reset();
                self.reply(Reply::new(250, OK, "OK"));
            }
            Verb::Noop => self.reply(Reply::new(250, OK, "OK")),
            // RFC 5321 §3.5.3: neither yes nor no.
            Verb::Vrfy => self.reply(Reply::new(252, OK, "Send the mail, and we will see")),
            Verb::Help => self.reply(Reply::new(214, OK, &self.config.help)),
            Verb::Quit => {
                self.reply(Reply::new(221, OK, "Goodbye"));
                self.close();
            }
            Verb::NotOffered(name) => self.refuse(Refusal::NotOffered(name)),
            Verb::Http => self.refuse(Refusal::Http),
            Verb::Unknown if !unasked => self.refuse(Refusal::UnknownCommand),
            // RFC 2920 §3.1: to end the data of a transaction without recipients.
            Verb::Unknown if line == b"." => self.refuse(Refusal::NoRecipients),
            Verb::Unknown => self.refuse(Refusal::ContentUnasked),
        }
    }

    fn ehlo(&mut self, name: &[u8]) {
        self.meet(name);
        let size = format!("SIZE {}", self.config.limits.size);
        let mut reply = Reply::new(250, None, &self.config.host)
            .line("PIPELINING")
            .line(size);
        // Not CRAM-MD5 or SCRAM: seven of the measured clients would choose them, and they need
        // the password in the clear on our side.
        match (self.layer, self.config.starttls) {
            (Layer::Tls, _) => reply = reply.line("AUTH PLAIN LOGIN"),
            (Layer::Plain, StartTls::Offered) => reply = reply.line("STARTTLS"),
            (Layer::Plain, StartTls::Unavailable) => {}
        }
        let reply = reply
            .line("ENHANCEDSTATUSCODES")
            .line("8BITMIME")
            .line("SMTPUTF8");
        self.reply(reply);
    }

    fn helo(&mut self, name: &[u8]) {
        self.meet(name);
        self.reply(Reply::new(250, None, &self.config.host));
    }

    // RFC 5321 §4.1.4: it also resets. Any name will do, or none.
    fn meet(&mut self, name: &[u8]) {
        self.reset();
        let name = String::from_utf8_lossy(name.trim_ascii());
        let name = name.chars().filter(|c| !c.is_control());
        self.hello = Some(name.take(255).collect());
    }

    fn reset(&mut self) {
        if self.transaction.take().is_some() {
            self.actions.push_back(Action::Reset);
        }
    }

    fn starttls(&mut self, arguments: &[u8]) {
        if self.layer == Layer::Tls {
            return self.refuse(Refusal::TlsAlready);
        }
        if self.config.starttls == StartTls::Unavailable {
            return self.refuse(Refusal::TlsUnavailable);
        }
        if !arguments.trim_ascii().is_empty() {
            return self.refuse(Refusal::Argument("STARTTLS"));
        }
        // CVE-2011-0411: somebody on the way may have put them there.
        if !self.input.is_empty() {
            return self.refuse(Refusal::BehindStartTls);
        }
        self.reset();
        self.reply(Reply::new(220, OK, "Ready to start TLS"));
        self.actions.push_back(Action::StartTls);
        self.state = State::Handshake;
    }

    fn auth(&mut self, arguments: &[u8]) {
        if self.layer == Layer::Plain {
            return self.refuse(Refusal::AuthNeedsTls);
        }
        if self.signed_in {
            return self.refuse(Refusal::SignedInAlready);
        }
        if self.hello.is_none() {
            return self.refuse(Refusal::NoHello);
        }
        if self.refused_sign_ins >= self.config.limits.sign_ins {
            return self.refuse(Refusal::TooManySignIns);
        }
        self.go_on(sign_in::begin(arguments));
    }

    /// The next step of signing in.
    pub(super) fn go_on(&mut self, step: Result<Step, Refusal>) {
        match step {
            Ok(Step::Ask(exchange)) => {
                self.reply(Reply::new(334, None, exchange.challenge()));
                self.state = State::Challenged(exchange);
            }
            Ok(Step::Done(sign_in)) => {
                self.ask(Question::SignIn, Action::Authenticate(sign_in));
            }
            Err(refusal) => {
                if refusal.code() == 535 {
                    self.refused_sign_ins += 1;
                }
                self.refuse(refusal);
            }
        }
    }

    // What must be so before MAIL, RCPT and DATA; said in this order because the first is what the
    // person has to change first.
    fn entitled(&self) -> Result<(), Refusal> {
        if self.layer == Layer::Plain {
            Err(Refusal::TlsRequired)
        } else if !self.signed_in {
            Err(Refusal::AuthRequired)
        } else {
            Ok(())
        }
    }

    fn mail(&mut self, arguments: &[u8]) {
        match self.read_mail(arguments) {
            Ok(mail) => {
                // A sender whose recipients were all refused is given up without RSET by some.
                self.reset();
                self.ask(Question::Mail, Action::Mail(mail));
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn read_mail(&self, arguments: &[u8]) -> Result<command::Mail, Refusal> {
        self.entitled()?;
        if self.hello.is_none() {
            return Err(Refusal::NoHello);
        }
        if self
            .transaction
            .as_ref()
            .is_some_and(|it| it.recipients > 0)
        {
            return Err(Refusal::MailOpen);
        }
        let mail = command::mail(arguments)?;
        let most = self.config.limits.size;
        if mail.size.is_some_and(|size| size > most) {
            return Err(Refusal::TooLarge { most });
        }
        Ok(mail)
    }

    fn recipient(&mut self, arguments: &[u8]) {
        let taken = self.recipients().and_then(|taken| {
            let most = self.config.limits.recipients;
            if taken < most {
                command::recipient(arguments)
            } else {
                Err(Refusal::TooManyRecipients { most })
            }
        });
        match taken {
            Ok(address) => self.ask(Question::Recipient, Action::Recipient(address)),
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn data(&mut self) {
        match self.recipients() {
            Ok(0) => self.refuse_data(Refusal::NoRecipients),
            Ok(_) => self.ask(Question::Data, Action::BeginData),
            Err(refusal) => self.refuse_data(refusal),
        }
    }

    fn refuse_data(&mut self, refusal: Refusal) {
        self.refuse(refusal);
        self.content_is_unasked();
    }

    fn recipients(&self) -> Result<usize, Refusal> {
        self.entitled()?;
        let transaction = self.transaction.as_ref().ok_or(Refusal::NoMail)?;
        Ok(transaction.recipients)
    }
}
