//! Our signatures before two verifiers that others wrote: dkimpy and opendkim, both with key
//! records from a file, so that no DNS is asked. Each also rejects the message with one byte
//! changed, and with a field added that is signed by its absence. And their senders' signatures
//! after us, before OpenSSL.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test says what is wrong by failing"
)]

mod sealed;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use postrider_message::{
    DkimVerdict, Draft, DraftAttachment, SigningKey, Stamp, compose, generate_key, normalise, sign,
    stamp, verify,
};
use postrider_model::{DkimAlgorithm, Domain, EmailAddress, Mailbox, Timestamp};

const DOMAIN: &str = "send.relay.example";
const SELECTORS: [(&str, DkimAlgorithm); 2] = [
    ("r1", DkimAlgorithm::RsaSha256),
    ("e1", DkimAlgorithm::Ed25519Sha256),
];

/// A signed message and what each of its two signatures must be found to be.
struct Case {
    name: String,
    message: Vec<u8>,
    passes: bool,
}

struct Keys {
    signing: Vec<SigningKey>,
    /// Name and text of each record.
    records: Vec<(String, String)>,
}

fn keys() -> Keys {
    let domain = Domain::parse(DOMAIN).unwrap();
    let (mut signing, mut records) = (vec![], vec![]);
    for (selector, algorithm) in SELECTORS {
        let made = generate_key(algorithm).unwrap();
        signing.push(SigningKey::from_pkcs8(algorithm, &made.pkcs8, &domain, selector).unwrap());
        records.push((format!("{selector}._domainkey.{DOMAIN}"), made.record));
    }
    Keys { signing, records }
}

fn mailbox(name: &str, address: &str) -> Mailbox {
    Mailbox {
        name: Some(name.to_owned()),
        address: EmailAddress::parse(address).unwrap(),
    }
}

fn stamped(raw: &[u8]) -> Vec<u8> {
    let ours = Stamp {
        from: mailbox("Joe's Garage", "joes-garage-7k2f@send.relay.example"),
        reply_to: vec![mailbox("Joé", "joe@joesgarage.example")],
        receipts: vec![],
        date: Timestamp::parse("2026-01-31T08:09:10Z").unwrap(),
        message_id: "0190@send.relay.example".to_owned(),
        feedback_id: "c:t:transactional:relay".to_owned(),
        received: "by mx-out.relay.example with ESMTPSA id 1; Sat, 31 Jan 2026 08:09:10 +0000"
            .to_owned(),
        unsubscribe: None,
    };
    stamp(raw, &ours).unwrap().bytes
}

fn with_attachment() -> Vec<u8> {
    let content = (0..10_000_000_u32)
        .map(|n| n.to_le_bytes()[(n % 3) as usize])
        .collect();
    let file = DraftAttachment {
        filename: "Größe.pdf".to_owned(),
        content,
        ..DraftAttachment::default()
    };
    let draft = Draft {
        to: vec![mailbox("Ann", "ann@example.org")],
        subject: "watch the size".to_owned(),
        html: Some("<p>Grüße</p>".to_owned()),
        attachments: vec![file],
        ..Draft::default()
    };
    stamped(&compose(&draft, [7; 16]).unwrap().bytes)
}

