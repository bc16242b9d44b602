//! What a sender can do about mail that did not arrive, from what the remote said. Pure.

use postrider_model::{EnhancedCode, Language, RecipientState};

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// There is no such address, or no such domain.
    CheckAddress,
    MailboxFull,
    Smaller,
    /// The remote takes no mail like this one, or none from us.
    Policy,
    /// Nobody took it in the time it had.
    TooLate,
    /// Nothing is known but the words.
    AskThem,
}

impl Remedy {
    /// The remedy for a recipient that ended so; `code` is the remote's, or ours where no remote
    /// was asked (RFC 3463 §3).
    pub fn of(state: RecipientState, code: Option<EnhancedCode>) -> Self {
        match (state, code) {
            (_, Some(EnhancedCode(_, 2, 2))) => Self::MailboxFull,
            (_, Some(EnhancedCode(_, 2, 3) | EnhancedCode(_, 3, 4))) => Self::Smaller,
            (RecipientState::Expired, _) => Self::TooLate,
            (_, Some(EnhancedCode(_, 1, 1..=4 | 6 | 10) | EnhancedCode(_, 2, 1))) => {
                Self::CheckAddress
            }
            (_, Some(EnhancedCode(_, 4, 4 | 6))) => Self::CheckAddress,
            (_, Some(EnhancedCode(_, 6 | 7, _))) => Self::Policy,
            _ => Self::AskThem,
        }
    }

    /// As a sentence.
    pub fn sentence(self, language: Language) -> &'static str {
        let (english, french) = match self {
            Self::CheckAddress => (
                "Check the address letter by letter, or ask the recipient for it: there is no such mailbox.",
                "Vérifiez l’adresse lettre par lettre, ou demandez-la au destinataire\u{a0}: cette boîte n’existe pas.",
            ),
            Self::MailboxFull => (
                "The mailbox is full: call the recipient, and send it again when there is room.",
                "La boîte est pleine\u{a0}: appelez le destinataire, et renvoyez le message quand il y aura de la place.",
            ),
            Self::Smaller => (
                "The message is too large for the recipient: send smaller attachments, or a link to them.",
                "Le message est trop volumineux pour le destinataire\u{a0}: envoyez des pièces jointes plus petites, ou un lien.",
            ),
            Self::Policy => (
                "The recipient's mail service refused it by its rules: call the recipient, who can ask there to let your mail through.",
                "Le service de messagerie du destinataire l’a refusé selon ses règles\u{a0}: appelez le destinataire, qui peut y demander de laisser passer vos courriels.",
            ),
            Self::TooLate => (
                "Nobody took it in the time it had: check the part of the address behind the @, and send it again later or call the recipient.",
                "Personne ne l’a pris dans le temps prévu\u{a0}: vérifiez la partie de l’adresse après le @, puis renvoyez-le plus tard ou appelez le destinataire.",
            ),
            Self::AskThem => (
                "Call the recipient, and read them the words of their mail service.",
                "Appelez le destinataire, et lisez-lui la réponse de son service de messagerie.",
            ),
        };
        match language {
            Language::En => english,
            Language::Fr => french,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_remote_said_tells_what_to_do() {
        use RecipientState::{Expired, Failed};
        for (state, code, want) in [
            (Failed, Some("5.1.1"), Remedy::CheckAddress),
            (Failed, Some("5.1.2"), Remedy::CheckAddress),
            (Failed, Some("5.1.10"), Remedy::CheckAddress),
            (Failed, Some("5.4.4"), Remedy::CheckAddress),
            (Failed, Some("5.2.1"), Remedy::CheckAddress),
            (Failed, Some("5.2.2"), Remedy::MailboxFull),
            (Expired, Some("4.2.2"), Remedy::MailboxFull),
            (Failed, Some("5.3.4"), Remedy::Smaller),
            (Failed, Some("5.7.1"), Remedy::Policy),
            (Expired, Some("4.7.1"), Remedy::TooLate),
            (Expired, None, Remedy::TooLate),
            (Failed, Some("5.5.0"), Remedy::AskThem),
            (Failed, None, Remedy::AskThem),
        ] {
            let code = code.map(|code| EnhancedCode::parse(code).unwrap());
            assert_eq!(Remedy::of(state, code), want, "{state} {code:?}");
        }
    }
}
