//! What Postrider writes itself, in the tenant's language: to a reply address that is to be
//! confirmed, and to one that is used because its domain is the tenant's.

use postrider_message::{ComposeError, Draft, compose as compose_draft};
use postrider_model::{EmailAddress, Language, Mailbox};

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetterKind {
    /// May replies go there?
    Question,
    /// They do.
    Notice,
}

/// One letter.
pub(crate) struct Letter<'a> {
    pub(crate) kind: LetterKind,
    /// The tenant's name.
    pub(crate) tenant: &'a str,
    /// Whose program it sends with, where that is not the operator's own customer.
    pub(crate) vendor: Option<&'a str>,
    pub(crate) language: Language,
    pub(crate) address: &'a EmailAddress,
    /// The host that says it took the mail.
    pub(crate) service: &'a str,
    /// The page to answer on.
    pub(crate) link: String,
}

/// RFC 5322, ready for the gate.
pub(crate) fn compose(letter: &Letter<'_>, random: [u8; 16]) -> Result<Vec<u8>, ComposeError> {
    let (subject, paragraphs) = words(letter);
    written(
        (letter.address, subject),
        letter.language,
        &paragraphs,
        random,
    )
}

/// RFC 5322 of a letter of ours: to whom, its subject, its paragraphs. A link is a paragraph of its
/// own. ASCII goes as it is; in what has to be encoded no line is long enough for a link (RFC 2045
/// §6.7), so it stands before the parts as well, for who sees them undecoded.
pub(crate) fn written(
    (to, subject): (&EmailAddress, String),
    language: Language,
    paragraphs: &[String],
    random: [u8; 16],
) -> Result<Vec<u8>, ComposeError> {
    let text = paragraphs.join("\n\n");
    let links = paragraphs.iter().filter(|one| is_link(one));
    let links: Vec<_> = links.map(String::as_str).collect();
    let draft = Draft {
        to: vec![Mailbox::from(to.clone())],
        subject,
        html: Some(html_of(language, paragraphs)),
        preamble: (!text.is_ascii()).then(|| links.join("\n")),
        text: Some(text),
        // RFC 3834 §5: nobody's holiday answer is to come of it.
        headers: vec![("Auto-Submitted".to_owned(), "auto-generated".to_owned())],
        ..Draft::default()
    };
    Ok(compose_draft(&draft, random)?.bytes)
}

fn is_link(paragraph: &str) -> bool {
    let is_address = paragraph.starts_with("https://") || paragraph.starts_with("http://");
    is_address && !paragraph.contains(char::is_whitespace)
}

fn words(letter: &Letter<'_>) -> (String, Vec<String>) {
    let text = match (letter.language, letter.kind) {
        (Language::En, LetterKind::Question) => QUESTION_EN,
        (Language::En, LetterKind::Notice) => NOTICE_EN,
        (Language::Fr, LetterKind::Question) => QUESTION_FR,
        (Language::Fr, LetterKind::Notice) => NOTICE_FR,
    };
    let mut paragraphs = text.iter().map(|one| filled(one, letter));
    let subject = paragraphs.next().unwrap_or_default();
    (subject, paragraphs.collect())
}

