//! The pages that show received mail to a person. Pure: entries in, HTML out; everything that
//! came with a message is escaped.

use std::borrow::Cow;

use postrider_message::{header_values, texts};

use crate::mailbox::{Entry, Received};

/// Rows on the list, the newest first.
const ROWS: usize = 500;

/// Characters of a text or a header that are shown; the rest is behind «raw».
const SHOWN: usize = 200_000;

pub(super) const STYLE: &str = include_str!("style.css");

/// All messages.
pub(super) fn list(entries: &[Entry], prefix: &[String]) -> String {
    let rows: String = entries.iter().rev().take(ROWS).map(row).collect();
    let body = if rows.is_empty() {
        "<p class=\"none\">Nothing has arrived yet. This page looks again every few seconds.</p>"
            .to_owned()
    } else {
        format!(
            "<table><thead><tr><th>Received<th>From<th>To<th>Subject<th>DKIM<th>TLS<th class=\"n\">Bytes\
             </thead><tbody>{rows}</tbody></table>"
        )
    };
    let count = entries.len();
    let api = escaped(&path(prefix));
    frame(
        &format!("Mailbox ({count})"),
        "<meta http-equiv=\"refresh\" content=\"5\">",
        &format!(
            "<h1>Mailbox <small>{count} received</small></h1>{body}\
             <footer>For programs: <a href=\"{api}\">{api}</a>. <code>DELETE {api}</code> empties it.</footer>"
        ),
    )
}

/// One message.
pub(super) fn message(message: &Received, entry: &Entry, prefix: &[String]) -> String {
    let raw = &message.raw;
    let field = |name| header_values(raw, name).join(", ");
    let facts = [
        ("From", field("From")),
        ("To", field("To")),
        ("Reply-To", field("Reply-To")),
        ("Date", field("Date")),
        ("Envelope from", format!("<{}>", entry.mail_from)),
        ("Envelope to", entry.rcpt_to.join(", ")),
        ("Received", entry.received_at.to_string()),
        ("Exchanger", message.host.to_string()),
        ("Client", format!("{} at {}", message.hello, message.peer)),
        ("Size", format!("{} bytes", entry.size)),
    ]
    .iter()
    .filter(|(_, value)| !value.is_empty())
    .fold(String::new(), |rows, (name, value)| {
        rows + "<tr><th>" + name + "<td>" + &escaped(value)
    });
    let subject = subject(entry);
    let link = escaped(&format!("{}/{}/raw", path(prefix), entry.id));
    frame(
        &subject,
        "",
        &format!(
            "<p><a href=\"/\">← all messages</a></p><h1>{}</h1><table class=\"facts\">{facts}\
             <tr><th>DKIM<td>{}<tr><th>TLS<td>{}</table>{}<h2>Header</h2><pre>{}</pre>\
             <footer><a href=\"{link}\">The message as it came</a></footer>",
            escaped(&subject),
            verdicts(entry),
            tls(entry),
            content(raw),
            escaped(&shown(&head(raw)))
        ),
    )
}

fn row(entry: &Entry) -> String {
    format!(
        "<tr><td><time>{}</time><td>{}<td>{}<td><a href=\"/message/{}\">{}</a><td>{}<td>{}<td class=\"n\">{}",
        escaped(entry.received_at.to_string().get(..19).unwrap_or_default()),
        escaped(&entry.mail_from),
        escaped(&entry.rcpt_to.join(", ")),
        escaped(&entry.id),
        escaped(&subject(entry)),
        verdicts(entry),
        tls(entry),
        entry.size
    )
}

fn subject(entry: &Entry) -> String {
    let subject = entry.subject.as_deref().map_or("", str::trim);
    if subject.is_empty() {
        "(no subject)".to_owned()
    } else {
        subject.to_owned()
    }
}

fn verdicts(entry: &Entry) -> String {
    if entry.dkim.is_empty() {
        return "<span class=\"none\">unsigned</span>".to_owned();
    }
    let verdict = |word: &&str| format!("<span class=\"{word}\">{word}</span>");
    entry.dkim.iter().map(verdict).collect::<Vec<_>>().join(" ")
}

fn tls(entry: &Entry) -> String {
    match &entry.tls {
        Some(facts) => escaped(facts),
        None => "<span class=\"none\">plain</span>".to_owned(),
    }
}

fn content(raw: &[u8]) -> String {
    let texts = texts(raw);
    let part = |name: &str, text: &Option<String>| match text {
        Some(text) => format!("<h2>{name}</h2><pre>{}</pre>", escaped(&shown(text))),
        None => String::new(),
    };
    part("Text", &texts.text) + &part("HTML, as source", &texts.html)
}

fn head(raw: &[u8]) -> String {
    let end = memchr::memmem::find(raw, b"\r\n\r\n").unwrap_or(raw.len());
    String::from_utf8_lossy(raw.get(..end).unwrap_or_default()).into_owned()
}

fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}\n…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

fn path(prefix: &[String]) -> String {
    format!("/{}", prefix.join("/"))
}

fn frame(title: &str, head: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"/style.css\">\
         {head}</head><body>{body}</body></html>",
        escaped(title)
    )
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use postrider_model::Timestamp;

    use super::*;

    #[test]
    fn what_came_with_a_message_is_escaped() {
        let evil = "<script>alert('\"&')</script>";
        let entry = Entry {
            id: "1".to_owned(),
            mail_from: evil.to_owned(),
            rcpt_to: vec![evil.to_owned()],
            received_at: Timestamp::from_micros(0),
            size: 1,
            tls: Some(evil.to_owned()),
            subject: Some(evil.to_owned()),
            dkim: vec!["pass", "fail"],
        };
        let received = Received {
            id: 1,
            host: evil.into(),
            peer: "127.0.0.1:1".parse().unwrap(),
            hello: evil.to_owned(),
            mail_from: evil.to_owned(),
            rcpt_to: vec![],
            received_at: entry.received_at,
            tls: None,
            raw: format!("From: {evil}\r\nX: {evil}\r\n\r\n{evil}\r\n").into(),
        };
        let prefix = [evil.to_owned()];
        for page in [
            list(std::slice::from_ref(&entry), &prefix),
            message(&received, &entry, &prefix),
        ] {
            assert!(!page.contains("<script"), "{page}");
            assert!(
                page.contains("&lt;script&gt;alert(&#39;&quot;&amp;&#39;)"),
                "{page}"
            );
        }
    }
}
