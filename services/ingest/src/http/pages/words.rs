//! What the pages say, in both languages. French sets a space before `?`, `:` and `;` that must not break.

use postrider_gate::{LinkError, ReplyLink, UnsubscribeLink};
use postrider_model::{Language, ReplySource, ReplyStatus};

use super::html::{Button, Page, Weight};

/// The pages about a reply address.
pub(super) struct Reply;

/// For which replies a confirmed address is used.
#[derive(Clone, Copy)]
enum Use {
    /// All, but for mail that names another.
    Default,
    /// Those to mail that names it.
    Named,
    /// The same, where the shop's program had wished it for all and has another by now.
    Superseded,
}

impl Use {
    fn of(link: &ReplyLink) -> Self {
        match (link.is_default, link.source) {
            (true, _) => Self::Default,
            (false, ReplySource::Tenant) => Self::Superseded,
            (false, _) => Self::Named,
        }
    }
}

/// The pages about leaving bulk mail.
pub(super) struct Unsubscribe;

/// One of two texts.
fn either<'a>(language: Language, english: &'a str, french: &'a str) -> &'a str {
    match language {
        Language::En => english,
        Language::Fr => french,
    }
}

fn page(language: Language, title: String, paragraphs: Vec<String>, buttons: Vec<Button>) -> Page {
    Page {
        language: either(language, "en", "fr"),
        title,
        paragraphs,
        buttons,
    }
}

fn yes(language: Language) -> Button {
    Button {
        label: match language {
            Language::En => "Yes, replies may come here",
            Language::Fr => "Oui, les réponses peuvent venir ici",
        },
        answer: "yes",
        weight: Weight::Main,
    }
}

fn no(language: Language) -> Button {
    Button {
        label: match language {
            Language::En => "I don’t know them",
            Language::Fr => "Je ne les connais pas",
        },
        answer: "no",
        weight: Weight::Beside,
    }
}

impl Reply {
    /// The question; or what was answered before. A yes may be taken back, a no stays.
    pub(super) fn asking(link: &ReplyLink, language: Language) -> Page {
        match (link.status, link.source) {
            (ReplyStatus::Confirmed, ReplySource::Domain) => Self::told(link, language),
            (ReplyStatus::Confirmed, _) => Self::stands(link, language),
            (ReplyStatus::Refused, _) => Self::refused(link, language),
            (ReplyStatus::Unconfirmed | ReplyStatus::Broken, _) => Self::question(link, language),
        }
    }

    /// After a button, as it stands now.
    pub(super) fn answered(link: &ReplyLink, language: Language) -> Page {
        if link.status == ReplyStatus::Confirmed {
            return Self::confirmed(link, language);
        }
        let (tenant, address) = (&link.tenant.name, &link.address);
        let (title, paragraph) = match language {
            Language::En => (
                "Thank you for telling us".to_owned(),
                format!(
                    "{tenant} cannot use {address} for replies, and the operator of this service is told about it. You may close this page."
                ),
            ),
            Language::Fr => (
                "Merci de nous l’avoir dit".to_owned(),
                format!(
                    "{tenant} ne peut pas utiliser {address} pour les réponses, et l’exploitant de ce service en est averti. Vous pouvez fermer cette page."
                ),
            ),
        };
        page(language, title, vec![paragraph], Vec::new())
    }

    // Which replies come there is not always all of them.
    fn confirmed(link: &ReplyLink, language: Language) -> Page {
        let (tenant, address) = (&link.tenant.name, &link.address);
        let said = match (language, Use::of(link)) {
            (Language::En, Use::Default) => {
                format!("Replies to mail from {tenant} go to {address} from now on.")
            }
            (Language::En, Use::Named) => format!(
                "Replies to mail from {tenant} may come to {address} now: they do where a mail names it. All others go to another address of theirs, as before."
            ),
            (Language::En, Use::Superseded) => format!(
                "{address} is confirmed, but {tenant} has another address for replies by now. They come to {address} only where a mail names it."
            ),
            (Language::Fr, Use::Default) => {
                format!("Les réponses aux courriels de {tenant} vont désormais à {address}.")
            }
            (Language::Fr, Use::Named) => format!(
                "Les réponses aux courriels de {tenant} peuvent désormais venir à {address}\u{a0}: c’est le cas quand un courriel l’indique. Toutes les autres vont, comme avant, à une autre de leurs adresses."
            ),
            (Language::Fr, Use::Superseded) => format!(
                "{address} est confirmée, mais {tenant} a maintenant une autre adresse de réponse. Les réponses ne viennent à {address} que si un courriel l’indique."
            ),
        };
        let (title, close) = match language {
            Language::En => (
                "Thank you: the address is confirmed",
                "You may close this page.",
            ),
            Language::Fr => (
                "Merci\u{a0}: l’adresse est confirmée",
                "Vous pouvez fermer cette page.",
            ),
        };
        let paragraphs = vec![said, close.to_owned()];
        page(language, title.to_owned(), paragraphs, Vec::new())
    }