/// The messages to sign: each kind of end that a body can have, stamped; 8-bit also as it is.
fn messages() -> Vec<(String, Vec<u8>)> {
    let long = format!("{}\r\nx\r\n", "y".repeat(998));
    let bodies = [
        ("nothing", ""),
        ("one empty line", "\r\n"),
        ("blank lines", "text\r\n\r\n\r\n\r\n"),
        ("white space", "text \t \r\n"),
        // mail-auth before 0.15 signs this one and the next wrongly (its issue 62).
        ("lines of white space", "text\r\n  \r\n\t\r\n \r\n"),
        ("only white space", " \r\n\t\r\n"),
        ("dots", "text\r\n.\r\n..\r\n.a\r\n.\r\n"),
        ("no line end", "text"),
        ("white space and no line end", "text\r\n \t"),
        ("white space inside", "a  b\t\tc \r\n\r\n  d\r\n"),
        ("a line of 998", long.as_str()),
        ("eight bits", "Grüße\r\naus der Wérkstatt \r\n\r\n"),
    ];
    let mut all = vec![("a 10 MB attachment".to_owned(), with_attachment())];
    for (name, body) in bodies {
        let raw = format!("To: ann@example.org\r\nSubject: watch  this\r\n\tfold\r\n\r\n{body}");
        all.push((name.to_owned(), stamped(&normalise(raw.into_bytes()))));
    }
    let raw = "From: a@send.relay.example\r\nSubject: watch Grüße\r\n\r\nGrüße \r\n\r\n";
    all.push(("eight bits as they are".to_owned(), raw.as_bytes().to_vec()));
    let latin = b"From: a@send.relay.example\r\nSubject: watch\r\n\r\ncaf\xe9  \xff\r\n".to_vec();
    all.push(("bytes that are no UTF-8".to_owned(), latin));
    all
}

fn cases(keys: &Keys) -> Vec<Case> {
    let mut all = vec![];
    for (name, message) in messages() {
        let mut signed = sign(&message, &keys.signing, Duration::from_hours(48)).unwrap();
        let fields = signed.len();
        signed.extend_from_slice(&message);
        let mut case = |what: &str, message: Vec<u8>, passes| {
            all.push(Case {
                name: format!("{name}, {what}"),
                message,
                passes,
            });
        };
        case("as signed", signed.clone(), true);
        case("a byte of the body changed", changed_body(&signed), false);
        let mut changed = signed.clone();
        let subject = find(&changed, b"Subject: watch") + "Subject: ".len();
        changed[subject] = b'W';
        case("a byte of the subject changed", changed, false);
        let mut added = signed;
        added.splice(fields..fields, *b"From: evil@evil.example\r\n");
        case("a second From added", added, false);
    }
    all
}

fn find(text: &[u8], wanted: &[u8]) -> usize {
    text.windows(wanted.len())
        .position(|window| window == wanted)
        .unwrap()
}

fn changed_body(signed: &[u8]) -> Vec<u8> {
    let start = find(signed, b"\r\n\r\n") + 4;
    let mut changed = signed.to_vec();
    match changed[start..].iter().rposition(u8::is_ascii_graphic) {
        Some(at) => changed[start + at] ^= 1,
        // Nothing is there to change: a byte where there was none.
        None => changed.splice(start..start, *b"x\r\n").for_each(drop),
    }
    changed
}

fn judge(case: &Case, verdicts: &[bool]) {
    let want = [case.passes; SELECTORS.len()];
    assert_eq!(verdicts, want, "RSA and Ed25519 of: {}", case.name);
}

/// Says that a tool is not there. Where all tools are required, that is a failure.
#[expect(
    clippy::disallowed_methods,
    reason = "the test run says by its environment what it requires"
)]
fn not_run(what: &str, install: &str) {
    let line = format!("NOT RUN: {what} (apt-get install {install})");
    assert!(
        std::env::var("POSTRIDER_REQUIRE_ALL").as_deref() != Ok("1"),
        "{line}"
    );
    println!("{line}");
    if let Ok(path) = std::env::var("POSTRIDER_NOT_RUN") {
        use std::io::Write as _;
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

fn saved(folder: &Path, cases: &[Case]) -> Vec<PathBuf> {
    let save = |(index, case): (usize, &Case)| {
        let path = folder.join(format!("{index}.eml"));
        fs::write(&path, &case.message).unwrap();
        path
    };
    cases.iter().enumerate().map(save).collect()
}

#[test]
fn mail_auth_verifies_what_we_sign_and_nothing_else() {
    let keys = keys();
    let record = |name: &str| {
        keys.records
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, r)| r.clone())
    };
    for case in cases(&keys) {
        let checks = verify(&case.message, &record);
        let verdicts: Vec<bool> = checks
            .iter()
            .map(|c| c.verdict == DkimVerdict::Pass)
            .collect();
        judge(&case, &verdicts);
    }
}

