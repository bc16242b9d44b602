//! Programs and libraries that people send with, each in every mode that its form has: a mail that
//! arrives, or exactly the sentence that names the box to change.

mod libraries;
mod shell;

use std::process::Command;

use postrider_ingest::catalogue::Entry;

use crate::arrived::arrived;
use crate::scene::{Scene, refused};

/// What a form has been set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Implicit,
    StartTls,
    /// Implicit TLS, and a password that nobody has.
    WrongPassword,
    /// STARTTLS, and no sign-in.
    NoSignIn,
    /// No encryption, and no sign-in: many programs do not even ask for a password then.
    NoTls,
    /// STARTTLS, and a mechanism chosen by hand.
    CramMd5,
    /// STARTTLS, a user name, and nothing in the box for the password.
    UserOnly,
}

impl Form {
    /// What the client is told, where it is refused.
    fn refusal(self) -> Option<(Entry, &'static [(&'static str, &'static str)])> {
        match self {
            Self::Implicit | Self::StartTls => None,
            Self::WrongPassword => Some((Entry::PASSWORD_UNKNOWN, &[])),
            Self::NoSignIn => Some((Entry::AUTH_FIRST, &[])),
            Self::NoTls => Some((Entry::TLS_FIRST, &[])),
            Self::CramMd5 => Some((Entry::MECHANISM, &[("mechanism", "CRAM-MD5")])),
            Self::UserOnly => Some((Entry::NO_PASSWORD, &[])),
        }
    }

    pub(crate) fn tls(self) -> &'static str {
        match self {
            Self::Implicit | Self::WrongPassword => "implicit",
            Self::NoTls => "none",
            _ => "starttls",
        }
    }

    /// As the manuals say: 465 for implicit TLS, 587 for the rest.
    pub(crate) fn server(self, scene: &Scene) -> std::net::SocketAddr {
        match self.tls() {
            "implicit" => scene.implicit,
            _ => scene.smtp,
        }
    }

    pub(crate) fn auth(self) -> &'static str {
        match self {
            Self::NoSignIn | Self::NoTls => "none",
            Self::CramMd5 => "cram-md5",
            Self::Implicit | Self::WrongPassword => "plain",
            Self::StartTls | Self::UserOnly => "login",
        }
    }

    pub(crate) fn password(self, scene: &Scene) -> &str {
        match self {
            Self::WrongPassword => "0000-1111-2222-3333-4444-5555",
            Self::UserOnly => "",
            _ => &scene.password,
        }
    }
}

/// The forms that every client has.
pub(crate) const COMMON: [Form; 5] = [
    Form::Implicit,
    Form::StartTls,
    Form::WrongPassword,
    Form::NoSignIn,
    Form::NoTls,
];

/// What is sent, in the clients' words: they write a mail of their own with this text.
pub(crate) const TEXT: &str = "Ihr Kostenvoranschlag: 1.234,50 € – 您的估价单";

/// Sends by this command with each form, and judges what came of it.
pub(crate) async fn each(
    client: &str,
    forms: &[Form],
    command: impl Fn(&Scene, Form, &str) -> Command,
) {
    let scene = Scene::begin().await;
    for form in forms {
        let to = scene.to(&format!("{client}-{form:?}").to_lowercase());
        let mut command = command(&scene, *form, &to);
        // What else is set here could lead elsewhere.
        command.env_remove("SSL_CERT_FILE").env("LC_ALL", "C.UTF-8");
        command.stdin(std::process::Stdio::null());
        let ran = tokio::task::spawn_blocking(move || command.output());
        let output = ran.await.unwrap().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let what = format!("{client}, {form:?}: {said}");
        assert_eq!(output.status.success(), form.refusal().is_none(), "{what}");
        match form.refusal() {
            None => {
                let raw = arrived(&scene, &to).await;
                let texts = postrider_message::texts(&raw);
                let text = texts.text.unwrap();
                assert_eq!(text.trim_end(), TEXT, "{what}");
            }
            Some((entry, values)) => {
                // Some show it as one line, some as their language writes strings.
                let said = said.replace("\\r\\n", "\n").replace("\\n", "\n");
                let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
                let code = refused_in(&said, &entry, values);
                let session = scene.session(&code).await;
                let verdict = session["verdict"].as_str().unwrap();
                assert!(verdict.contains(entry.id), "{what}: {verdict}");
            }
        }
    }
}

// Clients of scripting languages show code and text apart, or quote it.
#[track_caller]
fn refused_in(said: &str, entry: &Entry, values: &[(&str, &str)]) -> String {
    let text = format!("{} {}", entry.id, entry.say(values));
    let at = said.find(&text);
    let at = at.unwrap_or_else(|| panic!("want {text:?}, not: {said}"));
    let end = (at + text.len() + 10).min(said.len());
    let smtp = entry.smtp.unwrap();
    let line = format!("{} {} {}", smtp.code, smtp.enhanced, &said[at..end]);
    assert!(said.contains(&smtp.code.to_string()), "{said}");
    refused(&line, entry, values)
}

/// The message for clients that are given a whole one.
pub(crate) fn message(to: &str) -> String {
    format!(
        "From: Scene <boss@scene.test>\r\nTo: <{to}>\r\nSubject: Kostenvoranschlag\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n{TEXT}\r\n"
    )
}
