//! A submission session as a person reads it: the verdict first, then who said what and when.

use serde_json::Value;

/// The whole record.
pub(crate) fn session(session: &Value) -> String {
    let word = |name| word(session, name);
    let mut lines = vec![
        format!(
            "Session {} from {} to port {}",
            word("code"),
            word("peer"),
            session.get("port").unwrap_or(&Value::Null)
        ),
        String::new(),
        format!("  {}", word("verdict")),
        String::new(),
        format!("began   {}", word("started_at")),
        format!("ended   {}", or(word("ended_at"), "it lasts")),
        format!("TLS     {}", encryption(session)),
        format!("tenant  {}", whose(session)),
    ];
    let emails = session.get("emails").and_then(Value::as_array);
    let emails = emails.into_iter().flatten().filter_map(Value::as_str);
    lines.extend(emails.map(|id| format!("message {id}")));
    lines.push(String::new());
    let dialogue = session.get("dialogue").and_then(Value::as_array);
    lines.extend(dialogue.into_iter().flatten().map(said));
    lines.join("\n")
}

// Anybody may type a name.
fn whose(session: &Value) -> String {
    match (word(session, "tenant"), word(session, "claimed")) {
        ("", "") => "unknown: nobody signed in".to_owned(),
        ("", claimed) => format!("nobody signed in; a user name or key of {claimed} was given"),
        (tenant, _) => tenant.to_owned(),
    }
}

// The time of day, who, and what.
fn said(line: &Value) -> String {
    let at = word(line, "at");
    let time = at.split_once('T').map_or(at, |(_, time)| time);
    let who = match word(line, "from") {
        "client" => "program",
        _ => "us",
    };
    let said = format!(
        "{:<16} {who:<8} {}",
        time.trim_end_matches('Z'),
        word(line, "line")
    );
    said.trim_end().to_owned()
}

fn encryption(session: &Value) -> String {
    let tls = session.get("tls").unwrap_or(&Value::Null);
    let mut parts: Vec<String> = ["mode", "version", "cipher"]
        .iter()
        .map(|name| word(tls, name))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let offered = tls.get("offered").and_then(Value::as_array);
    let offered: Vec<_> = offered
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !offered.is_empty() {
        parts.push(format!("the program offered {}", offered.join(", ")));
    }
    for (name, before) in [("server_name", "for "), ("failure", "it failed: ")] {
        let word = word(tls, name);
        if !word.is_empty() {
            parts.push(format!("{before}{word}"));
        }
    }
    if parts.is_empty() {
        return "none".to_owned();
    }
    parts.join("; ")
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

fn or<'a>(word: &'a str, other: &'a str) -> &'a str {
    if word.is_empty() { other } else { word }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_is_read_from_its_verdict_down() {
        let mut record = json!({
            "code": "7F3K-Q2", "tenant": null, "claimed": null, "peer": "192.0.2.7:50123", "port": 587,
            "started_at": "2026-11-21T20:00:00Z", "ended_at": "2026-11-21T20:00:01.5Z",
            "verdict": "Your program offered TLS 1.0; TLS 1.2 or later is needed.",
            "tls": {"mode": "STARTTLS", "version": null, "cipher": null, "offered": ["TLS 1.0"],
                "server_name": "relay.test", "failure": "protocol_version"},
            "dialogue": [
                {"at": "2026-11-21T20:00:00.15Z", "from": "server", "line": "220 relay.test ESMTP"},
                {"at": "2026-11-21T20:00:00.2Z", "from": "client", "line": "EHLO vm"},
            ],
            "emails": [],
        });
        let want = "\
Session 7F3K-Q2 from 192.0.2.7:50123 to port 587

  Your program offered TLS 1.0; TLS 1.2 or later is needed.

began   2026-11-21T20:00:00Z
ended   2026-11-21T20:00:01.5Z
TLS     STARTTLS; the program offered TLS 1.0; for relay.test; it failed: protocol_version
tenant  unknown: nobody signed in

20:00:00.15      us       220 relay.test ESMTP
20:00:00.2       program  EHLO vm";
        assert_eq!(session(&record), want);
        record["claimed"] = json!("joes");
        let want = "\ntenant  nobody signed in; a user name or key of joes was given\n";
        assert!(session(&record).contains(want));
        record["tenant"] = json!("joes");
        assert!(session(&record).contains("\ntenant  joes\n"));
    }
}
