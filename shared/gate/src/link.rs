//! Links in mail: to leave a list, and to confirm a reply address. Each is a token in base32,
//! signed with the master key, with one text only; nothing is stored for it.

use std::time::Duration;

use postrider_model::{EmailAddress, MessageId, ReplyAddressId, TenantId, Timestamp};

use crate::base32;
use crate::secret::MasterKey;

/// How long a message may be looked at by the link in a notice.
pub(crate) const MESSAGE_LIFE: Duration = Duration::from_hours(30 * 24);
/// How long an address may be confirmed after it was asked.
pub(crate) const REPLY_LIFE: Duration = Duration::from_hours(30 * 24);
const TAG_BYTES: usize = 16;
/// Longer than any token of ours.
const LENGTH_MOST: usize = 600;
// Version and purpose.
const UNSUBSCRIBE: u8 = 0x21;
const REPLY: u8 = 0x22;
const MESSAGE: u8 = 0x23;

/// Of one recipient of a tenant's bulk mail. Stands for ever: who wants to leave may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnsubscribeToken {
    pub(crate) tenant: TenantId,
    pub(crate) address: EmailAddress,
}

impl UnsubscribeToken {
    pub(crate) fn print(&self, key: &MasterKey) -> String {
        let mut content = vec![UNSUBSCRIBE];
        content.extend_from_slice(self.tenant.as_bytes());
        content.extend_from_slice(self.address.to_string().as_bytes());
        signed(key, content, &[])
    }

    /// `None` for what was not made with this key.
    pub(crate) fn parse(key: &MasterKey, text: &str) -> Option<Self> {
        let (content, tag) = apart(text)?;
        let (tenant, address) = tenant_and_address(content.strip_prefix(&[UNSUBSCRIBE])?)?;
        let is_ours = key.is_tag_of_link(&content, &tag);
        is_ours.then_some(Self { tenant, address })
    }
}

/// Of a reply address that was asked at `at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReplyToken {
    pub(crate) tenant: TenantId,
    pub(crate) address: EmailAddress,
    /// In whole seconds.
    pub(crate) at: Timestamp,
}

impl ReplyToken {
    /// `id` is that of the entry which is confirmed with it: one that was removed and made anew
    /// is another.
    pub(crate) fn print(&self, key: &MasterKey, id: ReplyAddressId) -> String {
        let mut content = vec![REPLY];
        content.extend_from_slice(&self.at.as_seconds().to_be_bytes());
        content.extend_from_slice(self.tenant.as_bytes());
        content.extend_from_slice(self.address.to_string().as_bytes());
        signed(key, content, id.as_bytes())
    }

    /// What it says, unchecked: whose it is must be looked up before `is_of` can tell.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (content, _) = apart(text)?;
        let rest = content.strip_prefix(&[REPLY])?;
        let (at, rest) = rest.split_at_checked(8)?;
        let (tenant, address) = tenant_and_address(rest)?;
        let seconds = i64::from_be_bytes(at.try_into().ok()?);
        let at = Timestamp::from_micros(seconds.checked_mul(1_000_000)?);
        Some(Self {
            tenant,
            address,
            at,
        })
    }

    /// Whether this text was made with this key for this entry.
    pub(crate) fn is_of(key: &MasterKey, text: &str, id: ReplyAddressId) -> bool {
        apart(text).is_some_and(|(mut content, tag)| {
            content.extend_from_slice(id.as_bytes());
            key.is_tag_of_link(&content, &tag)
        })
    }
}

/// Of one message of a tenant, to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageToken {
    pub(crate) tenant: TenantId,
    pub(crate) message: MessageId,
    /// When it was made, in whole seconds.
    pub(crate) at: Timestamp,
}

impl MessageToken {
    pub(crate) fn print(&self, key: &MasterKey) -> String {
        let mut content = vec![MESSAGE];
        content.extend_from_slice(&self.at.as_seconds().to_be_bytes());
        content.extend_from_slice(self.tenant.as_bytes());
        content.extend_from_slice(self.message.as_bytes());
        signed(key, content, &[])
    }

    /// `None` for what was not made with this key.
    pub(crate) fn parse(key: &MasterKey, text: &str) -> Option<Self> {
        let (content, tag) = apart(text)?;
        let rest = content.strip_prefix(&[MESSAGE])?;
        let (at, rest) = rest.split_at_checked(8)?;
        let (tenant, message) = rest.split_at_checked(16)?;
        let seconds = i64::from_be_bytes(at.try_into().ok()?);
        let is_ours = key.is_tag_of_link(&content, &tag);
        let said = Self {
            tenant: TenantId::from_bytes(tenant.try_into().ok()?),
            message: MessageId::from_bytes(message.try_into().ok()?),
            at: Timestamp::from_micros(seconds.checked_mul(1_000_000)?),
        };
        is_ours.then_some(said)
    }
}

