//! What is told of a tenant of whom somebody said that they do not know it, or whom our letter did not
//! reach. Pure.

use postrider_model::{EmailAddress, ReplyAddress, ReplyStatus, Tenant};
use serde_json::{Value, json};

use super::reply::standing;

/// Who is told, and so what they can do about it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reader<'a> {
    /// Who types commands.
    Command,
    /// Who calls the admin API as the operator.
    Operator,
    /// Who calls it as a vendor, and asks the operator, here where that is known.
    Vendor(Option<&'a EmailAddress>),
}

/// `stopped_because`: why nothing is accepted from it, `null` where its own default is none of those;
/// `held_for_owners`: a sentence for each of them, for mail that waits may name any.
pub(crate) fn disowned(tenant: &Tenant, addresses: &[ReplyAddress], reader: Reader<'_>) -> Value {
    let no = |one: &&ReplyAddress| one.tenant == tenant.id && one.status == ReplyStatus::Refused;
    let slug = &tenant.slug;
    let (mut stopped, mut held) = (Value::Null, Vec::new());
    for (address, at) in addresses
        .iter()
        .filter(no)
        .map(|one| (&one.address, one.refused_at))
    {
        let way = reader.way(slug, address);
        let at = at.map_or_else(String::new, |at| format!(" at {at}"));
        if address.folded() == tenant.reply_to.folded() {
            stopped = format!(
                "the owner of {address} has said{at} that they do not know {slug}: nothing is accepted from it. Its program has to give another reply address; if that was a mistake, {way}"
            )
            .into();
        }
        held.push(format!(
            "mail that waits with {address} in Reply-To does not leave: its owner has said{at} that they do not know {slug}; if that was a mistake, {way}"
        ));
    }
    json!({"stopped_because": stopped, "held_for_owners": held})
}

/// `next_reply_to_status`: how the address stands that is to be the tenant's default, `null` without one;
/// `next_reply_to_because`: what to do where it took no mail, for then nobody can say yes.
pub(crate) fn next_reply_to(
    tenant: &Tenant,
    addresses: &[ReplyAddress],
    reader: Reader<'_>,
) -> Value {
    let is_next = |one: &&ReplyAddress| {
        let next = tenant.next_reply_to.as_ref();
        one.tenant == tenant.id && next.is_some_and(|next| next.folded() == one.address.folded())
    };
    let next = addresses.iter().find(is_next);
    let broken = next.filter(|next| next.status == ReplyStatus::Broken);
    let because = broken.map(|next| {
        let (address, slug, now) = (&next.address, &tenant.slug, &tenant.reply_to);
        let ways = [reader.asking(slug, address), reader.way(slug, address)];
        let standing = standing(next, tenant, &ways);
        format!("replies go to {now} on, and not to {address}: {standing}")
    });
    json!({"next_reply_to_status": next.map(|next| next.status), "next_reply_to_because": because})
}

