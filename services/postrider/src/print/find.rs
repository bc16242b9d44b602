//! Mail to an address as a person reads it, newest first.

use serde_json::Value;

use super::{list, when, word};

/// The whole answer.
pub(crate) fn find(answer: &Value) -> String {
    let address = word(answer, "address");
    let messages = list(answer, "messages");
    let mut blocks = Vec::new();
    let suppressions = list(answer, "suppressions");
    if !suppressions.is_empty() {
        let lines = suppressions.iter().map(suppression);
        blocks.push(lines.collect::<Vec<_>>().join("\n"));
    }
    if messages.is_empty() {
        blocks.push(format!(
            "No message to {address} is known: it was not handed in under this address, or it is past its retention. `postrider session CODE` shows what a program was told at the door."
        ));
    }
    blocks.extend(messages.iter().map(message));
    if answer.get("more").and_then(Value::as_bool) == Some(true) {
        blocks.push("There are older ones.".to_owned());
    }
    blocks.join("\n\n")
}

fn message(message: &Value) -> String {
    let mut lines = vec![
        format!(
            "{}  {}  {}",
            when(word(message, "accepted_at")),
            word(message, "tenant"),
            subject(message)
        ),
        format!("  {}", word(message, "what")),
    ];
    let server = match word(message, "mx") {
        "" => "The server".to_owned(),
        mx => mx.to_owned(),
    };
    match (word(message, "reply"), word(message, "note")) {
        ("", "") => {}
        ("", note) => lines.push(format!("  {note}")),
        (reply, _) => lines.push(format!("  {server} said: {reply}")),
    }
    for name in ["meaning", "next"] {
        let said = word(message, name);
        if !said.is_empty() {
            lines.push(format!("  {said}"));
        }
    }
    let mut place = format!("  message {}", word(message, "id"));
    let session = word(message, "session");
    if !session.is_empty() {
        place.push_str(", session ");
        place.push_str(session);
    }
    lines.push(place);
    lines.join("\n")
}

fn subject(message: &Value) -> String {
    match word(message, "subject") {
        "" => "(no subject)".to_owned(),
        subject => format!("«{subject}»"),
    }
}

fn suppression(one: &Value) -> String {
    let mail = match word(one, "stream") {
        "" => "Mail".to_owned(),
        stream => format!(
            "{}{} mail",
            stream.get(..1).unwrap_or("").to_uppercase(),
            stream.get(1..).unwrap_or("")
        ),
    };
    let until = match word(one, "until") {
        "" => "until it is lifted".to_owned(),
        until => format!("until {}", when(until)),
    };
    format!(
        "{mail} of {} does not go there since {}, {until} ({}): {}",
        word(one, "tenant"),
        when(word(one, "since")),
        word(one, "reason").replace('_', " "),
        word(one, "source").replace('\n', " ")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_told_from_what_became_of_it_to_what_happens_next() {
        let given = json!({
            "address": "bob@example.org",
            "suppressions": [{"tenant": "joes", "stream": "bulk", "reason": "unsubscribe",
                "source": "the link", "since": "2026-11-01T00:00:00.000000Z", "until": null}],
            "messages": [{"id": "01890a5d-ac96-774b-bcce-b302099a8057", "tenant": "joes",
                "accepted_at": "2026-11-21T14:00:00.000000Z", "subject": "Invoice 7",
                "what": "Refused for good at 2026-11-21T14:00:02Z (tried once).",
                "reply": "550 5.1.1 no such user", "meaning": "There is no such mailbox.",
                "mx": "mx.example.org", "note": null, "next": "It is not tried again.",
                "session": "7F3K-Q2"}],
            "more": true,
        });
        let want = "\
Bulk mail of joes does not go there since 2026-11-01 00:00:00 UTC, until it is lifted (unsubscribe): the link

2026-11-21 14:00:00 UTC  joes  «Invoice 7»
  Refused for good at 2026-11-21T14:00:02Z (tried once).
  mx.example.org said: 550 5.1.1 no such user
  There is no such mailbox.
  It is not tried again.
  message 01890a5d-ac96-774b-bcce-b302099a8057, session 7F3K-Q2

There are older ones.";
        assert_eq!(find(&given), want);
        let nothing = json!({"address": "bob@example.org", "messages": [], "suppressions": []});
        assert!(find(&nothing).starts_with("No message to bob@example.org is known"));
    }
}