fn signed(key: &MasterKey, mut content: Vec<u8>, beside: &[u8]) -> String {
    let tag = key.tag_link(&[content.as_slice(), beside].concat());
    content.extend(tag.as_ref().iter().take(TAG_BYTES));
    base32::encode(&content)
}

// What a token says, and its tag.
fn apart(text: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    if text.len() > LENGTH_MOST {
        return None;
    }
    let mut content = base32::decode(text)?;
    let at = content.len().checked_sub(TAG_BYTES)?;
    let tag = content.split_off(at);
    Some((content, tag))
}

fn tenant_and_address(bytes: &[u8]) -> Option<(TenantId, EmailAddress)> {
    let (tenant, address) = bytes.split_at_checked(16)?;
    let address = EmailAddress::parse(std::str::from_utf8(address).ok()?).ok()?;
    Some((TenantId::from_bytes(tenant.try_into().ok()?), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> MasterKey {
        MasterKey::new(&[byte; 32]).unwrap()
    }

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    #[test]
    fn a_link_says_what_it_was_made_for_and_to_this_key_only() {
        for to in ["ann@example.org", "\"a b\"@example.org", "дед@example.org"] {
            let token = UnsubscribeToken {
                tenant: TenantId::from_bytes([7; 16]),
                address: address(to),
            };
            let text = token.print(&key(1));
            assert!(text.bytes().all(|c| c.is_ascii_alphanumeric()), "{text}");
            assert_eq!(UnsubscribeToken::parse(&key(1), &text), Some(token));
            assert_eq!(UnsubscribeToken::parse(&key(2), &text), None);
            assert_eq!(UnsubscribeToken::parse(&key(1), &text.to_uppercase()), None);
            assert_eq!(ReplyToken::read(&text), None);
            for at in 0..text.len() {
                let mut other = text.clone().into_bytes();
                other[at] = if other[at] == b'a' { b'b' } else { b'a' };
                let other = String::from_utf8(other).unwrap();
                assert_eq!(UnsubscribeToken::parse(&key(1), &other), None, "{at}");
            }
        }
        let long = format!(
            "{}@{}.example",
            "a".repeat(64),
            "b.".repeat(80).trim_end_matches('.')
        );
        let token = UnsubscribeToken {
            tenant: TenantId::from_bytes([7; 16]),
            address: address(&long),
        };
        let text = token.print(&key(1));
        assert_eq!(UnsubscribeToken::parse(&key(1), &text), Some(token));
        for nothing in ["", "a", "my", &"a".repeat(10_000)] {
            assert_eq!(UnsubscribeToken::parse(&key(1), nothing), None);
        }
    }

    #[test]
    fn a_look_at_a_message_is_for_that_message_and_tenant_alone() {
        let token = MessageToken {
            tenant: TenantId::from_bytes([7; 16]),
            message: MessageId::from_bytes([9; 16]),
            at: Timestamp::parse("2026-01-31T08:00:00Z").unwrap(),
        };
        let text = token.print(&key(1));
        assert_eq!(MessageToken::parse(&key(1), &text), Some(token));
        assert_eq!(MessageToken::parse(&key(2), &text), None);
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'a' { b'b' } else { b'a' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(MessageToken::parse(&key(1), &other), None, "{at}");
        }
        assert_eq!(UnsubscribeToken::parse(&key(1), &text), None);
        assert_eq!(ReplyToken::read(&text), None);
        for nothing in ["", "a", "my"] {
            assert_eq!(MessageToken::parse(&key(1), nothing), None);
        }
    }

    #[test]
    fn a_confirmation_is_for_one_entry() {
        let token = ReplyToken {
            tenant: TenantId::from_bytes([7; 16]),
            address: address("joe@joesgarage.example"),
            at: Timestamp::parse("2026-01-31T08:00:00Z").unwrap(),
        };
        let id = ReplyAddressId::from_bytes([3; 16]);
        let text = token.print(&key(1), id);
        assert_eq!(ReplyToken::read(&text), Some(token));
        assert!(ReplyToken::is_of(&key(1), &text, id));
        assert!(!ReplyToken::is_of(&key(2), &text, id));
        assert!(!ReplyToken::is_of(
            &key(1),
            &text,
            ReplyAddressId::from_bytes([4; 16])
        ));
        assert_eq!(UnsubscribeToken::parse(&key(1), &text), None);
    }
}
