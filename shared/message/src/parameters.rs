//! Values with parameters: Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2183), and
//! their RFC 2231 form for what is not ASCII or too long.

use crate::fold::Folder;
use crate::words::{decode, decode_charset, hex};

/// A value and its parameters, names in lowercase, values decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// What stands before the first `;`, in lowercase.
    pub(crate) value: String,
    pub(crate) list: Vec<(String, String)>,
}

/// One parameter as it stands: `name*1*=value`.
struct Raw {
    name: String,
    section: usize,
    extended: bool,
    value: String,
}

impl Parameters {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.list
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads an unfolded value. Never fails: what is not legal is passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let mut pieces = pieces(text).into_iter();
        let value = pieces
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let mut raws: Vec<Raw> = pieces.filter_map(|piece| raw(&piece)).take(100).collect();
        raws.sort_by_key(|raw| raw.section);
        let mut list: Vec<(String, String)> = vec![];
        // RFC 2231 §4.1: the extended form is meant where both are given.
        for extended in [true, false] {
            for first in raws
                .iter()
                .filter(|raw| raw.section == 0 && raw.extended == extended)
            {
                if !list.iter().any(|(name, _)| *name == first.name) {
                    list.push((first.name.clone(), joined(first, &raws)));
                }
            }
        }
        Self { value, list }
    }

    /// The whole field in ASCII, folded at the parameters.
    pub(crate) fn print(&self, field: &str) -> String {
        let mut out = Folder::new(field);
        let value: String = self.value.chars().filter(char::is_ascii_graphic).collect();
        out.word(&value);
        // What is no name cannot be written, and said nothing.
        for (name, value) in self
            .list
            .iter()
            .filter(|(name, _)| name.bytes().all(is_attribute))
        {
            for parameter in encoded(name, value) {
                out.glue(";");
                out.word(&parameter);
            }
        }
        out.finish()
    }
}

// Cuts at each `;` outside quotes and comments; comments are dropped (RFC 5322 §3.2.2).
fn pieces(text: &str) -> Vec<String> {
    let (mut all, mut piece) = (vec![], String::new());
    let (mut quoted, mut depth) = (false, 0_usize);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted || depth > 0 => {
                let escaped = chars.next();
                if depth == 0 {
                    piece.push(c);
                    piece.extend(escaped);
                }
            }
            '"' if depth == 0 => {
                quoted = !quoted;
                piece.push(c);
            }
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => depth -= 1,
            ';' if !quoted && depth == 0 => all.push(std::mem::take(&mut piece)),
            c if depth == 0 => piece.push(c),
            _ => {}
        }
    }
    all.push(piece);
    all
}

fn raw(piece: &str) -> Option<Raw> {
    let (name, value) = piece.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let (name, extended) = match name.strip_suffix('*') {
        Some(name) => (name, true),
        None => (name.as_str(), false),
    };
    let (name, section) = match name.split_once('*') {
        Some((name, section)) => (name, section.parse().ok()?),
        None => (name, 0),
    };
    if name.is_empty() {
        return None;
    }
    Some(Raw {
        name: name.to_owned(),
        section,
        extended,
        value: unquoted(value.trim()),
    })
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            // A lone backslash is a Windows path rather than a quoted-pair.
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\')) => plain.push(c),
                Some(c) => plain.extend(['\\', c]),
                None => {}
            },
            c => plain.push(c),
        }
    }
    plain
}

// RFC 2231 §3 and §4: sections in order, the charset in the first.
fn joined(first: &Raw, raws: &[Raw]) -> String {
    let (charset, start) = match first.value.splitn(3, '\'').collect::<Vec<_>>().as_slice() {
        [charset, _language, text] if first.extended => (*charset, *text),
        _ => ("", first.value.as_str()),
    };
    let mut bytes = if first.extended {
        percent(start)
    } else {
        start.as_bytes().to_vec()
    };
    let mut next = 1;
    while let Some(raw) = raws
        .iter()
        .find(|raw| raw.name == first.name && raw.section == next)
    {
        if raw.extended {
            bytes.extend(percent(&raw.value));
        } else {
            bytes.extend_from_slice(raw.value.as_bytes());
        }
        next += 1;
    }
    if first.extended {
        return decode_charset(charset, &bytes);
    }
    // RFC 2047 §5 forbids encoded words here, and half the world writes them.
    decode(&String::from_utf8_lossy(&bytes))
}

