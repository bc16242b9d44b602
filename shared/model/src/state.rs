//! The states of a recipient and the causes of its waiting.

/// A stored or given word that none of ours is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(pub String);

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that is stored and shown.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub fn parse(word: &str) -> Result<Self, $crate::UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownWord(word.to_owned())),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&word).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use words;

words!(
    /// Where a recipient stands.
    RecipientState {
        /// Due later because the client asked for it.
        Scheduled = "scheduled",
        /// Due at `due_at`; the owner of its shard may attempt it.
        Queued = "queued",
        /// Stopped by an operator, a limit or a policy.
        Held = "held",
        /// The remote took it.
        Delivered = "delivered",
        /// Refused for good, by the remote or because nothing takes mail there.
        Failed = "failed",
        /// On the suppression list; never attempted.
        Suppressed = "suppressed",
        /// Not delivered in the time it had.
        Expired = "expired",
        /// Taken back before it left.
        Cancelled = "cancelled",
    }
);

impl RecipientState {
    /// True where nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Queued | Self::Held)
    }
}

words!(
    /// Why a recipient waits; kept with each reschedule, so that every second in the queue has
    /// a cause.
    WaitCause {
        /// Its turn has not come: work ahead of it on this node.
        Turn = "turn",
        /// The client asked for a later time.
        Scheduled = "scheduled",
        /// The tenant's own pace.
        TenantPace = "tenant_pace",
        /// The destination takes no more connections from us now.
        DestinationCap = "destination_cap",
        /// The destination was unreachable or throttled us as a whole.
        DestinationBackoff = "destination_backoff",
        /// Our address is new, and has sent what it may today.
        WarmUp = "warm_up",
        /// A greylisting answer: the remote wants the same again later.
        Greylisting = "greylisting",
        /// The usual wait between attempts after a temporary answer.
        Retry = "retry",
        /// DNS gave no usable answer, or nothing may leave this machine.
        NoRoute = "no_route",
        /// Held by an operator, a limit or a policy.
        Held = "held",
        /// No wait at all: an attempt was under way.
        Attempt = "attempt",
    }
);
