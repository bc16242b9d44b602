//! What is told of a tenant of whom somebody said that they do not know it. Pure.

use postrider_model::{EmailAddress, ReplyAddress, ReplyStatus, Tenant};
use serde_json::{Value, json};

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

impl Reader<'_> {
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
}
