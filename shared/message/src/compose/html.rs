//! A plain text out of HTML, for readers without HTML and for filters that want both parts: line
//! ends where blocks end, addresses of links, no styles and scripts. Not a browser.

/// Makes the text. Work is linear in the length of the HTML.
pub(super) fn to_text(html: &str) -> String {
    let mut text = Text::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        text.words(&entities(before));
        rest = skip(tag, &mut text);
    }
    text.words(&entities(rest));
    text.finish()
}

/// The text so far, with what is owed before the next word.
#[derive(Default)]
struct Text {
    out: String,
    lines_owed: usize,
    space_owed: bool,
    /// Where open links lead, and where their text began.
    links: Vec<(String, usize)>,
}

impl Text {
    fn words(&mut self, words: &str) {
        // No-break spaces stay; what a browser collapses becomes one space.
        let is_space = |c: char| c.is_whitespace() && c != '\u{a0}';
        self.space_owed |= words.starts_with(is_space);
        for word in words.split(is_space).filter(|word| !word.is_empty()) {
            if self.lines_owed > 0 && !self.out.is_empty() {
                self.out
                    .push_str("\n\n".get(..self.lines_owed.min(2)).unwrap_or_default());
            } else if self.space_owed && !self.out.is_empty() && !self.out.ends_with('\n') {
                self.out.push(' ');
            }
            self.lines_owed = 0;
            self.space_owed = true;
            self.out.push_str(word);
        }
        self.space_owed = words.ends_with(is_space) || self.space_owed && words.trim().is_empty();
    }

    fn lines(&mut self, lines: usize) {
        self.lines_owed = self.lines_owed.max(lines);
        self.space_owed = false;
    }

    fn tag(&mut self, name: &str, attributes: &str) {
        match name {
            "br" => self.lines_owed += 1,
            "p" | "/p" | "h1" | "/h1" | "h2" | "/h2" | "h3" | "/h3" | "h4" | "/h4" | "table"
            | "/table" | "ul" | "/ul" | "ol" | "/ol" | "blockquote" | "/blockquote" => {
                self.lines(2);
            }
            "div" | "/div" | "tr" | "/tr" | "/li" | "section" | "/section" | "hr" => self.lines(1),
            "li" => {
                self.lines(1);
                self.words("- ");
            }
            "td" | "/td" | "th" | "/th" => self.space_owed = true,
            "img" => {
                if let Some(alt) = attribute(attributes, "alt") {
                    self.words(&alt);
                }
            }
            "a" => {
                let href = attribute(attributes, "href").unwrap_or_default();
                self.links.push((href, self.out.len()));
            }
            "/a" => self.close_link(),
            _ => {}
        }
    }

    fn close_link(&mut self) {
        let Some((href, start)) = self.links.pop() else {
            return;
        };
        let shown = self.out.get(start..).unwrap_or_default().trim();
        let bare = href
            .strip_prefix("mailto:")
            .or_else(|| href.strip_prefix("tel:"))
            .unwrap_or(&href);
        let leads = ["http://", "https://", "mailto:", "tel:"]
            .iter()
            .any(|s| href.starts_with(s));
        if leads && shown != bare && !shown.is_empty() {
            let space = self.space_owed;
            for piece in [" (", bare, ")"] {
                self.out.push_str(piece);
            }
            self.space_owed = space;
        } else if leads && shown.is_empty() {
            let bare = bare.to_owned();
            self.words(&bare);
        }
    }

    fn finish(self) -> String {
        let mut out = self.out;
        out.push('\n');
        out
    }
}

// Behind one tag, comment or element that is not shown. `tag` begins with `<`.
fn skip<'a>(tag: &'a str, text: &mut Text) -> &'a str {
    if let Some(comment) = tag.strip_prefix("<!--") {
        return comment.split_once("-->").map_or("", |(_, after)| after);
    }
    let inner = tag.get(1..).unwrap_or_default();
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
        text.words("<");
        return inner;
    }
    let end = tag_end(inner);
    let (inside, after) = inner.split_at(end);
    let after = after.strip_prefix('>').unwrap_or(after);
    let name_end = inside
        .char_indices()
        .find(|&(at, c)| c.is_whitespace() || at > 0 && c == '/')
        .map_or(inside.len(), |(at, _)| at);
    let (name, attributes) = inside.split_at(name_end);
    let name = name.to_ascii_lowercase();
    if matches!(
        name.as_str(),
        "style" | "script" | "head" | "title" | "template"
    ) {
        return behind_element(after, &name);
    }
    text.tag(&name, attributes);
    after
}

