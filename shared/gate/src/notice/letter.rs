//! The mail that tells a tenant what could not be delivered, in its language.

use postrider_message::ComposeError;
use postrider_model::{EmailAddress, Language, Timestamp};

use crate::letter::written;
use crate::seen::{Said, SeenRecipient};

/// Recipients that are named of one message.
const RECIPIENTS_MOST: usize = 10;
/// Characters of a subject that are shown.
const SUBJECT_MOST: usize = 120;

/// One mail.
pub(super) struct Notice<'a> {
    /// The tenant's name.
    pub(super) tenant: &'a str,
    pub(super) language: Language,
    pub(super) address: &'a EmailAddress,
    /// The host that says it.
    pub(super) service: &'a str,
    /// Not empty.
    pub(super) listed: Vec<Undelivered>,
    /// Recipients that failed and are not listed.
    pub(super) more: u64,
}

/// A message that did not reach everybody.
pub(super) struct Undelivered {
    pub(super) subject: String,
    pub(super) accepted_at: Timestamp,
    /// How many it went to.
    pub(super) recipients: usize,
    pub(super) failed: Vec<SeenRecipient>,
    /// The page about it.
    pub(super) link: String,
}

/// RFC 5322, ready for the gate.
pub(super) fn compose(notice: &Notice<'_>, random: [u8; 16]) -> Result<Vec<u8>, ComposeError> {
    let to = (notice.address, subject(notice));
    written(to, notice.language, &paragraphs(notice), random)
}

fn subject(notice: &Notice<'_>) -> String {
    let (listed, more) = (&notice.listed, notice.more);
    match (listed.as_slice(), notice.language) {
        ([only], Language::En) if more == 0 => {
            format!("Not delivered: {}", titled(only, Language::En))
        }
        ([only], Language::Fr) if more == 0 => {
            format!("Non remis\u{a0}: {}", titled(only, Language::Fr))
        }
        (_, Language::En) => format!("Not delivered: mail to {} recipients", failures(notice)),
        (_, Language::Fr) => format!(
            "Non remis\u{a0}: des courriels à {} destinataires",
            failures(notice)
        ),
    }
}

fn failures(notice: &Notice<'_>) -> u64 {
    let listed = notice.listed.iter().map(|one| one.failed.len() as u64);
    listed.sum::<u64>() + notice.more
}

fn titled(one: &Undelivered, language: Language) -> String {
    let subject: String = one.subject.chars().take(SUBJECT_MOST).collect();
    match (subject.trim(), language) {
        ("", Language::En) => "a message without a subject".to_owned(),
        ("", Language::Fr) => "un message sans objet".to_owned(),
        (subject, Language::En) => format!("\"{subject}\""),
        (subject, Language::Fr) => format!("«\u{a0}{subject}\u{a0}»"),
    }
}

fn paragraphs(notice: &Notice<'_>) -> Vec<String> {
    let Notice {
        tenant, service, ..
    } = notice;
    let mut out = match notice.language {
        Language::En => vec![
            "Hello,".to_owned(),
            format!("{tenant} sent this through {service}, and it could not be delivered."),
        ],
        Language::Fr => vec![
            "Bonjour,".to_owned(),
            format!("{tenant} a envoyé ceci par {service}, et cela n’a pas pu être remis."),
        ],
    };
    for one in &notice.listed {
        out.extend(about(one, notice.language));
    }
    if notice.more > 0 {
        out.push(match notice.language {
            Language::En => format!(
                "{} more recipients did not get their mail; they are not listed here.",
                notice.more
            ),
            Language::Fr => format!(
                "{} autres destinataires n’ont pas reçu leur courriel\u{a0}; ils ne figurent pas ici.",
                notice.more
            ),
        });
    }
    out.push(match notice.language {
        Language::En => format!("The links are valid for 30 days. This comes from Postrider, the mail service at {service}, which tells of what failed a few times an hour at most; its operator can switch it off."),
        Language::Fr => format!("Les liens sont valables 30 jours. Ce message vient de Postrider, le service de courriel de {service}, qui signale les échecs quelques fois par heure au plus\u{a0}; son exploitant peut désactiver ces avis."),
    });
    out
}