// One line for each message: 1 or 0 for each of its signatures.
const DKIMPY: &str = r"
import sys, dkim
keys = dict(line.rstrip('\n').encode().split(b' ', 1) for line in open(sys.argv[1]))
for path in sys.argv[2:]:
    message = open(path, 'rb').read()
    verdicts = []
    for index in range(2):
        try:
            good = dkim.DKIM(message).verify(idx=index, dnsfunc=lambda name, timeout=5: keys.get(name.rstrip(b'.')))
        except dkim.DKIMException:
            good = False
        verdicts.append('1' if good else '0')
    print(' '.join(verdicts))
";

#[test]
fn dkimpy_verifies_what_we_sign_and_nothing_else() {
    // The system's own interpreter: another one in PATH does not see Debian's packages.
    let python = Path::new("/usr/bin/python3");
    let has = Command::new(python)
        .args(["-c", "import dkim, nacl"])
        .output();
    if !has.is_ok_and(|output| output.status.success()) {
        return not_run("DKIM verification by dkimpy", "python3-dkim python3-nacl");
    }
    let (keys, folder) = (keys(), tempfile::tempdir().unwrap());
    let cases = cases(&keys);
    let records = folder.path().join("keys");
    let lines: Vec<String> = keys
        .records
        .iter()
        .map(|(name, text)| format!("{name} {text}\n"))
        .collect();
    fs::write(&records, lines.concat()).unwrap();
    let mut command = Command::new(python);
    let output = command
        .args(["-c", DKIMPY])
        .arg(&records)
        .args(saved(folder.path(), &cases))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let verdicts: Vec<Vec<bool>> = text
        .lines()
        .map(|line| line.split(' ').map(|word| word == "1").collect())
        .collect();
    assert_eq!(verdicts.len(), cases.len());
    for (case, verdicts) in cases.iter().zip(verdicts) {
        judge(case, &verdicts);
    }
}

#[test]
fn opendkim_verifies_what_we_sign_and_nothing_else() {
    let program = Path::new("/usr/sbin/opendkim");
    if !program.exists() {
        return not_run("DKIM verification by opendkim", "opendkim");
    }
    let (keys, folder) = (keys(), tempfile::tempdir().unwrap());
    let cases = cases(&keys);
    let (records, config) = (
        folder.path().join("keys"),
        folder.path().join("opendkim.conf"),
    );
    let lines: Vec<String> = keys
        .records
        .iter()
        .map(|(name, text)| format!("{name} {text}\n"))
        .collect();
    fs::write(&records, lines.concat()).unwrap();
    let settings = format!(
        "Mode v\nTestPublicKeys {}\nAlwaysAddARHeader yes\nOn-BadSignature reject\n",
        records.display()
    );
    fs::write(&config, settings).unwrap();
    // Some builds know no Ed25519: then opendkim judges RSA alone, and dkimpy both.
    let version = Command::new(program).arg("-V").output().unwrap();
    let knows_ed25519 = String::from_utf8_lossy(&version.stdout).contains("ed25519-sha256");
    for (case, path) in cases.iter().zip(saved(folder.path(), &cases)) {
        let mut command = Command::new(program);
        let output = command
            .arg("-x")
            .arg(&config)
            .arg("-t")
            .arg(path)
            .arg("-vvv")
            .output()
            .unwrap();
        // The exit status says nothing; the field that it would add does.
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let verdict = |algorithm: DkimAlgorithm| {
            let named = format!(" header.a={algorithm} ");
            let line = said.lines().find(|line| line.contains(&named));
            let line =
                line.unwrap_or_else(|| panic!("{}: no verdict on {algorithm}: {said}", case.name));
            line.trim_start().starts_with("dkim=pass")
        };
        let second = SELECTORS[1].1;
        let ed25519 = if knows_ed25519 {
            verdict(second)
        } else {
            case.passes
        };
        judge(case, &[verdict(SELECTORS[0].1), ed25519]);
    }
    if !knows_ed25519 {
        not_run("Ed25519 by opendkim: this build has none", "opendkim");
    }
}
