//! Ids: UUIDv7 (RFC 9562 §5.7), 16 bytes, sorted by the time they were made.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::Timestamp;

/// What was given as an id is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id from the time it is made at and 10 random bytes (74 bits are used).
            pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(at.as_micros() / 1_000).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// From the 16 bytes a database keeps.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes a database keeps.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            /// From stored bytes; anything but 16 of them is refused.
            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                <[u8; 16]>::try_from(bytes).map(Self::from_bytes).map_err(|_| IdError)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// From the hyphenated text, in either case.
            fn from_str(text: &str) -> Result<Self, IdError> {
                // `Uuid` also reads braces and URNs; a path segment is none of these.
                if text.len() != 36 {
                    return Err(IdError);
                }
                Uuid::parse_str(text).map(Self).map_err(|_| IdError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.as_hyphenated())
            }
        }
    };
}

id!(
    /// One customer: a reply address, its keys, its mail.
    TenantId
);
id!(
    /// One vendor: who vouches for tenants.
    VendorId
);
id!(
    /// One accepted message; the id that the client was told.
    MessageId
);
id!(
    /// One recipient of one message.
    RecipientId
);
id!(
    /// One key of a tenant.
    CredentialId
);
id!(
    /// One reply address of a tenant.
    ReplyAddressId
);
id!(
    /// One DKIM signing key of the service.
    DkimKeyId
);
id!(
    /// One suppression of a tenant.
    SuppressionId
);
id!(
    /// One run of one delivery node: a new one at each start.
    NodeId
);
id!(
    /// One verb of an operator about the queue.
    ControlId
);
id!(
    /// One token of the admin API.
    AdminTokenId
);
id!(
    /// One entry of the audit.
    AuditId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let early = MessageId::new(Timestamp::from_micros(1_000_000), [0xff; 10]);
        let late = MessageId::new(Timestamp::from_micros(2_000_000), [0; 10]);
        assert!(early < late);
    }

    #[test]
    fn only_the_hyphenated_text_is_read_and_it_is_what_is_printed() {
        let id = MessageId::new(Timestamp::from_micros(1_700_000_000_000_000), [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in [
            "",
            "x",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "01890a5dac96774bbcceb302099a8057",
        ] {
            assert_eq!(wrong.parse::<MessageId>(), Err(IdError), "{wrong}");
        }
    }
}
