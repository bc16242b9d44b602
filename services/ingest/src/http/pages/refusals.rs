//! `GET /refusals`: the catalogue, for who looks an id up that a program showed.

use std::fmt::Write;

use postrider_model::Language;

use super::html::{TAIL, head, text};
use crate::catalogue::{Entry, MATTERS};

const INTRODUCTION: &str = "\
When mail is not taken, the program shows a line such as \u{201c}535 5.7.8 PR-201 The password\u{2026} (7F3K-Q2)\u{201d}. \
PR-201 is explained below; for what stands in {braces} here, the line has its own words. With the code at its \
end the operator of this service sees what the program said.";

/// For who reads French: what this page is, and how it helps all the same.
const IN_FRENCH: &str = "\
Cette page est en anglais, comme la ligne que montre votre programme\u{a0}: l’assistance lit ainsi les mêmes mots que \
vous. Cherchez ci-dessous le code de cette ligne, par exemple PR-201\u{a0}: il y est dit quelle case changer dans les \
réglages. La traduction de votre navigateur fonctionne ici. Donnez à l’assistance le code entre parenthèses à la \
fin de la ligne, par exemple 7F3K-Q2.";

/// The whole document. In English, as the replies are; that is said in the reader's language.
pub(super) fn written(language: Language) -> String {
    let mut page = head("en", "Why mail was not taken");
    if language == Language::Fr {
        let _never_fails = writeln!(page, "<p lang=\"fr\">{}</p>", text(IN_FRENCH));
    }
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
