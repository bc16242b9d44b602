//! The metrics page: that it is what `infra/metrics.md` says, and that it tells what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use postrider_fakenet::{Phase, Script};
use serde_json::json;

use crate::harness::metrics::Family;
use crate::harness::{Inside, Page, Sandbox, tools, until};

const LIST: &str = include_str!("../../../../infra/metrics.md");

/// What the list says of a metric.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    family: Family,
    /// `Some` where only relays on this database have it.
    database: Option<String>,
}

/// The rows of the list's tables: `name` | type (database) | labels | what it tells | what to do.
fn listed() -> BTreeMap<String, Listed> {
    let sets = word_sets();
    let mut listed = BTreeMap::new();
    for line in LIST.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, tells, to_do, _] = cells.as_slice() else {
            panic!("not a row of five cells: {line}");
        };
        assert!(!tells.is_empty() && !to_do.is_empty(), "{line}");
        let (kind, database) = kind.split_once(" (").unwrap_or((kind, ""));
        let family = Family {
            kind: kind.to_owned(),
            labels: labels_of(labels, &sets),
        };
        let database = database.strip_suffix(')').map(str::to_ascii_lowercase);
        let name = name.trim_matches('`').to_owned();
        let before = listed.insert(name, Listed { family, database });
        assert_eq!(before, None, "twice: {line}");
    }
    listed
}

/// `label`: `word` `word`; `label`. Words that are left out stand under «Labels».
fn labels_of(
    cell: &str,
    sets: &BTreeMap<String, BTreeSet<String>>,
) -> BTreeMap<String, BTreeSet<String>> {
    let labels = cell.split(';').filter(|label| label.contains('`'));
    let label = |text: &str| {
        let mut words = quoted(text).into_iter();
        let label = words.next().unwrap();
        let words: BTreeSet<_> = words.collect();
        match sets.get(&label) {
            Some(set) if words.is_empty() => (label, set.clone()),
            _ => (label, words),
        }
    };
    labels.map(label).collect()
}

/// * `label`: `word` `word`
fn word_sets() -> BTreeMap<String, BTreeSet<String>> {
    let sets = LIST.lines().filter(|line| line.starts_with("* `"));
    let set = |line: &str| {
        let mut words = quoted(line).into_iter();
        (words.next().unwrap(), words.collect())
    };
    sets.map(set).collect()
}

fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// What runs here: `sqlite` or `postgres`.
fn database(page: &Page) -> String {
    let build = &page.families()["postrider_build_info"];
    build.labels["database"].first().unwrap().clone()
}

#[tokio::test]
async fn the_page_of_a_relay_is_what_the_list_says() {
    let sandbox = Sandbox::one_process().await;
    let place = &sandbox.place;
    place.settled(&place.send_to("ann@example.org").await).await;
    let page = Page::of(place).await;
    let here = database(&page);
    let mut found = page.families();
    for (name, listed) in listed() {
        if listed.database.is_some_and(|name| !name.starts_with(&here)) {
            continue;
        }
        let Some(mut family) = found.remove(&name) else {
            panic!("{name} is in infra/metrics.md and not on the page");
        };
        // Which release it is changes with each.
        if name == "postrider_build_info" {
            family.labels.insert("version".to_owned(), BTreeSet::new());
            let databases = ["sqlite".to_owned(), "postgres".to_owned()];
            family
                .labels
                .insert("database".to_owned(), databases.into());
        }
        assert_eq!(family, listed.family, "{name}: page, and infra/metrics.md");
    }
    let rest: Vec<_> = found.keys().collect();
    assert!(rest.is_empty(), "not in infra/metrics.md: {rest:?}");
}

#[test]
fn names_are_as_the_style_guide_asks() {
    for (name, Listed { family, .. }) in listed() {
        let is_counter = family.kind == "counter";
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        for wrong in ["milliseconds", "micros", "_ms", "kilobytes", "_mb"] {
            assert!(!name.contains(wrong), "{name}");
        }
        let ours = name.starts_with("postrider_") || name.starts_with("process_");
        assert!(ours, "{name}");
        // One sample for each word of each label: a page that Prometheus reads in no time.
        let series: usize = family.labels.values().map(BTreeSet::len).product();
        assert!(series <= 500, "{name}: {series}");
    }
}

