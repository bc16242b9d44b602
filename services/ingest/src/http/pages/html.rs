//! A page, written as HTML.

use std::fmt::Write;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// One page: a question, what there is to say, and buttons.
pub(super) struct Page {
    /// `en`, `fr`.
    pub(super) language: &'static str,
    pub(super) title: String,
    pub(super) paragraphs: Vec<String>,
    pub(super) buttons: Vec<Button>,
}

/// A button that posts back to the page's own address.
pub(super) struct Button {
    pub(super) label: &'static str,
    /// `yes`, `no`.
    pub(super) answer: &'static str,
    pub(super) weight: Weight,
}

/// How much a button asks to be pressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Main,
    Beside,
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:17px/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto 2rem;padding:0 1.25rem}\
h1{font-size:1.35rem;line-height:1.3;overflow-wrap:anywhere}\
p{overflow-wrap:anywhere}\
form{margin-top:2rem;display:flex;flex-wrap:wrap;gap:.75rem}\
button{font:inherit;padding:.6rem 1.1rem;border-radius:.4rem;border:1px solid #767676;\
background:transparent;color:inherit;cursor:pointer}\
button.main{background:#1a5fb4;border-color:#1a5fb4;color:#fff}\
section{margin-top:2rem}\
section:target{outline:3px solid #e5a50a;outline-offset:.75rem;border-radius:.2rem}\
h2{font-size:1.2rem;margin-top:3rem}\
h3{font-size:1rem;margin-bottom:.25rem}\
small{opacity:.75}";

/// Our style and our form, and nothing else.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

impl Page {
    /// The whole document.
    pub(super) fn written(&self) -> String {
        let mut page = head(self.language, &self.title);
        for paragraph in &self.paragraphs {
            let _never_fails = writeln!(page, "<p>{}</p>", text(paragraph));
        }
        if !self.buttons.is_empty() {
            page.push_str("<form method=\"post\">\n");
            for button in &self.buttons {
                page.push_str(&button.written());
            }
            page.push_str("</form>\n");
        }
        page.push_str(TAIL);
        page
    }
}

/// Up to the heading.
pub(super) fn head(language: &str, title: &str) -> String {
    let title = text(title);
    format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    )
}

/// What stands at the end of each page.
pub(super) const TAIL: &str = "</main>\n</body>\n</html>\n";

impl Button {
    fn written(&self) -> String {
        let class = match self.weight {
            Weight::Main => " class=\"main\"",
            Weight::Beside => "",
        };
        let (label, answer) = (text(self.label), self.answer);
        format!("<button{class} name=\"answer\" value=\"{answer}\">{label}</button>\n")
    }
}

/// As text in HTML: names come from outside.
pub(super) fn text(plain: &str) -> String {
    let mut safe = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}
