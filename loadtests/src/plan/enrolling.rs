//! How soon a vendor's program is answered that brings a shop, with a vendor's other shops in the
//! database; and how long it takes to bring those, as one file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use postrider_gate::VendorSigner;
use postrider_runtime::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Stage;
use crate::figures::Spread;
use crate::relay::{Relay, Role};
use crate::report::{Found, Verdict, say};
use crate::sink::recipient;
use crate::source::{Client, Door};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrolling {
    /// In the file that is imported first.
    shops: u64,
    /// Enrolled by each number of clients.
    enrolled: u64,
    /// How many programs enrol at once, one number after the other.
    clients: Vec<u64>,
}

const VENDOR: &str = "bench";
/// What is asked of an import, and of an enrolment.
const IMPORT_MOST: Duration = Duration::from_mins(2);
const MOST_MILLIS: f64 = 100.0;
const TOKEN_LIFE: i64 = 600;

pub(crate) async fn run(enrolling: &Enrolling, stage: &Stage<'_>) -> anyhow::Result<Found> {
    let mut relay = stage
        .base
        .relay("one", Role::All, &stage.sink, &stage.scenario.delivery)?;
    relay.start()?;
    relay.listens().await?;
    let folder = tempfile::tempdir()?;
    let signer = Arc::new(vendor(&relay, folder.path())?);
    let mut found = Found::default();
    import(enrolling, &relay, folder.path(), &mut found)?;
    for clients in &enrolling.clients {
        let share = enrolling.enrolled.div_ceil(*clients);
        let mut programs = JoinSet::new();
        for program in 0..*clients {
            let one = Program {
                signer: Arc::clone(&signer),
                door: relay.door,
                name: format!("{clients}-{program}"),
                sites: stage.sink.sites,
            };
            programs.spawn(one.enrols(share));
        }
        let (mut spans, mut tenants) = (Vec::new(), BTreeSet::new());
        while let Some(done) = programs.join_next().await {
            let (took, made) = done??;
            spans.extend(took);
            tenants.extend(made);
        }
        judge(*clients, (spans, &tenants), &mut found);
    }
    Ok(found)
}

/// Makes the vendor, with a key of its own.
fn vendor(relay: &Relay, folder: &Path) -> anyhow::Result<VendorSigner> {
    let (private, public) = (folder.join("key.pem"), folder.join("public.pem"));
    let (secret, shown) = (text(&private)?, text(&public)?);
    let openssl = |words: &[&str]| done(Command::new("openssl").args(words));
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", secret])?;
    openssl(&["pkey", "-in", secret, "-pubout", "-out", shown])?;
    let (name, contact) = (["--name", "Bench"], ["--contact", "help@bench.example"]);
    done(
        relay
            .command(&["vendor", "add", VENDOR])
            .args(name)
            .args(contact),
    )?;
    done(&mut relay.command(&["vendor", "key", "add", VENDOR, shown]))?;
    let key = fs::read_to_string(&private)?;
    VendorSigner::read(&key).context("a vendor's key of openssl")
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a temporary folder's name is UTF-8")
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("a command")?;
    let fault = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {fault}");
    Ok(())
}

fn import(
    enrolling: &Enrolling,
    relay: &Relay,
    folder: &Path,
    found: &mut Found,
) -> anyhow::Result<()> {
    let lines = (0..enrolling.shops)
        .map(|shop| format!("I{shop},Shop {shop},shop{shop}@shops.test,en,yes\n"));
    let head = "licence,name,reply_to,language,attested\n".to_owned();
    let list: String = std::iter::once(head).chain(lines).collect();
    let (file, keys) = (folder.join("shops.csv"), folder.join("keys.csv"));
    fs::write(&file, list)?;
    let words = ["tenant", "import", text(&file)?, "--vendor", VENDOR];
    let began = Instant::now();
    done(relay.command(&words).args(["--out", text(&keys)?]))?;
    let took = began.elapsed();
    let lines = fs::read_to_string(&keys)?.lines().count() as u64;
    say(&format!("  {} shops within {took:?}", enrolling.shops));
    found.figures.set("import s", took.as_secs_f64());
    found.verdicts.push(Verdict::promise(
        "each shop of an import has its keys",
        lines == enrolling.shops + 1,
        format!("{lines} lines for {} shops", enrolling.shops),
    ));
    found.verdicts.push(Verdict::figure(
        &format!("{} shops are imported in {IMPORT_MOST:?}", enrolling.shops),
        took < IMPORT_MOST,
        format!("{took:.1?}"),
    ));
    Ok(())
}

/// A program with the vendor's tokens, on one connection.
struct Program {
    signer: Arc<VendorSigner>,
    door: Door,
    name: String,
    sites: u8,
}

impl Program {
    /// Brings so many shops, one after the other. How long each took, in microseconds, and who
    /// they are.
    async fn enrols(self, count: u64) -> anyhow::Result<(Vec<u64>, Vec<String>)> {
        let mut client = Client::new(self.door);
        let (mut spans, mut tenants) = (Vec::new(), Vec::new());
        for shop in 0..count {
            let body = self.request(shop);
            let began = Instant::now();
            let answer = client.post_json("/enroll", &body).await?;
            spans.push(u64::try_from(began.elapsed().as_micros())?);
            let said = String::from_utf8_lossy(&answer.body);
            ensure!(answer.status == 200, "{}: {said}", answer.status);
            let said: Value = serde_json::from_slice(&answer.body)?;
            let tenant = said.get("tenant").and_then(Value::as_str);
            tenants.push(tenant.context("the tenant of an enrolment")?.to_owned());
        }
        Ok((spans, tenants))
    }

    fn request(&self, shop: u64) -> String {
        let now = Clock::system().now().as_seconds();
        let licence = format!("L{}-{shop}", self.name);
        let claims = json!({
            "iss": VENDOR, "sub": licence, "iat": now, "exp": now + TOKEN_LIFE,
        });
        // A mailbox of its own, at a host that takes the letter.
        let reply_to = format!("{licence}.{}", recipient(shop, self.sites));
        let name = format!("Shop {licence}");
        let token = self.signer.sign(None, &claims);
        json!({"token": token, "reply_to": reply_to, "name": name}).to_string()
    }
}

fn judge(clients: u64, (spans, tenants): (Vec<u64>, &BTreeSet<String>), found: &mut Found) {
    let answers = spans.len();
    let spread = Spread::of(spans);
    for (name, value) in [("p50", spread.p50), ("p99", spread.p99)] {
        let name = format!("enrolment by {clients}, ms {name}");
        found.figures.set(name, value);
    }
    found.verdicts.push(Verdict::promise(
        "each licence has a tenant of its own",
        tenants.len() == answers,
        format!("{} tenants of {answers} answers", tenants.len()),
    ));
    found.verdicts.push(Verdict::figure(
        &format!("an enrolment by {clients} at once is answered in {MOST_MILLIS} ms"),
        spread.p99 <= MOST_MILLIS,
        format!("{:.1} ms at p99, {:.1} at p50", spread.p99, spread.p50),
    ));
}