#[tokio::test]
async fn prometheus_own_check_has_nothing_to_say() {
    let Some(promtool) = promtool() else {
        return tools::missing(
            "promtool (the metrics page's form): apt-get install prometheus, or .ci/tools",
        );
    };
    let sandbox = Sandbox::one_process().await;
    let place = &sandbox.place;
    place.settled(&place.send_to("ann@example.org").await).await;
    let page = Page::of(place).await;
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(page.text.as_bytes()).unwrap();
    drop(stdin);
    let said = check.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    assert!(said.status.success() && words.is_empty(), "{words}");
}

fn promtool() -> Option<PathBuf> {
    let installed = tools::installed("bin/promtool");
    let path = || {
        let path = tools::environment("PATH")?;
        let mut folders = path
            .split(':')
            .map(|folder| PathBuf::from(folder).join("promtool"));
        folders.find(|file| file.exists())
    };
    installed.or_else(path)
}

#[tokio::test]
async fn deliverability_is_read_by_provider_and_reason() {
    let relay = Inside::start().await;
    let google = Script::new()
        .recipient("bob@gmail.test", "550 5.1.1 no such user")
        .recipient("cid@gmail.test", "450 4.7.28 unusual rate of mail");
    let gmail = relay.net.domain("gmail.test");
    gmail.add_mx(5, "gmail-smtp-in.l.google.com", google);
    let greylists = Script::new().once(Phase::Rcpt, "451 4.7.1 greylisted");
    let outlook = relay.net.domain("outlook.test");
    outlook.add_mx(10, "outlook-test.mail.protection.outlook.com", greylists);
    relay.net.domain("null.test").null_mx();
    for (to, end) in [
        ("ann@gmail.test", "delivered"),
        ("bob@gmail.test", "bounced"),
        ("cid@gmail.test", "deferred"),
        ("dan@outlook.test", "deferred"),
        ("eve@null.test", "bounced"),
        ("fay@elsewhere.test", "delivered"),
    ] {
        let id = relay.place.send_to(to).await;
        relay.place.events_when(&id, |seen| seen.has(end)).await;
    }
    let page = Page::of(&relay.place).await;
    for (provider, result, count) in [
        ("google", "delivered", 1),
        ("google", "bounced", 1),
        ("google", "deferred", 1),
        ("microsoft", "deferred", 1),
        ("microsoft", "delivered", 0),
        ("none", "bounced", 1),
        ("other", "delivered", 1),
        ("yahoo", "delivered", 0),
    ] {
        let labels = [("provider", provider), ("result", result)];
        let counted = page.count("postrider_delivery_results_total", &labels);
        assert_eq!(counted, count, "{labels:?}");
    }
    for (provider, class) in [
        ("google", "unknown_recipient"),
        ("google", "rate_limited"),
        ("microsoft", "greylisted"),
        ("none", "no_mail"),
    ] {
        let labels = [("provider", provider), ("class", class)];
        let counted = page.count("postrider_delivery_refusals_total", &labels);
        assert_eq!(counted, 1, "{labels:?}");
    }
    assert_eq!(page.count("postrider_delivery_refusals_total", &[]), 4);
    relay.stop().await;
}