impl Reader<'_> {
    /// How an address is asked once more.
    fn asking(self, slug: &str, address: &EmailAddress) -> String {
        match self {
            Self::Command => format!("`postrider reply ask {slug} {address}`"),
            Self::Operator | Self::Vendor(_) => {
                format!("POST /tenants/{slug}/reply-addresses/{address}/ask below /admin/v1")
            }
        }
    }

    /// Who takes a no back that was a mistake, and how.
    pub(crate) fn way(self, slug: &str, address: &EmailAddress) -> String {
        match self {
            Self::Command => format!("`postrider reply confirm {slug} {address}`"),
            Self::Operator => {
                format!("POST /tenants/{slug}/reply-addresses/{address}/confirm below /admin/v1")
            }
            Self::Vendor(operator) => {
                let operator = operator.map_or_else(String::new, |contact| format!(", {contact},"));
                format!("the service's operator{operator} can take that back")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use postrider_model::{ReplyAddressId, ReplySource, Timestamp};

    use super::*;
    use crate::holds::eva;

    #[test]
    fn each_reader_is_told_what_they_can_do() {
        let (tenant, operator) = (eva(), "ops@relay.example".parse().unwrap());
        let refused = |address: &EmailAddress| ReplyAddress {
            id: ReplyAddressId::from_bytes([6; 16]),
            tenant: tenant.id,
            address: address.clone(),
            status: ReplyStatus::Refused,
            source: ReplySource::Tenant,
            confirmed_at: None,
            asked_at: None,
            told_at: None,
            refused_at: None,
            attested_by: None,
            created_at: Timestamp::from_micros(0),
        };
        let all = [refused(&tenant.reply_to)];
        for (reader, want) in [
            (
                Reader::Command,
                "`postrider reply confirm eva eva@eva.example`",
            ),
            (
                Reader::Operator,
                "POST /tenants/eva/reply-addresses/eva@eva.example/confirm below /admin/v1",
            ),
            (
                Reader::Vendor(Some(&operator)),
                "the service's operator, ops@relay.example, can take that back",
            ),
            (
                Reader::Vendor(None),
                "the service's operator can take that back",
            ),
        ] {
            let told = disowned(&tenant, &all, reader);
            for told in [&told["stopped_because"], &told["held_for_owners"][0]] {
                let told = told.as_str().unwrap();
                assert!(told.ends_with(want), "{told}");
            }
        }
        let said = [ReplyAddress {
            refused_at: Some(Timestamp::from_micros(1_800_000_000_000_000)),
            ..refused(&tenant.reply_to)
        }];
        let told = disowned(&tenant, &said, Reader::Command);
        let told = told["stopped_because"].as_str().unwrap();
        assert!(told.contains("has said at 2027-01-15T08:00:00"), "{told}");
        let none = json!({"stopped_because": null, "held_for_owners": []});
        assert_eq!(disowned(&tenant, &[], Reader::Command), none);
    }

    #[test]
    fn a_next_address_whose_letter_came_back_is_told_with_the_way_on() {
        let mut tenant = eva();
        let next: EmailAddress = "ann@eva.example".parse().unwrap();
        let entry = |status| ReplyAddress {
            id: ReplyAddressId::from_bytes([6; 16]),
            tenant: tenant.id,
            address: next.clone(),
            status,
            source: ReplySource::Tenant,
            confirmed_at: None,
            asked_at: None,
            told_at: None,
            refused_at: None,
            attested_by: None,
            created_at: Timestamp::from_micros(0),
        };
        let (waits, broken) = (
            [entry(ReplyStatus::Unconfirmed)],
            [entry(ReplyStatus::Broken)],
        );
        // Nobody wrote to it: its domain was looked at.
        let was_confirmed = [ReplyAddress {
            confirmed_at: Some(Timestamp::from_micros(1)),
            ..entry(ReplyStatus::Broken)
        }];
        let none = json!({"next_reply_to_status": null, "next_reply_to_because": null});
        assert_eq!(next_reply_to(&tenant, &broken, Reader::Command), none);
        tenant.next_reply_to = Some(next);
        let told = next_reply_to(&tenant, &waits, Reader::Command);
        let want = json!({"next_reply_to_status": "unconfirmed", "next_reply_to_because": null});
        assert_eq!(told, want);
        for (reader, way) in [
            (Reader::Command, "`postrider reply ask eva ann@eva.example`"),
            (
                Reader::Vendor(None),
                "POST /tenants/eva/reply-addresses/ann@eva.example/ask below /admin/v1",
            ),
        ] {
            let told = next_reply_to(&tenant, &broken, reader);
            assert_eq!(told["next_reply_to_status"], "broken");
            let because = told["next_reply_to_because"].as_str().unwrap();
            assert!(because.ends_with(way), "{because}");
            assert!(
                because.contains("replies go to eva@eva.example on"),
                "{because}"
            );
            let came_back = "the mail that asks it came back";
            assert!(because.contains(came_back), "{because}");
        }
        let told = next_reply_to(&tenant, &was_confirmed, Reader::Command);
        let because = told["next_reply_to_because"].as_str().unwrap();
        let took_none =
            "it took no mail when it was last tried; once it does, `postrider reply ask";
        assert!(because.contains(took_none), "{because}");
    }
}