// The `>` that ends a tag, quotes respected.
fn tag_end(inner: &str) -> usize {
    let mut quote = None;
    for (at, c) in inner.char_indices() {
        match (quote, c) {
            (None, '>') => return at,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    // A quote that is never closed: the tag ends at the first `>` all the same.
    inner.find('>').unwrap_or(inner.len())
}

fn behind_element<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = rest.get(at + 2..).unwrap_or_default();
        let found = rest
            .get(..name.len())
            .is_some_and(|tag| tag.eq_ignore_ascii_case(name));
        if found {
            return rest.split_once('>').map_or("", |(_, after)| after);
        }
    }
    ""
}

fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.split_whitespace().last().unwrap_or_default();
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, behind) = match quote {
            Some(quote) => after.get(1..)?.split_once(quote)?,
            None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(entities(value).trim().to_owned());
        }
        rest = behind;
    }
    None
}

fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, entity) = rest.split_at(at);
        out.push_str(before);
        let known = entity.get(1..).and_then(|inner| {
            let end = inner.bytes().take(12).position(|b| b == b';')?;
            Some((named(inner.get(..end)?)?, inner.get(end + 1..)?))
        });
        if let Some((c, after)) = known {
            out.push(c);
            rest = after;
        } else {
            out.push('&');
            rest = entity.get(1..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

fn named(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control() || c.is_whitespace());
    }
    let table = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("copy", '©'),
        ("reg", '®'),
        ("trade", '™'),
        ("euro", '€'),
        ("pound", '£'),
        ("cent", '¢'),
        ("hellip", '…'),
        ("mdash", '—'),
        ("ndash", '–'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("laquo", '«'),
        ("raquo", '»'),
        ("bull", '•'),
        ("middot", '·'),
        ("deg", '°'),
        ("auml", 'ä'),
        ("ouml", 'ö'),
        ("uuml", 'ü'),
        ("Auml", 'Ä'),
        ("Ouml", 'Ö'),
        ("Uuml", 'Ü'),
        ("szlig", 'ß'),
        ("eacute", 'é'),
        ("egrave", 'è'),
        ("agrave", 'à'),
        ("ccedil", 'ç'),
        ("ntilde", 'ñ'),
        ("times", '×'),
        ("shy", '\u{ad}'),
        ("zwnj", '\u{200c}'),
    ];
    table
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, c)| *c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_readable_text() {
        for (given, want) in [
            (
                "<p>Hello <b>Ann</b>,</p><p>your car\n is   ready.</p>",
                "Hello Ann,\n\nyour car is ready.\n",
            ),
            ("a<br>b<br/>c", "a\nb\nc\n"),
            (
                "<style>p{}</style><head><title>x</title></head>seen<script>1<2</script>",
                "seen\n",
            ),
            (
                "<a href=\"https://x.example/?a=1&amp;b=2\">Pay now</a>!",
                "Pay now (https://x.example/?a=1&b=2)!\n",
            ),
            (
                "<a href='https://x.example/'>https://x.example/</a>",
                "https://x.example/\n",
            ),
            (
                "<a href=mailto:a@b.example>a@b.example</a>",
                "a@b.example\n",
            ),
            (
                "<ul><li>one</li><li>two</li></ul>end",
                "- one\n- two\n\nend\n",
            ),
            (
                "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>",
                "a b\nc\n",
            ),
            (
                "1 &lt; 2 &amp;&amp; x &#8364; &#x20ac; &unknown; &",
                "1 < 2 && x € € &unknown; &\n",
            ),
            ("a < b <!-- hidden --> c", "a < b c\n"),
            ("<img alt=\"Logo\" src=\"cid:1\">", "Logo\n"),
            ("", "\n"),
        ] {
            assert_eq!(to_text(given), want, "{given}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_html_breaks_it(html in "[<>/a\"'=&;#x! \\-é]{0,80}") {
            to_text(&html);
        }
    }
}
