//! The dashboard and the rules name only metrics, labels and words of labels that `infra/metrics.md` lists,
//! and the rules pass promtool's tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tools;

const LIST: &str = include_str!("../../../../infra/metrics.md");
const DASHBOARD: &str = include_str!("../../../../infra/grafana/postrider.json");
const RULES: &str = include_str!("../../../../infra/prometheus/rules.yml");
const RULE_TESTS: &str = include_str!("../../../../infra/prometheus/rules.test.yml");
/// What Prometheus and histograms add.
const ADDED: [&str; 3] = ["instance", "job", "le"];

type Words = BTreeMap<String, BTreeSet<String>>;

/// A metric as the list has it.
struct Listed {
    is_histogram: bool,
    labels: Words,
}

/// One mention of a metric: `name{label="word|word",…}`.
#[derive(Debug, PartialEq, Eq)]
struct Mention {
    name: String,
    /// Label, operator, the words of its value.
    labels: Vec<(String, String, Vec<String>)>,
}

fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The rows of the list, `name` | type | labels | …; words of a label that are not in its row stand above.
fn listed() -> BTreeMap<String, Listed> {
    let set = |line: &str| {
        let mut words = quoted(line);
        (words.next().unwrap(), words.collect::<BTreeSet<_>>())
    };
    let lines = || LIST.lines();
    let sets: Words = lines()
        .filter(|line| line.starts_with("* `"))
        .map(set)
        .collect();
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let labels = cells[3]
            .split(';')
            .filter(|label| label.contains('`'))
            .map(|label| {
                let (label, words) = set(label);
                let words = if words.is_empty() {
                    sets.get(&label).cloned()
                } else {
                    Some(words)
                };
                (label, words.unwrap_or_default())
            });
        let listed = Listed {
            is_histogram: cells[2].starts_with("histogram"),
            labels: labels.collect(),
        };
        (cells[1].trim_matches('`').to_owned(), listed)
    };
    lines()
        .filter(|line| line.starts_with("| `"))
        .map(row)
        .collect()
}

/// Every mention of a metric of ours. A name that goes on with a colon is a rule's own.
fn mentions(text: &str) -> Vec<Mention> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let word = &rest[start..];
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        rest = after;
        let is_ours = name.starts_with("postrider_") || name.starts_with("process_");
        if !is_ours || name.contains(':') {
            continue;
        }
        let selector = after
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'));
        found.push(Mention {
            name: name.to_owned(),
            labels: selector.map_or_else(Vec::new, |(inside, _)| matchers(inside)),
        });
    }
    found
}

// No value of ours has a comma in it.
fn matchers(inside: &str) -> Vec<(String, String, Vec<String>)> {
    let matcher = |text: &str| {
        let at = text.find(['=', '!']).expect("a label and its value");
        let (label, rest) = text.split_at(at);
        let quote = rest.find('"').expect("a value in quotes");
        let (operator, value) = rest.split_at(quote);
        let words = value.trim_matches('"').split('|').map(str::to_owned);
        (
            label.trim().to_owned(),
            operator.to_owned(),
            words.collect(),
        )
    };
    inside
        .split(',')
        .filter(|text| !text.trim().is_empty())
        .map(matcher)
        .collect()
}

/// What is wrong with a mention.
fn fault(mention: &Mention, listed: &BTreeMap<String, Listed>) -> Option<String> {
    let parts = ["_bucket", "_sum", "_count"].into_iter();
    let of_histogram = parts
        .filter_map(|part| mention.name.strip_suffix(part))
        .find_map(|name| listed.get(name).filter(|listed| listed.is_histogram));
    let Some(metric) = listed.get(&mention.name).or(of_histogram) else {
        return Some(format!("{} is not in infra/metrics.md", mention.name));
    };
    for (label, _, words) in &mention.labels {
        if ADDED.contains(&label.as_str()) {
            continue;
        }
        let Some(known) = metric.labels.get(label) else {
            return Some(format!("{} has no label {label}", mention.name));
        };
        // A word that begins so is a choice of the dashboard's reader.
        let mut words = words
            .iter()
            .filter(|word| !word.starts_with('$') && !word.is_empty());
        if let Some(word) = words.find(|word| !known.contains(*word)) {
            return Some(format!("{}: {label} is never {word:?}", mention.name));
        }
    }
    None
}

/// What the dashboard asks, at any depth.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" || name == "query" => {
                        found.push(text.clone());
                    }
                    deeper => queries(deeper, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

#[test]
fn every_figure_that_is_named_exists_with_its_labels() {
    let listed = listed();
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut asked = Vec::new();
    queries(&dashboard, &mut asked);
    assert!(asked.len() > 30, "{asked:?}");
    let texts = [asked.join("\n"), RULES.to_owned(), RULE_TESTS.to_owned()];
    let faults: Vec<_> = texts
        .iter()
        .flat_map(|text| mentions(text))
        .filter_map(|mention| fault(&mention, &listed))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_figure_that_does_not_exist_is_found() {
    let listed = listed();
    for (query, want) in [
        ("sum(postrider_delivery_shards)", None),
        (
            "rate(postrider_gate_accept_seconds_bucket{door=\"smtp\",le=\"1\"}[5m])",
            None,
        ),
        ("postrider:ended:increase1h > 3", None),
        ("postrider_delivery_result_total", Some("is not in")),
        ("postrider_delivery_shards_bucket", Some("is not in")),
        (
            "postrider_delivery_shards{provider=\"google\"}",
            Some("no label provider"),
        ),
        (
            "postrider_delivery_results_total{result=~\"delivered|lost\"}",
            Some("never \"lost\""),
        ),
    ] {
        let found = mentions(query)
            .iter()
            .find_map(|mention| fault(mention, &listed));
        let is_right = match (&found, want) {
            (None, None) => true,
            (Some(found), Some(want)) => found.contains(want),
            _ => false,
        };
        assert!(is_right, "{query}: {found:?}");
    }
}

#[test]
fn panels_of_the_dashboard_have_a_place_and_a_number_of_their_own() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for panel in panels {
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(place("x") + place("w") <= 24, "{panel}");
        for y in place("y")..place("y") + place("h") {
            for x in place("x")..place("x") + place("w") {
                assert!(taken.insert((x, y)), "two panels at {x}, {y}: {panel}");
            }
        }
    }
}

#[test]
fn each_alert_has_a_test_that_sees_it() {
    let alerts = RULES
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let unseen: Vec<_> = alerts.filter(|alert| !RULE_TESTS.contains(alert)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn promtool_takes_the_rules_and_their_tests_pass() {
    let Some(promtool) = promtool() else {
        return tools::missing(
            "promtool (alerting rules): apt-get install prometheus, or .ci/tools",
        );
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/prometheus");
    for words in [
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules.test.yml"],
    ] {
        let mut command = Command::new(&promtool);
        let said = command.args(words).current_dir(&folder).output().unwrap();
        let words = [said.stdout, said.stderr].concat();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&words));
    }
}

fn promtool() -> Option<PathBuf> {
    tools::installed("bin/promtool").or_else(|| on_path("promtool"))
}

/// A program of the machine.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = tools::environment("PATH")?;
    let mut files = path
        .split(':')
        .map(|folder| Path::new(folder).join(program));
    files.find(|file| file.is_file())
}
