//! Vendors: who vouches for tenants; their keys, the tokens of the admin API, the audit.

use serde_json::Value;

use crate::state::words;
use crate::{
    AdminTokenId, AuditId, EmailAddress, KeyStatus, Language, Limits, Timestamp, VendorId,
};

words!(
    /// Whether a vendor's tenants may send.
    VendorStatus {
        Active = "active",
        /// Both doors are closed to all its tenants and their queue stands.
        Suspended = "suspended",
    }
);

words!(
    /// What a token of the admin API may do; each may do what those before it may.
    AdminRole {
        /// See.
        Read = "read",
        /// Suspend and resume, keys, reply addresses, limits within its own, the queue.
        Operate = "operate",
        /// Add and change vendors, tenants and tokens.
        Admin = "admin",
    }
);

words!(
    /// In whose name a tenant or a key is stopped for a while, or goes on.
    Authority {
        /// By command, or with a token that is no vendor's.
        Operator = "operator",
        /// What the operator stopped it does not let go on.
        Vendor = "vendor",
    }
);

/// Who brings tenants and answers for them: the maker of the program they send with, or the
/// operator itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    pub id: VendorId,
    /// How commands name it; never changes.
    pub slug: String,
    pub name: String,
    /// Whom its tenants are told to ask; `None`: the operator.
    pub contact: Option<EmailAddress>,
    pub status: VendorStatus,
    /// Recipients accepted per UTC day over all its tenants; 0 means no limit.
    pub per_day: u32,
    /// What its new tenants begin with.
    pub tenant_limits: Limits,
    /// What its tenants speak; the first is the default of new ones. Never empty.
    pub languages: Vec<Language>,
    pub created_at: Timestamp,
}

impl Vendor {
    /// The operator as a vendor: whose tenants are all that no other one brought.
    pub const OPERATOR: VendorId =
        VendorId::from_bytes([0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1]);

    pub fn is_active(&self) -> bool {
        self.status == VendorStatus::Active
    }

    /// Whom its tenants are told to ask, in words.
    pub fn whom_to_ask(&self) -> String {
        match &self.contact {
            Some(contact) => contact.to_string(),
            None => "the service's operator".to_owned(),
        }
    }

    /// What a new tenant of it may do: as the vendor was given it, and with the operator's own
    /// tenants as its configuration has it.
    pub fn limits_of_new(&self, operators: Limits) -> Limits {
        if self.id == Self::OPERATOR {
            operators
        } else {
            self.tenant_limits
        }
    }

    /// What a new tenant speaks that says nothing of it.
    pub fn language(&self) -> Language {
        self.languages.first().copied().unwrap_or_default()
    }

    /// Whether its tenants may speak it.
    pub fn speaks(&self, language: Language) -> bool {
        self.languages.contains(&language)
    }

    /// What it has, in words: `en or fr`.
    pub fn spoken(&self) -> String {
        let words = self.languages.iter().map(|language| language.as_str());
        words.collect::<Vec<_>>().join(" or ")
    }
}

/// A vendor's key: what it signs with counts as said by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorKey {
    /// RFC 7638: the thumbprint of the public key, 43 characters of base64url. No two vendors
    /// have the same.
    pub kid: String,
    pub vendor: VendorId,
    /// Ed25519, RFC 8032 §5.1.5.
    pub public_key: [u8; 32],
    pub status: KeyStatus,
    pub created_at: Timestamp,
}

/// A token of the admin API, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken {
    pub id: AdminTokenId,
    /// SHA-256 of the whole token.
    pub hash: [u8; 32],
    pub role: AdminRole,
    /// Whose tenants it is for; `None`: the operator's, for all.
    pub vendor: Option<VendorId>,
    pub note: String,
    pub status: KeyStatus,
    pub created_at: Timestamp,
    /// It opens nothing from then on.
    pub expires_at: Option<Timestamp>,
}

impl AdminToken {
    /// Whether it opens anything now.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.status == KeyStatus::Active && self.expires_at.is_none_or(|at| now < at)
    }
}

/// One thing that was done by an operator or a vendor. Never holds a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub id: AuditId,
    pub at: Timestamp,
    /// `cli`, `token ID`, `vendor key KID`, `owner of the address`.
    pub actor: String,
    /// The vendor it concerns; `None`: none in particular.
    pub vendor: Option<VendorId>,
    /// As the verb is called: `tenant_suspend`.
    pub verb: String,
    /// What it was done to: a tenant's slug, a key's id.
    pub subject: String,
    /// A JSON object.
    pub detail: Value,
}

/// Why a text is not a name that a vendor gives something of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("1 to {most} characters without spaces at its ends, control or line breaking characters")]
pub struct LabelError {
    pub most: usize,
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $most:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>); // Invariant: what `parse` lets through.

        impl $name {
            /// How many characters it has at most.
            pub const MOST: usize = $most;

            /// The only way in. Told apart by case.
            pub fn parse(text: &str) -> Result<Self, LabelError> {
                let is_good = !text.is_empty()
                    && text.chars().count() <= Self::MOST
                    && text.trim() == text
                    && !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
                if is_good { Ok(Self(text.into())) } else { Err(LabelError { most: Self::MOST }) }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

label!(
    /// A vendor's own id of a tenant. No two of its tenants have the same.
    Licence,
    128
);
label!(
    /// What a vendor calls that which a tenant has bought.
    Plan,
    64
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_what_a_vendor_may_have_as_an_id() {
        for good in ["A-1", "x", "Lic 4711/ü", &"9".repeat(128)] {
            assert_eq!(Licence::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " a", "a ", "a\nb", "a\u{2028}b", &"9".repeat(129)] {
            assert_eq!(
                Licence::parse(bad),
                Err(LabelError { most: 128 }),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_token_opens_nothing_once_it_has_ended_or_was_revoked() {
        let at = Timestamp::from_micros;
        let token = AdminToken {
            id: AdminTokenId::from_bytes([1; 16]),
            hash: [0; 32],
            role: AdminRole::Read,
            vendor: None,
            note: String::new(),
            status: KeyStatus::Active,
            created_at: at(0),
            expires_at: Some(at(5)),
        };
        assert!(token.is_good(at(4)) && !token.is_good(at(5)));
        let revoked = AdminToken {
            status: KeyStatus::Revoked,
            ..token
        };
        assert!(!revoked.is_good(at(0)));
    }
}
