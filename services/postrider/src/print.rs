//! How a command's answer looks to a person. With `--json` it is printed as it is.

use std::io::Write;

use serde_json::Value;

/// Prints an answer to standard output.
pub(crate) fn answer(value: &Value, json: bool) -> anyhow::Result<()> {
    let text = if json {
        serde_json::to_string_pretty(value)?
    } else {
        for_people(value)
    };
    line(&text)
}

/// Prints one line to standard output.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
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
    fn people_read_names_and_values() {
        let value = json!([{"id": "1", "reply_to": null, "keys": [{"n": 1}]}, {"id": "2"}]);
        let want = "id        1\nreply_to  -\nkeys:\n  n  1\n\nid  2";
        assert_eq!(for_people(&value), want);
        assert_eq!(for_people(&json!([])), "none");
        assert_eq!(for_people(&json!(["a", "b"])), "a\nb");
    }
}