#[tokio::test]
async fn what_happens_on_the_way_is_counted() {
    let relay = Inside::start().await;
    let place = &relay.place;
    for _ in 0..2 {
        let id = place.send_to("ann@example.test").await;
        place.settled(&id).await;
    }
    assert_eq!(place.post("{}").await.status, 422);
    assert_eq!(place.get("/nowhere").await.status, 404);
    let page = Page::of(place).await;
    let count = |name: &str, labels: &[(&str, &str)]| page.count(name, labels);
    for door in [("door", "http"), ("stream", "transactional")] {
        for what in ["messages", "recipients"] {
            let name = format!("postrider_gate_{what}_accepted_total");
            assert_eq!(count(&name, &[door]), 2, "{name} {door:?}");
        }
    }
    let requests = "postrider_ingest_requests_total";
    let send = ("endpoint", "send");
    assert_eq!(count(requests, &[send, ("status", "2xx")]), 2);
    assert_eq!(count(requests, &[send, ("status", "4xx")]), 1);
    let nothing = [("endpoint", "nothing"), ("status", "4xx")];
    assert_eq!(count(requests, &nothing), 1);
    let refusals = "postrider_ingest_refusals_total";
    let missing = [("name", "missing_required_field")];
    assert_eq!(count(refusals, &missing), 1);
    assert_eq!(count(refusals, &[("name", "not_found")]), 1);
    assert_eq!(count("postrider_ingest_request_seconds_count", &[send]), 3);
    assert!(
        count(
            "postrider_http_connections_total",
            &[("outcome", "accepted")]
        ) >= 4
    );
    assert_eq!(count("postrider_ingest_memory_bytes", &[]), 0);
    // The second message goes over the first one's session.
    let sessions = "postrider_delivery_sessions_total";
    assert_eq!(count(sessions, &[("outcome", "encrypted")]), 1);
    assert_eq!(count(sessions, &[("outcome", "reused")]), 1);
    let phase = "postrider_delivery_phase_seconds_count";
    for (word, times) in [
        ("dns", 2),
        ("connect", 1),
        ("tls", 1),
        ("envelope", 2),
        ("message", 2),
        ("settle", 2),
    ] {
        assert_eq!(count(phase, &[("phase", word)]), times, "{word}");
    }
    let first = "postrider_delivery_first_attempt_seconds_count";
    assert_eq!(count(first, &[]), 2);
    let lookups = "postrider_dns_lookups_total";
    let mx = ("type", "mx");
    assert_eq!(count(lookups, &[mx, ("outcome", "found")]), 1);
    assert_eq!(count(lookups, &[mx, ("outcome", "remembered")]), 1);
    for kind in ["intake", "settle"] {
        let items = "postrider_store_batch_items_sum";
        assert_eq!(count(items, &[("kind", kind)]), 2, "{kind}");
    }
    assert_eq!(count("postrider_store_write_failures_total", &[]), 0);
    relay.stop().await;
}

#[tokio::test]
async fn what_waits_is_on_the_page_wherever_it_lies() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let later = |hours: u32| {
        json!({"to": ["ann@later.test", "bob@later.test"], "subject": "x", "text": "x",
            "scheduled_at": format!("in {hours} hours")})
    };
    // Far beyond what the node has in memory.
    let id = place.send(later(5)).await;
    place.send(later(9)).await;
    let slow = Script::new().once(Phase::Rcpt, "451 4.3.0 later");
    relay.net.domain("slow.test").mx(slow);
    let deferred = place.send_to("ann@slow.test").await;
    place
        .events_when(&deferred, |seen| seen.has("deferred"))
        .await;
    relay.command(&["queue", "hold", "--message", &id]).await;
    let counts = until("a count of the queue", async || {
        let page = Page::of(place).await;
        let count = |state, cause| {
            let labels = [("state", state), ("cause", cause)];
            page.count("postrider_store_queue_recipients", &labels)
        };
        let all = page.count("postrider_store_queue_recipients", &[]);
        let counts = [
            count("scheduled", "scheduled"),
            count("queued", "retry"),
            count("held", "held"),
        ];
        (all == 5).then_some((counts, page))
    })
    .await;
    let (counts, page) = counts;
    assert_eq!(counts, [2, 1, 2]);
    let in_memory = [("state", "scheduled")];
    assert_eq!(
        page.count("postrider_delivery_waiting_recipients", &in_memory),
        0
    );
    assert_eq!(
        page.count("postrider_store_queue_count_failures_total", &[]),
        0
    );
    relay.stop().await;
}
