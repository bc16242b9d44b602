//! What came of a session, in a sentence for people. Pure.

use postrider_model::SessionTls;

use crate::catalogue::Entry;
use crate::submission::keeper::Course;
use crate::submission::replies::Told;

/// How far a client came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    #[default]
    Nothing,
    /// It said a command.
    Command,
    /// It began to sign in.
    Password,
    SignedIn,
    /// It named a sender.
    Mail,
    /// It hung up in the middle of a message.
    Content,
}

/// What is known of a session.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) reached: Reached,
    pub(crate) is_encrypted: bool,
    /// Messages that were accepted.
    pub(crate) accepted: u32,
    /// Why the session ended before there was a conversation, or against it.
    pub(crate) broken: Option<Told>,
    first: Option<Told>,
    last_sign_in: Option<Told>,
    refusals: u32,
}

impl Facts {
    pub(crate) fn reach(&mut self, reached: Reached) {
        self.reached = self.reached.max(reached);
    }

    fn is_signed_in(&self) -> bool {
        self.reached >= Reached::SignedIn
    }

    pub(crate) fn refused(&mut self, told: &Told) {
        self.refusals += 1;
        if told.entry.id.starts_with("PR-2") && told.entry != Entry::AUTH_FIRST {
            self.last_sign_in = Some(told.clone());
        }
        self.first.get_or_insert_with(|| told.clone());
    }

    /// How it went so far.
    pub(crate) fn course(&self) -> Course {
        let is_rough = self.refusals > 0 || self.broken.is_some() || self.is_untold();
        if is_rough {
            Course::Rough
        } else {
            Course::Smooth
        }
    }

    /// Whether there is anything to tell: most that connect and leave are robots and probes.
    pub(crate) fn tells(&self) -> bool {
        self.reached > Reached::Nothing || self.refusals > 0 || self.broken.is_some()
    }

    /// Whether the client has seen the code of its session nowhere: nothing was accepted, nothing
    /// refused, and it was there all the same.
    pub(crate) fn is_untold(&self) -> bool {
        let heard = self.accepted > 0 || self.refusals > 0 || self.broken.is_some();
        self.reached > Reached::Nothing && !heard
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
        if let Some(told) = self.last_sign_in.as_ref().filter(|_| !self.is_signed_in()) {
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
        match self.reached {
            Reached::Nothing => Entry::SAID_NOTHING.sentence,
            Reached::Content => {
                "The program hung up in the middle of a message: its time-out is too short, or the line broke. Nothing was kept."
            }
            Reached::Mail => "The program signed in, began a message and did not hand it over.",
            Reached::SignedIn => "The program signed in and sent nothing: its settings are right.",
            Reached::Password => {
                "The program began to sign in and never sent a password: fill in the password box."
            }
            Reached::Command if self.is_encrypted => {
                "The program never sent a password: switch on the box for sign-in, and fill in user name and password."
            }
            Reached::Command => {
                "The program spoke without encryption and left: switch on the box TLS, SSL or STARTTLS in the mail settings."
            }
        }
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
            reached: Reached::Password,
            ..Facts::default()
        };
        facts.refused(&plain(Entry::MECHANISM));
        facts.refused(&plain(Entry::PASSWORD_UNKNOWN));
        // Perl sends MAIL after a failed AUTH.
        facts.refused(&plain(Entry::AUTH_FIRST));
        assert!(verdict(&facts).ends_with("(PR-201)"), "{}", verdict(&facts));
        facts.reach(Reached::SignedIn);
        facts.accepted = 2;
        let told = verdict(&facts);
        assert!(told.starts_with("2 messages were accepted"), "{told}");
    }

    #[test]
    fn who_leaves_without_a_refusal_is_told_what_is_missing() {
        for (reached, is_encrypted, want) in [
            (Reached::Nothing, false, "said nothing"),
            (Reached::Command, false, "without encryption"),
            (Reached::Command, true, "never sent a password"),
            (Reached::Password, true, "password box"),
            (Reached::SignedIn, true, "settings are right"),
            (Reached::Mail, true, "did not hand it over"),
            (Reached::Content, true, "hung up in the middle"),
        ] {
            let facts = Facts {
                reached,
                is_encrypted,
                ..Facts::default()
            };
            assert!(verdict(&facts).contains(want), "{}", verdict(&facts));
        }
    }
}
