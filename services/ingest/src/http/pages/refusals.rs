//! `GET /refusals`: the catalogue, for who looks an id up that a program showed.

use std::fmt::Write;

use super::html::{TAIL, head, text};
use crate::catalogue::{Entry, MATTERS};

const INTRODUCTION: &str = "\
When mail is not taken, the program shows a line such as \u{201c}535 5.7.8 PR-201 The password\u{2026} (7F3K-Q2)\u{201d}. \
PR-201 is explained below; for what stands in {braces} here, the line has its own words. With the code at its \
end the operator of this service sees what the program said.";

/// The whole document. In English, as the replies are.
pub(super) fn written() -> String {
    let mut page = head("en", "Why mail was not taken");
    let _never_fails = writeln!(page, "<p>{}</p>", text(INTRODUCTION));
    for (start, matter) in MATTERS {
        let _never_fails = writeln!(page, "<h2>{}</h2>", text(matter));
        let entries = Entry::ALL.iter();
        for entry in entries.filter(|entry| entry.id.starts_with(start)) {
            page.push_str(&section(entry));
        }
    }
    page.push_str(TAIL);
    page
}

fn section(entry: &Entry) -> String {
    let mut codes = Vec::new();
    if let Some(smtp) = entry.smtp {
        codes.push(format!("{} {}", smtp.code, smtp.enhanced));
    }
    if let Some(http) = entry.http {
        codes.push(format!("HTTP {} {}", http.status, http.name));
    }
    let (anchor, id) = (entry.anchor(), entry.id);
    let (sentence, more) = (text(entry.sentence), text(entry.more));
    let codes = text(&codes.join(", "));
    format!(
        "<section id=\"{anchor}\">\n<h3>{id} <small>{codes}</small></h3>\n<p>{sentence}</p>\n<p><small>{more}</small></p>\n</section>\n"
    )
}
