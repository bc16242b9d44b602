//! What there is to do where an address was suppressed: of some reasons it is the recipient's own wish. Pure.

use postrider_model::{Stream, Suppression, SuppressionReason};

use super::Told;

/// What happens next of a message of this stream that was not sent for it, and what can be done.
pub(super) fn next(stream: Stream, told: &Told<'_>) -> String {
    let keeps = |one: &&Suppression| one.stream.is_none_or(|of| of == stream);
    // Of several the recipient's own word counts.
    let stands = told.suppressions.iter().filter(keeps);
    let advice = match stands.min_by_key(|one| !is_wish(one.reason)) {
        Some(one) => advice(one, told.tenant),
        None => "Nothing keeps new mail from there any more.".to_owned(),
    };
    format!("It is not tried again. {advice}")
}

fn advice(one: &Suppression, tenant: &str) -> String {
    let lift = format!(
        "`postrider suppression lift {tenant} {}` lets new mail through.",
        one.address
    );
    match one.reason {
        SuppressionReason::Unsubscribe => "The recipient unsubscribed, and the entry stays for as long as that is their wish: they may ask the sender to have this mail again.".to_owned(),
        SuppressionReason::Complaint => "The recipient complained of this mail, and the entry stays for as long as that is their wish: they may ask the sender to have it again.".to_owned(),
        SuppressionReason::Manual => {
            format!("Somebody put the address there: ask why. Where the reason is gone, {lift}")
        }
        SuppressionReason::HardBounce => format!("Where the address is right after all, {lift}"),
    }
}

fn is_wish(reason: SuppressionReason) -> bool {
    matches!(
        reason,
        SuppressionReason::Unsubscribe | SuppressionReason::Complaint
    )
}

#[cfg(test)]
mod tests {
    use postrider_model::{EmailAddress, SuppressionId, TenantId, Timestamp};

    use super::*;

    fn entry(reason: SuppressionReason, stream: Option<Stream>) -> Suppression {
        Suppression {
            id: SuppressionId::from_bytes([1; 16]),
            tenant: TenantId::from_bytes([1; 16]),
            address: EmailAddress::parse("bob@example.org").unwrap(),
            stream,
            reason,
            source: "x".to_owned(),
            since: Timestamp::from_micros(0),
            until: None,
        }
    }

    #[test]
    fn what_a_recipient_wished_is_not_advised_to_be_lifted() {
        use SuppressionReason::{Complaint, HardBounce, Manual, Unsubscribe};
        let of = |reason| entry(reason, None);
        for (suppressions, want) in [
            (vec![of(HardBounce)], "suppression lift joes bob@"),
            (vec![of(Manual)], "suppression lift joes bob@"),
            (vec![of(Unsubscribe)], "unsubscribed"),
            (vec![of(Complaint)], "complained"),
            (vec![of(HardBounce), of(Unsubscribe)], "unsubscribed"),
            (
                vec![entry(Unsubscribe, Some(Stream::Bulk))],
                "Nothing keeps",
            ),
            (Vec::new(), "Nothing keeps"),
        ] {
            let told = Told {
                tenant: "joes",
                holds: &[],
                suppressions: &suppressions,
                now: Timestamp::from_micros(0),
            };
            let next = next(Stream::Transactional, &told);
            assert!(next.contains(want), "{next}");
            assert_eq!(next.contains("lift"), want.contains("lift"), "{next}");
        }
    }
}
