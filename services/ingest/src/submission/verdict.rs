//! What came of a session, in a sentence for people. Pure.

use postrider_model::SessionTls;

use crate::catalogue::Entry;
use crate::submission::replies::Told;

/// What is known of a session.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The client said a command.
    pub(crate) has_heard: bool,
    pub(crate) is_encrypted: bool,
    /// It began to sign in.
    pub(crate) has_tried: bool,
    pub(crate) is_signed_in: bool,
    /// A sender was named.
    pub(crate) has_mail: bool,
    /// Content was begun and its end has not come.
    pub(crate) in_content: bool,
    /// Messages that were accepted.
    pub(crate) accepted: u32,
    /// Why the session ended before there was a conversation, or against it.
    pub(crate) broken: Option<Told>,
    first: Option<Told>,
    last_sign_in: Option<Told>,
    refusals: u32,
}

impl Facts {
    pub(crate) fn refused(&mut self, told: &Told) {
        self.refusals += 1;
        if told.entry.id.starts_with("PR-2") && told.entry != Entry::AUTH_FIRST {
            self.last_sign_in = Some(told.clone());
        }
        self.first.get_or_insert_with(|| told.clone());
    }

    /// The sentence, with the catalogue's id where it is about something that has one.
    pub(crate) fn verdict(&self, tls: &SessionTls) -> String {
        if let Some(told) = &self.broken {
            return with_id(told);
        }
        if self.accepted > 0 {
            return self.with_mail(tls);
        }
        // Who was refused in the sign-in often goes on and is refused once more for want of it.
        if let Some(told) = self.last_sign_in.as_ref().filter(|_| !self.is_signed_in) {
            return with_id(told);
        }
        match &self.first {
            Some(told) => with_id(told),
            None => self.without_a_refusal().to_owned(),
        }
    }

    fn with_mail(&self, tls: &SessionTls) -> String {
        let how = tls.version.as_deref().unwrap_or("no encryption");
        let count = match self.accepted {
            1 => "1 message was accepted".to_owned(),
            many => format!("{many} messages were accepted"),
        };
        match (&self.first, self.refusals) {
            (None, _) => format!("All is well: {count} over {how}."),
            (Some(told), 1) => format!(
                "{count} over {how}, and one thing was refused: {}",
                with_id(told)
            ),
            (Some(told), many) => {
                format!(
                    "{count} over {how}, and {many} things were refused, first: {}",
                    with_id(told)
                )
            }
        }
    }

    fn without_a_refusal(&self) -> &'static str {
        if !self.has_heard {
            return Entry::SAID_NOTHING.sentence;
        }
        if self.in_content {
            return "The program hung up in the middle of a message: its time-out is too short, or the line broke. Nothing was kept.";
        }
        if self.is_signed_in && self.has_mail {
            return "The program signed in, began a message and did not hand it over.";
        }
        if self.is_signed_in {
            return "The program signed in and sent nothing: its settings are right.";
        }
        if self.has_tried {
            return "The program began to sign in and never sent a password: fill in the password box.";
        }
        if self.is_encrypted {
            return "The program never sent a password: switch on the box for sign-in, and fill in user name and password.";
        }
        "The program spoke without encryption and left: switch on the box TLS, SSL or STARTTLS in the mail settings."
    }
}

fn with_id(told: &Told) -> String {
    format!("{} ({})", told.sentence, told.entry.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::replies::plain;

    fn verdict(facts: &Facts) -> String {
        facts.verdict(&SessionTls::default())
    }

    #[test]
    fn the_refusal_that_matters_is_told() {
        let mut facts = Facts {
            has_heard: true,
            ..Facts::default()
        };
        facts.refused(&plain(Entry::MECHANISM));
        facts.refused(&plain(Entry::PASSWORD_UNKNOWN));
        // Perl sends MAIL after a failed AUTH.
        facts.refused(&plain(Entry::AUTH_FIRST));
        assert!(verdict(&facts).ends_with("(PR-201)"), "{}", verdict(&facts));
        facts.is_signed_in = true;
        facts.accepted = 2;
        let told = verdict(&facts);
        assert!(told.starts_with("2 messages were accepted"), "{told}");
    }

    #[test]
    fn who_leaves_without_a_refusal_is_told_what_is_missing() {
        let heard = || Facts {
            has_heard: true,
            ..Facts::default()
        };
        for (facts, want) in [
            (Facts::default(), "said nothing"),
            (heard(), "without encryption"),
            (
                Facts {
                    is_encrypted: true,
                    ..heard()
                },
                "never sent a password",
            ),
            (
                Facts {
                    is_encrypted: true,
                    has_tried: true,
                    ..heard()
                },
                "password box",
            ),
            (
                Facts {
                    is_signed_in: true,
                    ..heard()
                },
                "settings are right",
            ),
            (
                Facts {
                    accepted: 1,
                    ..heard()
                },
                "All is well",
            ),
        ] {
            assert!(verdict(&facts).contains(want), "{}", verdict(&facts));
        }
    }
}
