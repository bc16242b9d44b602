//! A message that is followed, as a person reads it: what is said to `>` and heard `<` from its server, and what
//! this relay does `*`.

use serde_json::Value;

use super::line;

/// That it was accepted.
pub(crate) fn trace_begin(sent: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return line(&sent.to_string());
    }
    line(&begin(sent))
}

/// A line of the dialogue.
pub(crate) fn trace_line(said: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return line(&said.to_string());
    }
    line(&one(said))
}

/// What it came to.
pub(crate) fn trace_end(outcome: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return line(&outcome.to_string());
    }
    line(&end(outcome))
}

fn begin(sent: &Value) -> String {
    let (id, from, to) = (word(sent, "id"), word(sent, "from"), word(sent, "to"));
    let accepted = format!("accepted: {id} from {from} to {to}");
    if sent.get("live") == Some(&Value::Bool(true)) {
        return accepted;
    }
    format!("{accepted}\nanother process delivers it: what its events have is shown")
}

fn one(said: &Value) -> String {
    // 2026-11-22T03:20:48.123456Z, to the millisecond: UTC.
    let at = word(said, "at").get(11..23).unwrap_or_default();
    let sign = match word(said, "way") {
        "said" => '>',
        "heard" => '<',
        _ => '*',
    };
    format!("{at} {sign} {}", word(said, "text"))
}

fn end(outcome: &Value) -> String {
    let kind = match word(outcome, "kind") {
        "refused" => "refused for good",
        kind => kind,
    };
    // A reply of several lines is one in the end.
    format!("{kind}: {}", word(outcome, "text").replace('\n', " "))
}

fn word<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dialogue_is_told_line_by_line_with_its_end() {
        let at = "2026-11-22T03:20:48.123456Z";
        let said = |way: &str, text: &str| one(&json!({"at": at, "way": way, "text": text}));
        assert_eq!(
            said("said", "EHLO relay.test"),
            "03:20:48.123 > EHLO relay.test"
        );
        assert_eq!(said("heard", "250 mx"), "03:20:48.123 < 250 mx");
        assert_eq!(said("noted", "MX: 10 mx"), "03:20:48.123 * MX: 10 mx");
        for (kind, want) in [
            ("delivered", "delivered: 250 ok so"),
            ("refused", "refused for good: 250 ok so"),
            ("waits", "waits: 250 ok so"),
        ] {
            assert_eq!(end(&json!({"kind": kind, "text": "250 ok\nso"})), want);
        }
        let mut sent = json!({"id": "1", "from": "a@b.test", "to": "c@d.test", "live": true});
        assert_eq!(begin(&sent), "accepted: 1 from a@b.test to c@d.test");
        sent["live"] = json!(false);
        assert!(begin(&sent).contains("another process"));
    }
}
