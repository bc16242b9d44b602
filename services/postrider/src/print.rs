//! How a command's answer looks to a person. With `--json` it is printed as it is.

mod find;
mod report;
mod session;
mod trace;

use std::io::{ErrorKind, Write};

use serde_json::Value;

use crate::admin::QueueAct;

pub(crate) use find::find;
pub(crate) use report::report;
pub(crate) use session::session;
pub(crate) use trace::{trace_begin, trace_end, trace_line};

/// What is called so in an answer is a limit, and there is none where it is `null`.
const LIMITS: [&str; 7] = [
    "requests_per_second",
    "per_minute",
    "bulk_per_minute",
    "connections",
    "per_day",
    "per_month",
    "limit",
];

/// Prints an answer to standard output.
pub(crate) fn answer(value: &Value, json: bool) -> anyhow::Result<()> {
    let text = if json {
        serde_json::to_string_pretty(value)?
    } else {
        for_people(value)
    };
    line(&text)
}

/// Prints one line to standard output. Who reads no further (`| head -1`) has seen enough: that is
/// no fault of the command.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(fault) if fault.kind() != ErrorKind::BrokenPipe => Err(fault.into()),
        _ => Ok(()),
    }
}

/// A time of an answer, to the second.
pub(crate) fn when(text: &str) -> String {
    match text.split_once('.') {
        Some((second, _)) => format!("{} UTC", second.replace('T', " ")),
        None => text.to_owned(),
    }
}

/// A fault and its causes in one line. Many a library's error says its own cause already: that is
/// not said again.
pub(crate) fn fault(fault: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in fault.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// What a verb about the queue did, in sentences.
pub(crate) fn queue(act: QueueAct, answer: &Value) -> String {
    let count = |name: &str| match answer.get(name) {
        Some(Value::Array(items)) => items.len() as u64,
        Some(value) => value.as_u64().unwrap_or(0),
        None => 0,
    };
    let changed = recipients(count("changed"));
    let mut lines = vec![match act {
        QueueAct::Hold => format!("{changed} held."),
        QueueAct::Release => format!("{changed} released."),
        QueueAct::Cancel => format!("{changed} cancelled."),
        QueueAct::RetryNow => format!("{changed} due now."),
        QueueAct::Suspend => "Suspended, until `postrider queue resume`.".to_owned(),
        QueueAct::Resume => "It goes on.".to_owned(),
    }];
    if count("too_late") > 0 {
        let late = recipients(count("too_late"));
        lines.push(format!("{late} too late: it may have been sent already."));
    }
    if count("resealed") > 0 {
        lines.push(format!("Messages signed anew: {}.", count("resealed")));
    }
    if count("not_resealed") > 0 {
        let failed = count("not_resealed");
        lines.push(format!(
            "Messages that could not be signed anew, and wait: {failed}."
        ));
    }
    if count("not_answered") > 0 {
        let nodes = answer.get("not_answered").and_then(Value::as_array);
        let names = nodes.into_iter().flatten().filter_map(Value::as_str);
        let names = names.collect::<Vec<_>>().join(", ");
        lines.push(format!(
            "No answer yet from {names}: see `postrider nodes`."
        ));
    }
    lines.join("\n")
}

fn recipients(count: u64) -> String {
    match count {
        1 => "1 recipient".to_owned(),
        n => format!("{n} recipients"),
    }
}

fn for_people(value: &Value) -> String {
    match value {
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => {
            let plain = !items.iter().any(|item| item.is_object() || item.is_array());
            let between = if plain { "\n" } else { "\n\n" };
            items
                .iter()
                .map(for_people)
                .collect::<Vec<_>>()
                .join(between)
        }
        Value::Object(fields) => {
            let width = fields.keys().map(String::len).max().unwrap_or(0);
            let shown = |(name, value): (&String, &Value)| match value {
                // Nothing is excluded where nothing is named.
                Value::Array(items) if items.is_empty() && name == "networks" => {
                    format!("{name:width$}  from anywhere")
                }
                Value::Array(items) if items.is_empty() => format!("{name:width$}  none"),
                Value::Null if LIMITS.contains(&name.as_str()) => {
                    format!("{name:width$}  no limit")
                }
                Value::Array(_) | Value::Object(_) => format!("{name}:\n{}", indented(value)),
                value => format!("{name:width$}  {}", scalar(value)),
            };
            fields.iter().map(shown).collect::<Vec<_>>().join("\n")
        }
        value => scalar(value),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn indented(value: &Value) -> String {
    let text = for_people(value);
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_verb_about_the_queue_is_answered_in_sentences() {
        let late = json!({"changed": 1, "too_late": ["a", "b"], "not_answered": ["n1", "n2"]});
        let want = "1 recipient cancelled.\n2 recipients too late: it may have been sent already.\nNo answer yet from n1, n2: see `postrider nodes`.";
        assert_eq!(queue(QueueAct::Cancel, &late), want);
        let none = json!({"changed": 0, "too_late": [], "not_answered": [], "resealed": 3});
        let want = "0 recipients released.\nMessages signed anew: 3.";
        assert_eq!(queue(QueueAct::Release, &none), want);
    }

    #[test]
    fn a_fault_says_each_of_its_causes_once() {
        let root = anyhow::anyhow!("refused (os error 111)");
        let library = root.context("no connection: refused (os error 111)");
        let whole = library.context("cannot open the database");
        let want = "cannot open the database: no connection: refused (os error 111)";
        assert_eq!(fault(&whole), want);
    }

    #[test]
    fn people_read_names_and_values() {
        let value =
            json!([{"id": "1", "reply_to": null, "keys": [{"n": 1}]}, {"id": "2", "keys": []}]);
        let want = "id        1\nreply_to  -\nkeys:\n  n  1\n\nid    2\nkeys  none";
        assert_eq!(for_people(&value), want);
        assert_eq!(for_people(&json!([])), "none");
        assert_eq!(
            for_people(&json!({"networks": []})),
            "networks  from anywhere"
        );
        assert_eq!(for_people(&json!(["a", "b"])), "a\nb");
        let limits = json!({"burst": null, "per_day": null, "per_month": 9});
        let want = "burst      -\nper_day    no limit\nper_month  9";
        assert_eq!(for_people(&limits), want);
    }
}
