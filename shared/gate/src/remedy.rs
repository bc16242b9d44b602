//! What a sender can do about mail that did not arrive, from what the remote said, or from our own
//! verdict where none was asked. Pure.

use postrider_model::{EnhancedCode, Language, OwnVerdict, RecipientState};

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// There is no such address.
    CheckAddress,
    /// It is the part behind the @ that is wrong, or what its owner made of it.
    CheckDomain(OwnVerdict),
    /// The remote knows no such domain.
    UnknownDomain,
    MailboxFull,
    Smaller,
    /// The remote takes no mail like this one, or none from us.
    Policy,
    /// The address has letters that the remote cannot take.
    PlainAddress,
    /// Nobody took it in the time it had.
    TooLate,
    /// Nothing is known but the words.
    AskThem,
}

impl Remedy {
    /// The remedy for a recipient that ended so by a remote's word; `code` is the remote's (RFC 3463 §3).
    pub fn of(state: RecipientState, code: Option<EnhancedCode>) -> Self {
        match (state, code) {
            (_, Some(EnhancedCode(_, 2, 2))) => Self::MailboxFull,
            (_, Some(EnhancedCode(_, 2, 3) | EnhancedCode(_, 3, 4))) => Self::Smaller,
            (RecipientState::Expired, _) => Self::TooLate,
            (_, Some(EnhancedCode(_, 1, 2) | EnhancedCode(_, 4, 4))) => Self::UnknownDomain,
            // RFC 7505 §4.1: so a remote says what our own verdict says.
            (_, Some(EnhancedCode(_, 1, 10))) => Self::CheckDomain(OwnVerdict::NullMx),
            (_, Some(EnhancedCode(_, 1, 1 | 3 | 4 | 6) | EnhancedCode(_, 2, 1))) => {
                Self::CheckAddress
            }
            (_, Some(EnhancedCode(_, 6 | 7, _))) => Self::Policy,
            _ => Self::AskThem,
        }
    }

    /// The remedy where the verdict is ours.
    pub fn of_own(verdict: OwnVerdict) -> Self {
        match verdict {
            OwnVerdict::Expired => Self::TooLate,
            OwnVerdict::TooLarge => Self::Smaller,
            OwnVerdict::NeedsSmtpUtf8 => Self::PlainAddress,
            OwnVerdict::NoDomain
            | OwnVerdict::NoServer
            | OwnVerdict::NullMx
            | OwnVerdict::PrivateOnly
            | OwnVerdict::NoAddress
            | OwnVerdict::Loop => Self::CheckDomain(verdict),
        }
    }

    /// As a sentence: what is wrong, and what the sender can do.
    pub fn sentence(self, language: Language) -> &'static str {
        let (english, french) = self.both();
        match language {
            Language::En => english,
            Language::Fr => french,
        }
    }

    // English, French.
    fn both(self) -> (&'static str, &'static str) {
        match self {
            Self::CheckDomain(verdict) => of_domain(verdict),
            Self::UnknownDomain => (
                "The domain, the part of the address behind the @, is not known there: check its spelling, or ask the recipient for the address.",
                "Le domaine, la partie de l’adresse après le @, n’y est pas connu\u{a0}: vérifiez son orthographe, ou demandez l’adresse au destinataire.",
            ),
            Self::PlainAddress => (
                "The recipient's mail service takes no addresses with letters such as é: ask the recipient for an address without them.",
                "Le service de messagerie du destinataire n’accepte pas les adresses avec des lettres comme é\u{a0}: demandez au destinataire une adresse qui n’en a pas.",
            ),
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
        }
    }
}

// What is wrong with the part behind the @: English, French.
fn of_domain(verdict: OwnVerdict) -> (&'static str, &'static str) {
    match verdict {
        OwnVerdict::NoDomain => (
            "The domain, the part of the address behind the @, does not exist: check its spelling, or ask the recipient for the address.",
            "Le domaine, la partie de l’adresse après le @, n’existe pas\u{a0}: vérifiez son orthographe, ou demandez l’adresse au destinataire.",
        ),
        OwnVerdict::NullMx => (
            "The domain, the part of the address behind the @, takes no mail at all; its owner says so. Check its spelling, or ask the recipient for another address.",
            "Le domaine, la partie de l’adresse après le @, n’accepte aucun courriel\u{a0}; son propriétaire le dit. Vérifiez son orthographe, ou demandez une autre adresse au destinataire.",
        ),
        OwnVerdict::PrivateOnly => (
            "The mail server of the domain, the part of the address behind the @, is not on the internet: its addresses are private. Check the spelling; if it is right, tell the recipient, whose provider has to put it right.",
            "Le serveur de courriel du domaine, la partie de l’adresse après le @, n’est pas sur Internet\u{a0}: ses adresses sont privées. Vérifiez l’orthographe\u{a0}; si elle est juste, prévenez le destinataire, dont le fournisseur doit le corriger.",
        ),
        OwnVerdict::NoAddress => (
            "The mail server that the domain, the part of the address behind the @, names cannot be found. Check the spelling; if it is right, tell the recipient, whose provider has to put it right.",
            "Le serveur de courriel que nomme le domaine, la partie de l’adresse après le @, est introuvable. Vérifiez l’orthographe\u{a0}; si elle est juste, prévenez le destinataire, dont le fournisseur doit le corriger.",
        ),
        OwnVerdict::Loop => (
            "The domain, the part of the address behind the @, sends its mail to this very service, which has no mailboxes. Check its spelling, or ask the recipient for another address.",
            "Le domaine, la partie de l’adresse après le @, envoie son courriel à ce service même, qui n’a pas de boîtes. Vérifiez son orthographe, ou demandez une autre adresse au destinataire.",
        ),
        OwnVerdict::NoServer
        | OwnVerdict::Expired
        | OwnVerdict::TooLarge
        | OwnVerdict::NeedsSmtpUtf8 => (
            "The domain, the part of the address behind the @, has no mail server: check its spelling, or ask the recipient for another address.",
            "Le domaine, la partie de l’adresse après le @, n’a pas de serveur de courriel\u{a0}: vérifiez son orthographe, ou demandez une autre adresse au destinataire.",
        ),
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
            (Failed, Some("5.1.2"), Remedy::UnknownDomain),
            (
                Failed,
                Some("5.1.10"),
                Remedy::CheckDomain(OwnVerdict::NullMx),
            ),
            (Failed, Some("5.4.4"), Remedy::UnknownDomain),
            (Failed, Some("5.4.6"), Remedy::AskThem),
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

    #[test]
    fn each_verdict_of_ours_about_a_domain_has_a_sentence_of_its_own_in_both_languages() {
        for language in [Language::En, Language::Fr] {
            let told = |verdict| Remedy::of_own(verdict).sentence(language);
            let mut sentences: Vec<_> = OwnVerdict::ALL.into_iter().map(told).collect();
            sentences.sort_unstable();
            sentences.dedup();
            assert_eq!(sentences.len(), OwnVerdict::ALL.len(), "{sentences:#?}");
        }
        let told = Remedy::of_own(OwnVerdict::NoDomain).sentence(Language::En);
        assert!(told.contains("behind the @, does not exist"), "{told}");
    }
}