fn percent(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        let mut two = bytes.clone();
        match (b, hex(two.next(), two.next())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                bytes = two;
            }
            _ => out.push(b),
        }
    }
    out
}

fn encoded(name: &str, value: &str) -> Vec<String> {
    let plain = value.bytes().all(|b| matches!(b, b' '..=b'~')) && !value.contains("=?");
    if plain && !value.is_empty() && value.len() <= 60 && value.bytes().all(is_token) {
        return vec![format!("{name}={value}")];
    }
    if plain && value.len() <= 200 {
        return vec![format!(
            "{name}=\"{}\"",
            value.replace('\\', "\\\\").replace('"', "\\\"")
        )];
    }
    let mut sections = vec![String::new()];
    for c in value.chars() {
        let mut text = [0; 4];
        let bytes = c.encode_utf8(&mut text).bytes();
        let text: String = bytes
            .map(|b| {
                if is_attribute(b) {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect();
        match sections.last_mut() {
            Some(last) if last.len() + text.len() <= 48 => last.push_str(&text),
            _ => sections.push(text),
        }
    }
    if let [only] = sections.as_slice() {
        return vec![format!("{name}*=utf-8''{only}")];
    }
    let number = |(n, text): (usize, &String)| match n {
        0 => format!("{name}*0*=utf-8''{text}"),
        n => format!("{name}*{n}*={text}"),
    };
    sections.iter().enumerate().map(number).collect()
}

/// `token` of RFC 2045 §5.1.
pub(crate) fn is_token(b: u8) -> bool {
    b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b)
}

// `attribute-char` of RFC 2231 §7.
fn is_attribute(b: u8) -> bool {
    is_token(b) && !matches!(b, b'*' | b'\'' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_in_all_their_forms() {
        for (given, name, want) in [
            ("text/plain; charset=UTF-8", "charset", "UTF-8"),
            (
                "TEXT/Plain ; Charset=\"utf-8\" (a; comment)",
                "charset",
                "utf-8",
            ),
            ("a/b; name=\"x;y\\\"z\"", "name", "x;y\"z"),
            ("a/b; name=\"C:\\dir\\f.txt\"", "name", "C:\\dir\\f.txt"),
            ("a/b; name*=utf-8''%e2%82%ac%20rates", "name", "€ rates"),
            (
                "a/b; name*1*=%20b; name*0*=iso-8859-1'en'%e9",
                "name",
                "é b",
            ),
            ("a/b; name*0=\"one\"; name*1=\" two\"", "name", "one two"),
            ("a/b; name=plain; name*=utf-8''%e2%82%ac", "name", "€"),
            ("a/b; name=\"=?utf-8?q?=E2=82=AC?=\"", "name", "€"),
            ("a/b; name", "name", ""),
        ] {
            let got = Parameters::parse(given);
            assert_eq!(got.get(name).unwrap_or_default(), want, "{given}");
        }
        assert_eq!(Parameters::parse("Text/HTML; x=y").value, "text/html");
    }

    #[test]
    fn names_are_printed_by_rfc_2231_where_they_must() {
        for (name, want) in [
            ("a.pdf", "filename=a.pdf"),
            ("my file.pdf", "filename=\"my file.pdf\""),
            ("a\"b.pdf", "filename=\"a\\\"b.pdf\""),
            ("Größe.pdf", "filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf"),
        ] {
            let all = Parameters {
                value: "attachment".into(),
                list: vec![("filename".into(), name.into())],
            };
            assert_eq!(
                all.print("D"),
                format!("D: attachment; {want}\r\n"),
                "{name}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(name in "[^\r\n\0]{1,150}") {
            let all = Parameters { value: "attachment".into(), list: vec![("filename".into(), name)] };
            let field = all.print("Content-Disposition");
            proptest::prop_assert!(field.is_ascii());
            let field = crate::field::Field::new(field.as_bytes());
            proptest::prop_assert_eq!(Parameters::parse(&field.text()), all);
        }
    }
}
