//! The page about a message that did not reach everybody: what became of each recipient, in the
//! remote's words, and what can be done. Nothing to press.

use std::fmt::Write;

use postrider_gate::{Said, SeenMessage, SeenRecipient};
use postrider_model::{Language, RecipientState};

use super::html::{TAIL, head, text};
use crate::catalogue::moment;

/// Recipients that are shown; who failed comes first.
const RECIPIENTS_MOST: usize = 200;

/// The whole document.
pub(super) fn written(seen: &SeenMessage, language: Language) -> String {
    let mut page = head(language.as_str(), &title(seen, language));
    paragraph(&mut page, &introduction(seen, language));
    let mut recipients: Vec<_> = seen.recipients.iter().collect();
    recipients.sort_by_key(|one| one.remedy.is_none());
    for one in recipients.iter().take(RECIPIENTS_MOST) {
        section(&mut page, one, language);
    }
    let unnamed = recipients.len().saturating_sub(RECIPIENTS_MOST);
    if unnamed > 0 {
        let more = match language {
            Language::En => format!("And {unnamed} more recipients."),
            Language::Fr => format!("Et {unnamed} autres destinataires."),
        };
        paragraph(&mut page, &more);
    }
    page.push_str(TAIL);
    page
}

fn title(seen: &SeenMessage, language: Language) -> String {
    match (seen.subject.trim(), language) {
        ("", Language::En) => "A message without a subject".to_owned(),
        ("", Language::Fr) => "Un message sans objet".to_owned(),
        (subject, Language::En) => format!("“{subject}”"),
        (subject, Language::Fr) => format!("«\u{a0}{subject}\u{a0}»"),
    }
}

fn introduction(seen: &SeenMessage, language: Language) -> String {
    let (tenant, at) = (&seen.tenant.name, moment(seen.accepted_at));
    match language {
        Language::En => format!("Sent by {tenant} on {at}. This is how it stands now."),
        Language::Fr => format!("Envoyé par {tenant} le {at}. Voici où il en est maintenant."),
    }
}

fn section(page: &mut String, one: &SeenRecipient, language: Language) {
    page.push_str("<section>\n");
    let _never_fails = writeln!(page, "<h3>{}</h3>", text(&one.address.to_string()));
    paragraph(page, &state(one, language));
    if let Some((label, words)) = one.said.as_ref().and_then(|said| words(said, language)) {
        let _never_fails = writeln!(
            page,
            "<p><small>{}</small><br>{}</p>",
            text(label),
            text(words)
        );
    }
    if let Some(remedy) = one.remedy {
        let sentence = text(remedy.sentence(language));
        let _never_fails = writeln!(page, "<p><strong>{sentence}</strong></p>");
    }
    page.push_str("</section>\n");
}

/// A machine's words as they are, and what they are; ours are the remedy.
fn words(said: &Said, language: Language) -> Option<(&'static str, &str)> {
    match (said, language) {
        (Said::Remote(words), Language::En) => {
            Some(("The answer of the recipient's mail service:", words))
        }
        (Said::Remote(words), Language::Fr) => Some((
            "La réponse du service de messagerie du destinataire\u{a0}:",
            words,
        )),
        (Said::Noted(note), Language::En) => Some((
            "There is no answer of the recipient's mail service; we noted:",
            note,
        )),
        (Said::Noted(note), Language::Fr) => Some((
            "Il n’y a pas de réponse du service de messagerie du destinataire\u{a0}; nous avons noté\u{a0}:",
            note,
        )),
        (Said::Own(_), _) => None,
    }
}

fn state(one: &SeenRecipient, language: Language) -> String {
    use RecipientState::{
        Cancelled, Delivered, Expired, Failed, Held, Queued, Scheduled, Suppressed,
    };
    // Nobody refused it where nobody was asked.
    let is_own = matches!(one.said, Some(Said::Own(_)));
    let words = match (language, one.state) {
        (Language::En, Delivered) => "Delivered",
        (Language::En, Failed) if is_own => "Not delivered",
        (Language::Fr, Failed) if is_own => "Non remis",
        (Language::En, Failed) => "Not delivered: refused for good",
        (Language::En, Expired) => "Not delivered: its time ran out",
        (Language::En, Suppressed) => "Not sent: the address is on your suppression list",
        (Language::En, Cancelled) => "Taken back before it was sent",
        (Language::En, Held) => "Held by the operator of this service",
        (Language::En, Queued | Scheduled) => "Still waiting; last looked at",
        (Language::Fr, Delivered) => "Remis",
        (Language::Fr, Failed) => "Non remis\u{a0}: refusé définitivement",
        (Language::Fr, Expired) => "Non remis\u{a0}: le délai est écoulé",
        (Language::Fr, Suppressed) => "Non envoyé\u{a0}: l’adresse est sur votre liste d’exclusion",
        (Language::Fr, Cancelled) => "Retiré avant l’envoi",
        (Language::Fr, Held) => "Retenu par l’exploitant de ce service",
        (Language::Fr, Queued | Scheduled) => "Encore en attente\u{a0}; dernier état",
    };
    format!("{words}, {}", moment(one.at))
}

