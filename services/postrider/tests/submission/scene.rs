//! A tenant with a user name and a password for old forms, and where they are typed in.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use postrider_ingest::catalogue::Entry;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::harness::{Place, Sandbox, unique, until};
use crate::line::Line;

/// The ports of the field: their numbers, and how long each waits for TLS before it greets.
pub(crate) const PORTS: [(u16, u64); 3] = [(465, 3_000), (587, 150), (2525, 150)];

/// A port for programs that take implicit TLS, on a machine that does much else: a Java program needs
/// its time between connecting and its first byte. As long as a port can be told to wait.
const PATIENT_MS: u64 = 20_000;

/// A tenant of its own before the door.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) place: Place,
    /// What stands for port 587.
    pub(crate) smtp: SocketAddr,
    /// What stands for port 465 with programs that start; it waits longer for them.
    pub(crate) implicit: SocketAddr,
    pub(crate) user: String,
    /// As it is printed: in groups of four.
    pub(crate) password: String,
    /// Recipients are told apart by it.
    pub(crate) word: String,
}

impl Scene {
    /// In the relay that tests share.
    pub(crate) async fn begin() -> Self {
        let place = field().await.0.another("Scene Garage").await;
        Self::of(place, &[]).await
    }

    /// Of this tenant, with a key of these properties.
    pub(crate) async fn of(place: Place, words: &[&str]) -> Self {
        let (user, password) = key(&place, words).await;
        let ports = addresses(&place);
        Self {
            smtp: ports.get(1).copied().unwrap_or(ports[0]),
            implicit: *ports.last().unwrap(),
            place,
            user,
            password,
            word: unique(),
        }
    }

    /// The scene's recipient of this name.
    pub(crate) fn to(&self, who: &str) -> String {
        format!("{who}-{}@example.org", self.word)
    }

    /// The authority that clients must trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.place.folder.join("ca.pem")
    }

    /// Signed in by LOGIN behind STARTTLS.
    pub(crate) async fn line(&self) -> Line {
        let mut line = Line::starttls(self.smtp, "vm").await;
        line.login(&self.user, &self.password).await;
        line
    }

    /// What every mail of this tenant is from.
    pub(crate) fn from(&self) -> String {
        let shown = self.place.command(&["tenant", "show", &self.place.tenant]);
        shown["from"].as_str().unwrap().to_owned()
    }

    /// What the black box of this session holds, once it has ended.
    pub(crate) async fn session(&self, code: &str) -> Value {
        until("the session's end", async || {
            let said = self.place.try_command(&["session", code]).stdout;
            let said: Value = serde_json::from_slice(&said).ok()?;
            (!said["ended_at"].is_null()).then_some(said)
        })
        .await
    }
}

/// A new key for old forms; the door knows it when this returns.
pub(crate) async fn key(place: &Place, words: &[&str]) -> (String, String) {
    let create = ["key", "create", "--smtp", &place.tenant];
    let made = place.command(&[&create, words].concat());
    let word = |name: &str| made[name].as_str().unwrap().to_owned();
    let (user, password) = (word("user"), word("password"));
    // The same password opens the other door, too.
    let bearer = place.as_tenant(&password, &place.tenant);
    until("the door knows the password", async || {
        (bearer.get("/usage").await.status == 200).then_some(())
    })
    .await;
    (user, password)
}

/// A relay that tests share, which listens as in the field; and where: at what stands for `PORTS`, then
/// at the patient one.
pub(crate) async fn field() -> &'static (Place, Vec<SocketAddr>) {
    static SHARED: OnceCell<(Sandbox, (Place, Vec<SocketAddr>))> = OnceCell::const_new();
    let begin = async || {
        let mut sandbox = Sandbox::prepared().await;
        let text = std::fs::read_to_string(sandbox.place.config()).unwrap();
        let smtp = text.split("[smtp]").nth(1).unwrap();
        let mut lines = smtp.lines();
        let listen = lines.find(|line| line.starts_with("listen = ")).unwrap();
        // All at once, or the same one would be given again.
        let host = sandbox.network.host();
        let waits = PORTS.map(|(_, wait)| wait).into_iter().chain([PATIENT_MS]);
        let any = |wait| (TcpListener::bind((host, 0)).unwrap(), wait);
        let free: Vec<_> = waits.map(any).collect();
        let all = free.iter().map(|(free, wait)| {
            let address = free.local_addr().unwrap();
            format!("{{ address = \"{address}\", banner_after_ms = {wait} }}")
        });
        let all = all.collect::<Vec<_>>().join(", ");
        drop(free);
        sandbox.configure(listen, &format!("listen = [{all}]"));
        sandbox.serve().await;
        let place = sandbox.place.clone();
        let ports = addresses(&place);
        (sandbox, (place, ports))
    };
    &SHARED.get_or_init(begin).await.1
}

/// Where this place takes mail.
fn addresses(place: &Place) -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(place.config()).unwrap();
    let smtp = text.split("[smtp]").nth(1).unwrap();
    let mut lines = smtp.lines();
    let listen = lines.find(|line| line.starts_with("listen = ")).unwrap();
    let address = |part: &str| part.split('"').next().unwrap().parse().unwrap();
    listen.split("address = \"").skip(1).map(address).collect()
}

/// This refusal and no other, with its codes, its id and its sentence, and the session's code.
#[track_caller]
pub(crate) fn refused(reply: &str, entry: &Entry, values: &[(&str, &str)]) -> String {
    let smtp = entry.smtp.unwrap();
    let (code, enhanced) = (smtp.code, smtp.enhanced);
    let want = format!("{code} {enhanced} {} {}", entry.id, entry.say(values));
    let at = reply.find(&want);
    let at = at.unwrap_or_else(|| panic!("want {want:?}, not: {reply}"));
    let count = Entry::ALL
        .iter()
        .filter(|one| reply.contains(one.id))
        .count();
    assert_eq!(count, 1, "{reply}");
    let rest = &reply[at + want.len()..];
    let code = rest.strip_prefix(" (").and_then(|rest| rest.get(..7));
    code.unwrap_or_else(|| panic!("no code of the session: {reply}"))
        .to_owned()
}