fn about(one: &Undelivered, language: Language) -> Vec<String> {
    let (title, at) = (titled(one, language), moment(one.accepted_at));
    let (failed, all) = (one.failed.len(), one.recipients);
    let mut out = vec![match language {
        Language::En if failed < all => {
            format!("{title}, sent on {at}: not delivered to {failed} of {all} recipients")
        }
        Language::En => format!("{title}, sent on {at}"),
        Language::Fr if failed < all => {
            format!("{title}, envoyé le {at}\u{a0}: non remis à {failed} destinataires sur {all}")
        }
        Language::Fr => format!("{title}, envoyé le {at}"),
    }];
    for recipient in one.failed.iter().take(RECIPIENTS_MOST) {
        out.push(end(recipient, language));
    }
    let unnamed = failed.saturating_sub(RECIPIENTS_MOST);
    if unnamed > 0 {
        out.push(match language {
            Language::En => format!("And {unnamed} more: the page below has them all."),
            Language::Fr => {
                format!("Et {unnamed} autres\u{a0}: la page ci-dessous les montre tous.")
            }
        });
    }
    out.push(one.link.clone());
    out
}

fn end(recipient: &SeenRecipient, language: Language) -> String {
    let address = &recipient.address;
    let remedy = recipient.remedy.map(|remedy| remedy.sentence(language));
    let remedy = remedy.unwrap_or_default();
    let said = said(recipient.said.as_ref(), language);
    match language {
        Language::En => format!("{address}: {said}{remedy}"),
        Language::Fr => format!("{address}\u{a0}: {said}{remedy}"),
    }
}

// The words of machines stay as they are; ours are the remedy, in the reader's language.
fn said(said: Option<&Said>, language: Language) -> String {
    match (said, language) {
        (Some(Said::Remote(words)), Language::En) => format!("the answer was \"{words}\". "),
        (Some(Said::Remote(words)), Language::Fr) => {
            format!("la réponse était «\u{a0}{words}\u{a0}». ")
        }
        (Some(Said::Noted(note)), Language::En) => format!("no answer came (\"{note}\"). "),
        (Some(Said::Noted(note)), Language::Fr) => {
            format!("aucune réponse n’est venue («\u{a0}{note}\u{a0}»). ")
        }
        (Some(Said::Own(_)) | None, _) => String::new(),
    }
}

