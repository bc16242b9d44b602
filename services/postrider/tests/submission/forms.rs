//! Every combination that a person can choose in a settings form, on each of the three ports: a mail
//! that arrives, or exactly one entry of the catalogue. The table of it is a page of the documentation.

use std::fmt::Write;
use std::path::Path;
use std::rc::Rc;

use postrider_ingest::catalogue::Entry;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use crate::arrived::arrived;
use crate::harness::unique;
use crate::line::{Line, code_of, pack};
use crate::scene::{PORTS, Scene, field, refused};

/// Cells at once: each has a handshake, and this machine does much else.
const AT_ONCE: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    None,
    Implicit,
    /// STARTTLS.
    Upgrade,
    /// Implicit on 465 and by STARTTLS elsewhere, as programs of that age have it.
    Old,
}

const TLS: [(Tls, &str); 4] = [
    (Tls::None, "none"),
    (Tls::Implicit, "SSL/TLS"),
    (Tls::Upgrade, "STARTTLS"),
    (Tls::Old, "TLS 1.0 at most"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Auth {
    None,
    UserOnly,
    WrongPassword,
    Login,
    Plain,
    CramMd5,
    Ntlm,
    XOauth2,
}

const AUTH: [(Auth, &str); 8] = [
    (Auth::None, "none"),
    (Auth::UserOnly, "user name only"),
    (Auth::WrongPassword, "wrong password"),
    (Auth::Login, "LOGIN"),
    (Auth::Plain, "PLAIN"),
    (Auth::CramMd5, "CRAM-MD5"),
    (Auth::Ntlm, "NTLM"),
    (Auth::XOauth2, "XOAUTH2"),
];

/// What a form leads to; `None`: the mail arrives.
fn want(tls: Tls, auth: Auth) -> Option<(Entry, &'static str)> {
    let mechanism = |name| Some((Entry::MECHANISM, name));
    match (tls, auth) {
        (Tls::Old, _) => Some((Entry::TLS_TOO_OLD, "TLS 1.0")),
        (Tls::None, Auth::None) => Some((Entry::TLS_FIRST, "")),
        (Tls::None, _) => Some((Entry::AUTH_IN_THE_CLEAR, "")),
        (_, Auth::None) => Some((Entry::AUTH_FIRST, "")),
        (_, Auth::UserOnly) => Some((Entry::NO_PASSWORD, "")),
        (_, Auth::WrongPassword) => Some((Entry::PASSWORD_UNKNOWN, "")),
        (_, Auth::Login | Auth::Plain) => None,
        (_, Auth::CramMd5) => mechanism("CRAM-MD5"),
        (_, Auth::Ntlm) => mechanism("NTLM"),
        (_, Auth::XOauth2) => mechanism("XOAUTH2"),
    }
}

fn values(entry: &Entry, value: &'static str) -> Vec<(&'static str, &'static str)> {
    entry
        .places()
        .into_iter()
        .map(|name| (name, value))
        .collect()
}

#[tokio::test]
async fn every_form_ends_in_a_mail_that_arrives_or_in_the_box_to_change() {
    LocalSet::new().run_until(every_form()).await;
}

async fn every_form() {
    let ports = &field().await.1;
    let scene = Scene::begin().await;
    let turns = Rc::new(Semaphore::new(AT_ONCE));
    let mut cells = JoinSet::new();
    for (at, address) in ports.iter().take(PORTS.len()).enumerate() {
        for (tls, _) in TLS {
            for (auth, _) in AUTH {
                let (turns, mut scene) = (Rc::clone(&turns), scene.clone());
                (scene.smtp, scene.word) = (*address, unique());
                cells.spawn_local(async move {
                    let _turn = turns.acquire().await.unwrap();
                    let end = cell(&scene, PORTS[at].0, tls, auth).await;
                    (at, tls, auth, end)
                });
            }
        }
    }
    let mut ends = Vec::new();
    while let Some(cell) = cells.join_next().await {
        ends.push(cell.unwrap());
    }
    current(&page(|port, tls, auth| {
        let is =
            |end: &&(usize, Tls, Auth, &'static str)| (end.0, end.1, end.2) == (port, tls, auth);
        ends.iter().find(is).unwrap().3
    }));
}

/// Sends as a program with this form does, and tells what it came to: an entry's id or `arrives`.
async fn cell(scene: &Scene, port: u16, tls: Tls, auth: Auth) -> &'static str {
    let want = want(tls, auth);
    if tls == Tls::Old {
        too_old(scene, port).await;
        return Entry::TLS_TOO_OLD.id;
    }
    let mut line = match tls {
        Tls::None => Line::plain(scene.smtp).await,
        Tls::Implicit => Line::implicit(scene.smtp).await,
        Tls::Upgrade | Tls::Old => Line::starttls(scene.smtp, "vm").await,
    };
    let to = scene.to("form");
    let reply = send(scene, &mut line, auth, &to).await;
    let what = format!("{port} {tls:?} {auth:?}");
    let Some((entry, value)) = want else {
        assert!(reply.starts_with("250 2.0.0 queued as "), "{what}: {reply}");
        arrived(scene, &to).await;
        return "arrives";
    };
    refused(&reply, &entry, &values(&entry, value));
    entry.id
}

async fn send(scene: &Scene, line: &mut Line, auth: Auth, to: &str) -> String {
    line.say("EHLO vm").await;
    let first = match auth {
        Auth::None => None,
        Auth::Plain => {
            let given = pack(&format!("\0{}\0{}", scene.user, scene.password));
            Some(format!("AUTH PLAIN {given}"))
        }
        Auth::CramMd5 => Some("AUTH CRAM-MD5".to_owned()),
        Auth::Ntlm => Some("AUTH NTLM TlRMTVNTUAABAAAA".to_owned()),
        Auth::XOauth2 => Some("AUTH XOAUTH2 dXNlcj1qb2UB".to_owned()),
        Auth::UserOnly | Auth::WrongPassword | Auth::Login => Some("AUTH LOGIN".to_owned()),
    };
    if let Some(first) = first {
        let mut reply = line.say(&first).await;
        let password = match auth {
            Auth::WrongPassword => "0000-1111-2222-3333-4444-5555",
            Auth::Login => &scene.password,
            _ => "",
        };
        for answer in [&scene.user, password] {
            if reply.starts_with("334") {
                reply = line.say(&pack(answer)).await;
            }
        }
        if reply.starts_with(['4', '5']) {
            return reply;
        }
    }
    let message =
        format!("From: boss@scene.test\r\nTo: {to}\r\nSubject: Form\r\n\r\nIt works.\r\n");
    line.mail("boss@scene.test", &[to], message.as_bytes())
        .await
}

/// A `ClientHello` of TLS 1.0: one suite, no extensions.
fn old_hello() -> Vec<u8> {
    let mut body = vec![3, 1];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0, 0x2f, 1, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let head = [0x16, 3, 1, 0, length + 4, 1, 0, 0, length];
    [head.as_slice(), &body].concat()
}

// It gets an alert and no sentence: that is its session's verdict.
async fn too_old(scene: &Scene, port: u16) {
    if port == 465 {
        let tcp = Line::open(scene.smtp).await;
        return alerted(tcp).await;
    }
    // What is refused before tells the session's code.
    let mut tcp = Line::open(scene.smtp).await;
    let mut heard = Vec::new();
    tcp.write_all(b"EHLO vm\r\nAUTH LOGIN\r\n").await.unwrap();
    while !String::from_utf8_lossy(&heard).contains(")\r\n") {
        assert_ne!(tcp.read_buf(&mut heard).await.unwrap(), 0);
    }
    let text = String::from_utf8(heard).unwrap();
    let code = code_of(text.trim_end()).to_owned();
    tcp.write_all(b"STARTTLS\r\n").await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n") {
        assert_ne!(tcp.read_buf(&mut heard).await.unwrap(), 0);
    }
    alerted(tcp).await;
    let session = scene.session(&code).await;
    let entry = Entry::TLS_TOO_OLD;
    let verdict = session["verdict"].as_str().unwrap();
    let sentence = entry.say(&[("version", "TLS 1.0")]);
    assert_eq!(verdict, format!("{sentence} ({})", entry.id));
    assert_eq!(session["tls"]["offered"], Value::from(vec!["TLS 1.0"]));
}

async fn alerted(mut tcp: TcpStream) {
    tcp.write_all(&old_hello()).await.unwrap();
    let mut heard = Vec::new();
    tcp.read_to_end(&mut heard).await.unwrap();
    // A fatal alert: RFC 8446 section 6.
    assert_eq!((heard[0], heard.get(5)), (0x15, Some(&2)), "{heard:?}");
}

/// The page, from what each combination came to.
fn page(end: impl Fn(usize, Tls, Auth) -> &'static str) -> String {
    let mut page = String::from(
        "# What each setting of a program leads to\n\n\
         Written by the tests (`submission`), which try every combination against a relay. **arrives**: the mail\n\
         is delivered. Otherwise the program shows the sentence of [the catalogue](refusals.md) that names the\n\
         box to change. A program that offers TLS 1.0 at most is sent away inside TLS, where nothing can be said:\n\
         the sentence is its session's verdict.\n",
    );
    for (at, (port, wait)) in PORTS.iter().enumerate() {
        let written = write!(
            page,
            "\n## Port {port} (a silent client is greeted after {wait} ms)\n\n| sign-in |"
        );
        written.unwrap();
        for (_, name) in TLS {
            write!(page, " {name} |").unwrap();
        }
        page.push_str("\n|---|---|---|---|---|\n");
        for (auth, name) in AUTH {
            write!(page, "| {name} |").unwrap();
            for (tls, _) in TLS {
                match end(at, tls, auth) {
                    "arrives" => page.push_str(" **arrives** |"),
                    id => write!(page, " [{id}](refusals.md#{}) |", id.to_lowercase()).unwrap(),
                }
            }
            page.push('\n');
        }
    }
    page
}

fn current(wanted: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/forms.md");
    if std::fs::read_to_string(&page).is_ok_and(|there| there == wanted) {
        return;
    }
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("forms.md");
    std::fs::write(&made, wanted).unwrap();
    panic!(
        "take the new page: cp {} {}",
        made.display(),
        page.display()
    );
}
