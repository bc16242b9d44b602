//! `postrider key`: what opens the doors, and in whose name.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use postrider_model::{
    Authority, EmailAddress, KeyDefaults, KeyKind, Network, Stream, Tag, Timestamp, UnknownReplyTo,
};

use super::{Place, Which};
use crate::admin::{NewKey, Verb, moment, span};

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key; it is shown this one time
    #[command(after_help = EXAMPLES)]
    Create(Box<CreateArgs>),
    /// List a tenant's keys
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Close a key until it is resumed
    Suspend(WhichKey),
    /// Open a suspended key again
    Resume(WhichKey),
    /// Close a key for good
    Revoke(WhichKey),
}

/// One key.
#[derive(Debug, Args)]
pub struct WhichKey {
    /// The key's id
    id: String,
    #[command(flatten)]
    place: Place,
}

const EXAMPLES: &str = "\
Examples:
  postrider key create joes-garage-7k2f
  postrider key create joes-garage-7k2f --smtp --note 'shop program'
  postrider key create joes-garage-7k2f --smtp --user ann --reply-to ann@garage.example --per-day 200
  postrider key create joes-garage-7k2f --smtp --stream bulk --tag campaign=spring --network 203.0.113.0/24";

/// A key to make.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct CreateArgs {
    /// A user name and a password of 24 characters, for programs with an SMTP form
    #[arg(long)]
    smtp: bool,
    /// What it is for
    #[arg(long, default_value = "")]
    note: String,
    /// The user name that goes with the password [default: of the tenant's name]
    #[arg(long, value_name = "NAME", requires = "smtp")]
    user: Option<String>,
    /// Where it may be used from; may be repeated [default: anywhere]
    #[arg(long, value_name = "ADDRESS/BITS")]
    network: Vec<Network>,
    /// It opens no door from this day or time on, UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = moment)]
    expires: Option<Timestamp>,
    /// Recipients it may have per day, UTC; 0 means no limit of its own
    #[arg(long, value_name = "N", default_value_t = 0)]
    per_day: u32,
    /// The stream of its mail that does not name one
    #[arg(long, value_parser = stream_parser())]
    stream: Option<Stream>,
    /// A tag that all its mail gets; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = tag)]
    tag: Vec<Tag>,
    /// How long its mail is worth delivering: 30m, 4h, 2d
    #[arg(long, value_name = "TIME", value_parser = span)]
    expires_after: Option<Duration>,
    /// Where replies to its mail go: one of the tenant's reply addresses
    #[arg(long, value_name = "ADDRESS")]
    reply_to: Option<EmailAddress>,
    /// Refuse mail from an address that is not confirmed, in place of sending it with the default one
    #[arg(long)]
    refuse_unknown_reply_to: bool,
    /// Send the same message again if it comes again within 15 minutes
    #[arg(long)]
    allow_duplicates: bool,
    /// It may send to the simulator alone: delivered@, bounced@ and others at simulator. and the service's name
    #[arg(long)]
    test: bool,
    #[command(flatten)]
    which: Which,
}

impl CreateArgs {
    /// Which relay, and what is asked of it.
    fn parts(self) -> (Place, Verb) {
        let key = NewKey {
            kind: if self.smtp {
                KeyKind::Smtp
            } else {
                KeyKind::Api
            },
            note: self.note,
            user: self.user,
            networks: self.network,
            per_day: self.per_day,
            expires_at: self.expires,
            defaults: KeyDefaults {
                stream: self.stream,
                tags: self.tag,
                expires_after: self.expires_after,
                reply_to: self.reply_to,
            },
            unknown_reply_to: if self.refuse_unknown_reply_to {
                UnknownReplyTo::Refuse
            } else {
                UnknownReplyTo::Replace
            },
            skips_duplicates: !self.allow_duplicates,
            test: self.test,
        };
        let tenant = self.which.tenant;
        (self.which.place, Verb::KeyCreate { tenant, key })
    }
}

impl KeyCommand {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> (Place, Verb) {
        match self {
            Self::Create(args) => args.parts(),
            Self::List { which } => {
                let tenant = which.tenant;
                (which.place, Verb::KeyList { tenant })
            }
            Self::Suspend(WhichKey { id, place }) => (
                place,
                Verb::KeySuspend {
                    id,
                    by: Authority::Operator,
                },
            ),
            Self::Resume(WhichKey { id, place }) => (
                place,
                Verb::KeyResume {
                    id,
                    by: Authority::Operator,
                },
            ),
            Self::Revoke(WhichKey { id, place }) => (place, Verb::KeyRevoke { id }),
        }
    }
}

/// One of the streams, by its word.
pub(super) fn stream_parser() -> impl TypedValueParser<Value = Stream> {
    PossibleValuesParser::new(Stream::ALL.iter().map(|stream| stream.as_str()))
        .try_map(|word| Stream::parse(&word))
}

fn tag(text: &str) -> Result<Tag, String> {
    let is_word = |word: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        (1..=256).contains(&word.len()) && word.chars().all(fits)
    };
    match text.split_once('=') {
        Some((name, value)) if is_word(name) && is_word(value) => Ok(Tag {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
        _ => Err("give NAME=VALUE, of letters, digits, hyphens and underscores".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_tags_are_read_as_people_write_them() {
        for (text, want) in [
            ("30m", Some(1_800)),
            ("4h", Some(14_400)),
            ("2d", Some(172_800)),
            ("0h", None),
            ("4hh", None),
            ("4", None),
            ("h", None),
            ("", None),
            ("-1h", None),
        ] {
            let read = span(text).ok().map(|span| span.as_secs());
            assert_eq!(read, want, "{text}");
        }
        for (text, want) in [
            ("2027-01-31", Some("2027-01-31T00:00:00Z")),
            ("2027-01-31T18:00:00+01:00", Some("2027-01-31T17:00:00Z")),
            ("31.1.2027", None),
        ] {
            let want = want.map(|want| Timestamp::parse(want).unwrap());
            assert_eq!(moment(text).ok(), want, "{text}");
        }
        for (text, is_good) in [
            ("campaign=spring", true),
            ("campaign", false),
            ("=spring", false),
            ("a=b=c", false),
            ("a b=c", false),
        ] {
            assert_eq!(tag(text).is_ok(), is_good, "{text}");
        }
    }
}