fn paragraph(page: &mut String, words: &str) {
    let _never_fails = writeln!(page, "<p>{}</p>", text(words));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postrider_gate::Remedy;
    use postrider_model::{
        EmailAddress, Limits, OwnVerdict, Ramp, RecipientId, Tenant, TenantId, TenantStatus,
        Timestamp, Vendor,
    };

    use super::*;

    fn tenant() -> Arc<Tenant> {
        let address = |text| EmailAddress::parse(text).unwrap();
        Arc::new(Tenant {
            id: TenantId::from_bytes([1; 16]),
            name: "Joe & Söhne".to_owned(),
            slug: "joe".to_owned(),
            from: address("joe@send.relay.example"),
            reply_to: address("joe@joesgarage.example"),
            next_reply_to: None,
            status: TenantStatus::Active,
            stopped_by: None,
            limits: Limits::default(),
            language: Language::En,
            own_domain: false,
            notices: true,
            ramp: Ramp::PAST,
            is_house: false,
            vendor: Vendor::OPERATOR,
            licence: None,
            plan: None,
            created_at: Timestamp::from_micros(0),
        })
    }

    fn recipient(at: &str, state: RecipientState, words: Option<&str>) -> SeenRecipient {
        let failed = matches!(state, RecipientState::Failed | RecipientState::Expired);
        SeenRecipient {
            id: RecipientId::from_bytes([1; 16]),
            address: EmailAddress::parse(at).unwrap(),
            state,
            at: Timestamp::parse("2026-01-31T08:00:00Z").unwrap(),
            said: words.map(|words| Said::Remote(words.to_owned())),
            remedy: failed.then_some(Remedy::MailboxFull),
        }
    }

    fn seen(recipients: Vec<SeenRecipient>) -> SeenMessage {
        SeenMessage {
            tenant: tenant(),
            subject: "<script>Your car</script>".to_owned(),
            accepted_at: Timestamp::parse("2026-01-30T08:00:00Z").unwrap(),
            recipients,
        }
    }

    #[test]
    fn who_failed_stands_first_with_words_and_remedy_and_nothing_is_markup() {
        let recipients = vec![
            recipient("ann@a.example", RecipientState::Delivered, Some("250 ok")),
            recipient(
                "bob@b.example",
                RecipientState::Failed,
                Some("552 5.2.2 <b>full</b>"),
            ),
        ];
        let seen = seen(recipients);
        for (language, remedy) in [
            (Language::En, "The mailbox is full"),
            (Language::Fr, "La boîte est pleine"),
        ] {
            let page = written(&seen, language);
            assert!(page.contains("&lt;script&gt;Your car"), "{page}");
            assert!(
                !page.contains("<script>") && !page.contains("<b>"),
                "{page}"
            );
            assert!(page.contains("552 5.2.2 &lt;b&gt;full"), "{page}");
            assert_eq!(page.matches(remedy).count(), 1, "{page}");
            let place = |what: &str| page.find(what).unwrap();
            assert!(place("bob@b.example") < place("ann@a.example"), "{page}");
            assert!(!page.contains("<form"), "{page}");
        }
    }

    #[test]
    fn our_own_verdict_is_told_in_the_readers_language_and_refused_by_nobody() {
        let one = SeenRecipient {
            said: Some(Said::Own(OwnVerdict::NoDomain)),
            remedy: Some(Remedy::of_own(OwnVerdict::NoDomain)),
            ..recipient("ann@nowhere.example", RecipientState::Failed, None)
        };
        let seen = seen(vec![one]);
        for (language, told, not) in [
            (Language::En, "does not exist", "refused"),
            (Language::Fr, "n’existe pas", "refusé"),
        ] {
            let page = written(&seen, language);
            assert!(page.contains(told), "{page}");
            assert!(!page.contains(not) && !page.contains("NXDOMAIN"), "{page}");
        }
    }

    #[test]
    fn a_message_to_very_many_is_cut_and_counted() {
        let state = RecipientState::Delivered;
        let many = (0..250).map(|n| recipient(&format!("r{n}@a.example"), state, None));
        let page = written(&seen(many.collect()), Language::En);
        assert_eq!(page.matches("<section>").count(), RECIPIENTS_MOST);
        assert!(page.contains("And 50 more recipients."), "{page}");
    }
}