    fn question(link: &ReplyLink, language: Language) -> Page {
        let (tenant, address) = (&link.tenant.name, &link.address);
        let (title, paragraphs) = match language {
            Language::En => (
                format!("May replies to {tenant} come to {address}?"),
                vec![
                    format!("{tenant} sends mail through this service and gave {address} as an address for replies."),
                    "If it is yours and you know them, press the first button. Until you do, it is not used for replies.".to_owned(),
                ],
            ),
            Language::Fr => (
                format!("Les réponses à {tenant} peuvent-elles venir à {address}\u{a0}?"),
                vec![
                    format!("{tenant} envoie des courriels par ce service et a donné {address} comme adresse de réponse."),
                    "Si c’est la vôtre et que vous les connaissez, appuyez sur le premier bouton. D’ici là, elle ne sert pas aux réponses.".to_owned(),
                ],
            ),
        };
        page(
            language,
            title,
            paragraphs,
            vec![yes(language), no(language)],
        )
    }

    // An address at a domain of which another address was confirmed: used at once, with this notice.
    fn told(link: &ReplyLink, language: Language) -> Page {
        let (tenant, address) = (&link.tenant.name, &link.address);
        let (title, paragraphs) = match language {
            Language::En => (
                format!("Replies to {tenant} go to {address}"),
                vec![
                    format!(
                        "Another address at {} was confirmed for {tenant}, so replies may go to {address} too.",
                        link.address.domain()
                    ),
                    "If that is right there is nothing to do. If not, press the button.".to_owned(),
                ],
            ),
            Language::Fr => (
                format!("Les réponses à {tenant} vont à {address}"),
                vec![
                    format!(
                        "Une autre adresse de {} a été confirmée pour {tenant}\u{a0}; les réponses peuvent donc aussi aller à {address}.",
                        link.address.domain()
                    ),
                    "Si c’est exact, il n’y a rien à faire. Sinon, appuyez sur le bouton."
                        .to_owned(),
                ],
            ),
        };
        let not_ours = Button {
            label: match language {
                Language::En => "Not ours",
                Language::Fr => "Pas chez nous",
            },
            ..no(language)
        };
        page(language, title, paragraphs, vec![not_ours])
    }

    fn stands(link: &ReplyLink, language: Language) -> Page {
        let (tenant, address) = (&link.tenant.name, &link.address);
        let title = either(
            language,
            "The address is confirmed",
            "L’adresse est confirmée",
        );
        let paragraph = match (language, Use::of(link)) {
            (Language::En, Use::Default) => format!(
                "Replies to mail from {tenant} go to {address}. If they should not, press the button."
            ),
            (Language::En, Use::Named | Use::Superseded) => format!(
                "Replies to mail from {tenant} come to {address} where a mail names it. If they should not, press the button."
            ),
            (Language::Fr, Use::Default) => format!(
                "Les réponses aux courriels de {tenant} vont à {address}. Si ce n’est pas voulu, appuyez sur le bouton."
            ),
            (Language::Fr, Use::Named | Use::Superseded) => format!(
                "Les réponses aux courriels de {tenant} viennent à {address} quand un courriel l’indique. Si ce n’est pas voulu, appuyez sur le bouton."
            ),
        };
        let title = title.to_owned();
        page(language, title, vec![paragraph], vec![no(language)])
    }

