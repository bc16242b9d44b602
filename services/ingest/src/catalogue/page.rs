//! The page that lists the catalogue, for `infra/refusals.md`.

use std::fmt::Write;

use super::Entry;

const HEAD: &str = "\
# Refusals

Written from `services/ingest/src/catalogue/entries.rs`; a test keeps it so. Do not edit it here.

Each refusal of the SMTP door has two lines:

```text
535-5.7.8 PR-201 The password is not known: … (7F3K-Q2)
535 5.7.8 See https://relay.example/refusals#pr-201 (7F3K-Q2)
```

In both stand the code and the enhanced code for the program, and the code of the session, whose record `postrider
session 7F3K-Q2` and `GET /sessions/7F3K-Q2` show for seven days. The first has the id under which it stands here,
and one sentence for the person. Where «reply» has a dash, the session ended without a word of ours (before or
during TLS): the sentence is its verdict.

The HTTP door refuses the same with the status and name of the third column.
";

/// What the first digit of an id says.
pub const MATTERS: &[(&str, &str)] = &[
    ("PR-1", "Connection and TLS"),
    ("PR-2", "Sign-in"),
    ("PR-3", "Envelope and order of commands"),
    ("PR-4", "Content, size and options"),
    ("PR-5", "Limits and pace"),
    ("PR-6", "Identity and policy"),
    ("PR-7", "Enrolment"),
    ("PR-9", "Ours"),
];

/// The whole page, Markdown.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for (start, matter) in MATTERS {
        let entries = Entry::ALL
            .iter()
            .filter(|entry| entry.id.starts_with(start));
        let _never_fails = write!(page, "\n## {matter}\n");
        for entry in entries {
            page.push_str(&section(entry));
        }
    }
    page
}

fn section(entry: &Entry) -> String {
    let reply = entry.smtp.map_or("–".to_owned(), |smtp| {
        format!("`{} {}`", smtp.code, smtp.enhanced)
    });
    let http = entry.http.map_or("–".to_owned(), |http| {
        format!("{} `{}`", http.status, http.name)
    });
    let again = if entry.passes() {
        "the same may pass later"
    } else {
        "the same is refused again"
    };
    format!(
        "\n### {}\n\n> {}\n\nReply {reply}, HTTP {http}; {again}. {}\n",
        entry.id, entry.sentence, entry.more
    )
}
