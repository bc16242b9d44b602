//! A door of simple rules: password `secret` is good, senders and recipients that begin with `no`
//! are refused, the first content byte `!` means that the message is.

use std::sync::Arc;

use postrider_model::EnhancedCode;
use postrider_smtp::{Action, Body, Config, Layer, Limits, Mail, Reply, Sender, Session, StartTls};

pub(crate) const HOST: &str = "mx.example";

pub(crate) struct Door {
    pub(crate) session: Session,
    /// What the session did, one text for each action, since it was last looked at.
    pub(crate) done: Vec<String>,
    pub(crate) heard: Vec<String>,
    content: Vec<u8>,
}

pub(crate) fn limits() -> Limits {
    Limits::default()
}

impl Door {
    pub(crate) fn new(layer: Layer, limits: Limits) -> Self {
        let config = Config {
            host: HOST.to_owned(),
            help: "https://docs.example/smtp".to_owned(),
            starttls: StartTls::Offered,
            limits,
        };
        Self::with(config, layer)
    }

    pub(crate) fn with(config: Config, layer: Layer) -> Self {
        Self {
            session: Session::new(Arc::new(config), layer),
            done: Vec::new(),
            heard: Vec::new(),
            content: Vec::new(),
        }
    }

    /// Greeted, and the greeting looked at.
    pub(crate) fn open(layer: Layer) -> Self {
        let mut door = Self::new(layer, limits());
        door.session.greet();
        door.work();
        assert_eq!(door.look(), ["220 mx.example ESMTP Postrider"]);
        door
    }

    /// Under TLS, greeted, signed in.
    pub(crate) fn signed_in() -> Self {
        Self::signed_in_within(limits())
    }

    pub(crate) fn signed_in_within(limits: Limits) -> Self {
        let mut door = Self::new(Layer::Tls, limits);
        door.session.greet();
        door.hear(b"EHLO vm\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\n");
        assert!(door.look().ends_with(&["235 2.7.0 Welcome".to_owned()]));
        door
    }

    /// With one recipient taken.
    pub(crate) fn with_recipient(limits: Limits) -> Self {
        let mut door = Self::signed_in_within(limits);
        door.hear(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
        assert!(door.look().ends_with(&["250 2.1.5 OK".to_owned()]));
        door
    }

    /// Hears all of it in one packet, and says what was done.
    pub(crate) fn says(&mut self, bytes: &[u8]) -> Vec<String> {
        self.hear(bytes);
        self.look()
    }

    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.session.space().extend_from_slice(bytes);
        self.work();
    }

    pub(crate) fn look(&mut self) -> Vec<String> {
        std::mem::take(&mut self.done)
    }

    pub(crate) fn work(&mut self) {
        while let Some(action) = self.session.next() {
            if let Some(answer) = self.act(action) {
                assert!(self.session.waits());
                self.session.answer(answer);
            }
        }
        assert!(!self.session.waits(), "a question was left open");
    }

    fn act(&mut self, action: Action) -> Option<Reply> {
        let (done, answer) = match action {
            Action::Heard(line) => {
                self.heard.push(line);
                return None;
            }
            Action::Data(piece) => {
                self.content.extend_from_slice(&piece);
                return None;
            }
            Action::BeginData => return Some(Reply::start_content()),
            Action::StartTls => {
                self.session.secured();
                ("tls".to_owned(), None)
            }
            Action::Reply(reply) => (reply.wire_lines().join(" / "), None),
            Action::Refuse(refusal) => {
                let (code, enhanced) = (refusal.code(), refusal.enhanced());
                (format!("{code} {enhanced} {refusal:?}"), None)
            }
            Action::Authenticate(given) => {
                let (mechanism, user) = (given.mechanism, &given.user);
                let password = given.password.expose();
                let done = format!("sign in {mechanism:?} {user:?} {password:?}");
                (done, Some(welcome(password)))
            }
            Action::Mail(mail) => {
                let done = show(&mail);
                let answer = decide(!done.starts_with("from no"), EnhancedCode(2, 1, 0));
                (done, Some(answer))
            }
            Action::Recipient(address) => {
                let done = format!("to {address}");
                let answer = decide(!done.starts_with("to no"), EnhancedCode(2, 1, 5));
                (done, Some(answer))
            }
            Action::Overflow => {
                self.content.clear();
                ("overflow".to_owned(), None)
            }
            Action::EndOfData { size } => {
                let content = std::mem::take(&mut self.content);
                assert_eq!(u64::try_from(content.len()), Ok(size));
                (
                    format!("content {}", content.escape_ascii()),
                    Some(judge(&content)),
                )
            }
            Action::Reset => {
                self.content.clear();
                ("reset".to_owned(), None)
            }
            Action::Close => ("close".to_owned(), None),
        };
        self.done.push(done);
        answer
    }
}

fn welcome(password: &str) -> Reply {
    match password {
        "secret" => Reply::new(235, EnhancedCode(2, 7, 0), "Welcome"),
        "backend" => Reply::new(454, EnhancedCode(4, 7, 0), "Later"),
        "goodbye" => Reply::new(421, EnhancedCode(4, 7, 0), "Enough"),
        _ => Reply::new(535, EnhancedCode(5, 7, 8), "Wrong"),
    }
}

fn decide(yes: bool, enhanced: EnhancedCode) -> Reply {
    if yes {
        Reply::new(250, enhanced, "OK")
    } else {
        Reply::new(550, EnhancedCode(5, 1, 1), "No")
    }
}

fn judge(content: &[u8]) -> Reply {
    if content.starts_with(b"!") {
        Reply::new(550, EnhancedCode(5, 7, 1), "No")
    } else {
        Reply::new(250, EnhancedCode(2, 0, 0), "queued as 1")
    }
}

fn show(mail: &Mail) -> String {
    let from = match &mail.from {
        Sender::Null => "from <>".to_owned(),
        Sender::Address(address) => format!("from {address}"),
        Sender::Other(text) => format!("from ({text})"),
    };
    let size = mail
        .size
        .map_or_else(String::new, |size| format!(" size {size}"));
    let body = match mail.body {
        Body::SevenBit => "",
        Body::EightBit => " 8bit",
    };
    let utf8 = if mail.smtputf8 { " utf8" } else { "" };
    format!("{from}{size}{body}{utf8}")
}