    // No button leads back: whoever forwards the letter must not undo what its owner said.
    fn refused(link: &ReplyLink, language: Language) -> Page {
        let (tenant, address) = (&link.tenant.name, &link.address);
        let is_of_domain = link.source == ReplySource::Domain;
        let (title, said, remedy) = match (language, is_of_domain) {
            (Language::En, false) => (
                "The address is not used",
                format!(
                    "You told us that you do not know {tenant}; replies do not go to {address}."
                ),
                format!(
                    "If that was a mistake, tell {tenant}: the operator of this service can allow the address again."
                ),
            ),
            (Language::En, true) => (
                "The address is not used",
                format!(
                    "You told us that replies to {tenant} do not belong at {address}; they do not go there."
                ),
                format!(
                    "If that was a mistake, tell {tenant}: the operator of this service can allow the address again."
                ),
            ),
            (Language::Fr, false) => (
                "L’adresse n’est pas utilisée",
                format!(
                    "Vous nous avez dit ne pas connaître {tenant}\u{a0}; les réponses ne vont pas à {address}."
                ),
                format!(
                    "Si c’était une erreur, dites-le à {tenant}\u{a0}: l’exploitant de ce service peut autoriser l’adresse à nouveau."
                ),
            ),
            (Language::Fr, true) => (
                "L’adresse n’est pas utilisée",
                format!(
                    "Vous nous avez dit que les réponses à {tenant} n’ont pas leur place à {address}\u{a0}; elles n’y vont pas."
                ),
                format!(
                    "Si c’était une erreur, dites-le à {tenant}\u{a0}: l’exploitant de ce service peut autoriser l’adresse à nouveau."
                ),
            ),
        };
        page(language, title.to_owned(), vec![said, remedy], Vec::new())
    }
}

impl Unsubscribe {
    pub(super) fn asking(link: &UnsubscribeLink, language: Language) -> Page {
        let (tenant, address) = (&link.tenant.name, &link.address);
        let (title, paragraph) = match language {
            Language::En => (
                format!("No more newsletters from {tenant}?"),
                format!(
                    "Press the button, and {tenant} sends no more newsletters or offers to {address} through this service. Invoices, appointments and other mail meant for you alone still arrive."
                ),
            ),
            Language::Fr => (
                format!("Ne plus recevoir les infolettres de {tenant}\u{a0}?"),
                format!(
                    "Appuyez sur le bouton\u{a0}: {tenant} n’enverra plus d’infolettres ni d’offres à {address} par ce service. Les factures, les rendez-vous et les autres courriels qui ne s’adressent qu’à vous arriveront toujours."
                ),
            ),
        };
        let button = Button {
            label: match language {
                Language::En => "Unsubscribe",
                Language::Fr => "Se désabonner",
            },
            answer: "yes",
            weight: Weight::Main,
        };
        page(language, title, vec![paragraph], vec![button])
    }

    pub(super) fn done(link: &UnsubscribeLink, language: Language) -> Page {
        let (tenant, address) = (&link.tenant.name, &link.address);
        let (title, paragraph) = match language {
            Language::En => (
                "You are unsubscribed".to_owned(),
                format!(
                    "{tenant} sends no more newsletters or offers to {address} through this service. You may close this page."
                ),
            ),
            Language::Fr => (
                "Vous êtes désabonné".to_owned(),
                format!(
                    "{tenant} n’envoie plus d’infolettres ni d’offres à {address} par ce service. Vous pouvez fermer cette page."
                ),
            ),
        };
        page(language, title, vec![paragraph], Vec::new())
    }
}

/// A link that leads nowhere.
pub(super) fn nowhere(error: &LinkError, language: Language) -> Page {
    let (title, paragraph) = match error {
        LinkError::Unknown => (
            either(
                language,
                "This link leads nowhere",
                "Ce lien ne mène nulle part",
            ),
            either(
                language,
                "It may have been cut in two by a mail program: copy it whole from the mail into the browser. Or what it was about is gone.",
                "Un logiciel de courriel l’a peut-être coupé en deux\u{a0}: copiez-le en entier du courriel dans le navigateur. Ou ce dont il s’agissait n’existe plus.",
            ),
        ),
        LinkError::Expired => (
            either(language, "This link is too old", "Ce lien est trop ancien"),
            either(
                language,
                "It was good for 30 days. Who sent it to you can have a new one sent.",
                "Il était valable 30 jours. La personne qui vous l’a envoyé peut en faire envoyer un nouveau.",
            ),
        ),
        LinkError::Store(_) => (
            either(language, "Not now", "Pas maintenant"),
            either(
                language,
                "The service cannot do this for the moment. Please load the page again in a minute.",
                "Le service ne peut pas le faire pour le moment. Veuillez recharger la page dans une minute.",
            ),
        ),
    };
    page(
        language,
        title.to_owned(),
        vec![paragraph.to_owned()],
        Vec::new(),
    )
}