// The names in braces are the letter's; one pass, so that nothing in a name counts as one.
fn filled(text: &str, letter: &Letter<'_>) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        match name {
            "tenant" => out.push_str(letter.tenant),
            "by" => out.push_str(&by(letter)),
            "address" => out.push_str(&letter.address.to_string()),
            "domain" => out.push_str(letter.address.domain().as_str()),
            "service" => out.push_str(letter.service),
            _ => out.push_str(&letter.link),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

// The name that a shop knows: it bought the program, not us.
fn by(letter: &Letter<'_>) -> String {
    match (letter.vendor, letter.language) {
        (None, _) => String::new(),
        (Some(vendor), Language::En) => format!(", with software by {vendor},"),
        (Some(vendor), Language::Fr) => format!(", avec le logiciel de {vendor},"),
    }
}

/// Each begins with its subject.
const QUESTION_EN: &[&str] = &[
    "Please confirm: may replies to {tenant} go to this address?",
    "Hello,",
    "{tenant}{by} sends its e-mail through {service} and has named {address} as an address that replies may go to.",
    "If that is right, open this page and press \"Yes, replies may come here\":",
    "{link}",
    "If you do not know {tenant}, press \"I don't know them\" on the same page, or do nothing at all: without your confirmation the address is not used for replies.",
    "The page is valid for 30 days. Opening it changes nothing.",
    "Postrider, the mail service at {service}",
];
const NOTICE_EN: &[&str] = &[
    "Replies to {tenant} now go to this address",
    "Hello,",
    "{tenant}{by} sends its e-mail through {service}. Replies to some of it go to {address} from now on, because another address at {domain} was confirmed before.",
    "If that is right, there is nothing to do. If it is not, open this page and press \"Not ours\":",
    "{link}",
    "The page is valid for 30 days. Opening it changes nothing.",
    "Postrider, the mail service at {service}",
];
const QUESTION_FR: &[&str] = &[
    "À confirmer\u{a0}: les réponses à {tenant} peuvent-elles arriver à cette adresse\u{a0}?",
    "Bonjour,",
    "{tenant}{by} envoie ses courriels par {service} et a indiqué {address} comme adresse à laquelle des réponses peuvent arriver.",
    "Si c’est exact, ouvrez cette page et appuyez sur «\u{a0}Oui, les réponses peuvent venir ici\u{a0}»\u{a0}:",
    "{link}",
    "Si vous ne connaissez pas {tenant}, appuyez sur «\u{a0}Je ne les connais pas\u{a0}» sur la même page, ou ne faites rien\u{a0}: sans votre confirmation, l’adresse ne sert pas aux réponses.",
    "La page est valable 30 jours. L’ouvrir ne change rien.",
    "Postrider, le service de courriel de {service}",
];
const NOTICE_FR: &[&str] = &[
    "Les réponses à {tenant} arrivent maintenant à cette adresse",
    "Bonjour,",
    "{tenant}{by} envoie ses courriels par {service}. Les réponses à certains d’entre eux arrivent désormais à {address}, parce qu’une autre adresse de {domain} a déjà été confirmée.",
    "Si c’est exact, il n’y a rien à faire. Sinon, ouvrez cette page et appuyez sur «\u{a0}Pas chez nous\u{a0}»\u{a0}:",
    "{link}",
    "La page est valable 30 jours. L’ouvrir ne change rien.",
    "Postrider, le service de courriel de {service}",
];

// The same paragraphs as HTML, each on a line; one that is an address of ours alone is a link.
fn html_of(language: Language, paragraphs: &[String]) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"{language}\"><body style=\"font-family:sans-serif;line-height:1.5\">"
    );
    for paragraph in paragraphs {
        let text = escaped(paragraph);
        let shown = if is_link(paragraph) {
            format!("<a href=\"{text}\">{text}</a>")
        } else {
            text
        };
        html.extend(["\n<p>", &shown, "</p>"]);
    }
    html.push_str("\n</body></html>");
    html
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // As long as they are.
    const LINK: &str = "https://relay.example/c/eiaaaaaag2oi3ycqda4ebqfaaaaaaaaaaaaaaaaaafqw43samfygk43hmfzgcz3ffzsxqylnobwgl6e2k5txs3tpmvxgg2dpnzsa";

    #[test]
    fn who_sees_a_letter_undecoded_has_its_link_whole() {
        let address = EmailAddress::parse("ann@joesgarage.example").unwrap();
        for language in Language::ALL {
            for kind in [LetterKind::Question, LetterKind::Notice] {
                for tenant in ["Joe's Garage", "Söhne"] {
                    let letter = Letter {
                        kind,
                        tenant,
                        vendor: Some("Wrench Software"),
                        language: *language,
                        address: &address,
                        service: "relay.example",
                        link: LINK.to_owned(),
                    };
                    let raw = String::from_utf8(compose(&letter, [1; 16]).unwrap()).unwrap();
                    assert!(raw.lines().any(|line| line == LINK), "{raw}");
                    let (_, body) = raw.split_once("\r\n\r\n").unwrap();
                    let is_plain = !body.contains("quoted-printable") && !body.contains("base64");
                    let is_ascii = *language == Language::En && tenant.is_ascii();
                    assert_eq!(is_plain, is_ascii, "{raw}");
                    let texts = postrider_message::texts(raw.as_bytes());
                    assert_eq!(texts.text.unwrap().matches(LINK).count(), 1);
                }
            }
        }
    }

    #[test]
    fn every_letter_names_tenant_address_and_link_once_where_it_counts() {
        let address = EmailAddress::parse("ann@joesgarage.example").unwrap();
        for language in Language::ALL {
            for kind in [LetterKind::Question, LetterKind::Notice] {
                let letter = Letter {
                    kind,
                    tenant: "Joe & <Söhne> {link}",
                    vendor: Some("Wrench {address}"),
                    language: *language,
                    address: &address,
                    service: "relay.example",
                    link: "https://relay.example/c/abc".to_owned(),
                };
                let raw = compose(&letter, [1; 16]).unwrap();
                let texts = postrider_message::texts(&raw);
                let (text, html) = (texts.text.unwrap(), texts.html.unwrap());
                assert_eq!(text.matches("https://relay.example/c/abc").count(), 1);
                assert!(
                    text.contains("Joe & <Söhne> {link}")
                        && text.contains("ann@joesgarage.example")
                );
                assert!(
                    html.contains("href=\"https://relay.example/c/abc\""),
                    "{html}"
                );
                assert!(html.contains("Joe &amp; &lt;Söhne&gt; {link}"), "{html}");
                let subject = postrider_message::header_value(&raw, "Subject").unwrap();
                assert!(subject.contains("Joe & <Söhne> {link}"), "{subject}");
                assert!(text.contains("Wrench {address}"), "{text}");
                let auto = postrider_message::header_value(&raw, "Auto-Submitted");
                assert_eq!(auto.as_deref(), Some("auto-generated"));
            }
        }
    }
}
