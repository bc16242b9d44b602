//! How a command's answer looks to a person. With `--json` it is printed as it is.

mod find;
mod queue;
mod report;
mod session;
mod tenants;
mod trace;

use std::io::{ErrorKind, Write};

use serde_json::Value;

pub(crate) use find::find;
pub(crate) use queue::{queue, queue_list};
pub(crate) use report::report;
pub(crate) use session::session;
pub(crate) use tenants::tenant_list;
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

/// Rows with their columns one below the other: the first `left` of them to the left, the rest to the right.
fn aligned(rows: &[Vec<String>], left: usize) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(at, (cell, width))| {
            if at < left {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A member that is a text; empty where it is none.
fn word<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

/// A member that is a list; empty where it is none.
fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
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