// As people read it: `2026-01-31 08:00 UTC`.
fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let minutes = text.get(..16).unwrap_or(&text);
    format!("{} UTC", minutes.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use postrider_model::{OwnVerdict, RecipientId, RecipientState};

    use super::*;
    use crate::remedy::Remedy;

    fn failed(number: u8, words: Option<&str>) -> SeenRecipient {
        SeenRecipient {
            id: RecipientId::from_bytes([number; 16]),
            address: EmailAddress::parse(&format!("ann{number}@gone.example")).unwrap(),
            state: RecipientState::Failed,
            at: Timestamp::from_micros(0),
            said: words.map(|words| Said::Remote(words.to_owned())),
            remedy: Some(Remedy::CheckAddress),
        }
    }

    fn undelivered(subject: &str, failed: Vec<SeenRecipient>, recipients: usize) -> Undelivered {
        Undelivered {
            subject: subject.to_owned(),
            accepted_at: Timestamp::parse("2026-01-31T08:00:59Z").unwrap(),
            recipients,
            failed,
            link: format!("https://relay.example/m/{recipients}"),
        }
    }

    fn composed(
        language: Language,
        listed: Vec<Undelivered>,
        more: u64,
    ) -> (String, String, String, String) {
        let address = EmailAddress::parse("joe@joesgarage.example").unwrap();
        let notice = Notice {
            tenant: "Joe & <Söhne>",
            language,
            address: &address,
            service: "relay.example",
            listed,
            more,
        };
        let raw = compose(&notice, [1; 16]).unwrap();
        let texts = postrider_message::texts(&raw);
        let subject = postrider_message::header_value(&raw, "Subject").unwrap();
        let auto = postrider_message::header_value(&raw, "Auto-Submitted");
        assert_eq!(auto.as_deref(), Some("auto-generated"));
        let raw = String::from_utf8(raw).unwrap();
        (raw, subject, texts.text.unwrap(), texts.html.unwrap())
    }

    #[test]
    fn one_failure_is_told_with_its_subject_the_remotes_words_and_what_to_do() {
        let words = Some("550 5.1.1 <b>no such user</b>");
        for (language, title, remedy) in [
            (
                Language::En,
                "Not delivered: \"Your car\"",
                "letter by letter",
            ),
            (
                Language::Fr,
                "Non remis\u{a0}: «\u{a0}Your car\u{a0}»",
                "lettre par lettre",
            ),
        ] {
            let one = undelivered("Your car", vec![failed(1, words)], 1);
            let (raw, subject, text, html) = composed(language, vec![one], 0);
            assert_eq!(subject, title);
            for part in [
                "ann1@gone.example",
                "550 5.1.1 <b>no",
                remedy,
                "2026-01-31 08:00 UTC",
            ] {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert_eq!(text.matches("https://relay.example/m/1").count(), 1);
            let mut lines = raw.lines();
            assert!(
                lines.any(|line| line == "https://relay.example/m/1"),
                "{raw}"
            );
            assert!(
                html.contains("href=\"https://relay.example/m/1\""),
                "{html}"
            );
            assert!(html.contains("550 5.1.1 &lt;b&gt;no such"), "{html}");
            assert!(html.contains("Joe &amp; &lt;Söhne&gt;"), "{html}");
        }
    }

    #[test]
    fn our_own_verdict_is_told_in_the_readers_language_without_a_machines_words() {
        for (language, told) in [
            (Language::En, "ann1@gone.example: The domain, the part"),
            (
                Language::Fr,
                "ann1@gone.example\u{a0}: Le domaine, la partie",
            ),
        ] {
            let verdict = OwnVerdict::NullMx;
            let one = SeenRecipient {
                said: Some(Said::Own(verdict)),
                remedy: Some(Remedy::of_own(verdict)),
                ..failed(1, None)
            };
            let (_, _, text, _) = composed(language, vec![undelivered("Bill", vec![one], 1)], 0);
            let text: Vec<_> = text.split_ascii_whitespace().collect();
            let text = text.join(" ");
            assert!(text.contains(told), "{text}");
            assert!(
                !text.contains("null MX") && !text.contains("5.1.10"),
                "{text}"
            );
        }
        let silent = SeenRecipient {
            said: Some(Said::Noted("connect: refused".to_owned())),
            remedy: Some(Remedy::TooLate),
            ..failed(1, None)
        };
        let listed = vec![undelivered("Bill", vec![silent], 1)];
        let (_, _, text, _) = composed(Language::En, listed, 0);
        assert!(
            text.contains("no answer came (\"connect: refused\")."),
            "{text}"
        );
    }

    #[test]
    fn many_failures_are_gathered_and_counted() {
        let some = (1..=12).map(|n| failed(n, None)).collect();
        let listed = vec![
            undelivered("", some, 15),
            undelivered("Bill", vec![failed(1, None)], 1),
        ];
        let (_, subject, text, _) = composed(Language::En, listed, 7);
        assert_eq!(subject, "Not delivered: mail to 20 recipients");
        for part in [
            "a message without a subject",
            "not delivered to 12 of 15 recipients",
            "And 2 more",
            "7 more recipients",
            "/m/15",
            "/m/1\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("ann11@"), "{text}");
    }
}
