use super::*;

fn over(period: Period, limit: u32, used: u64) -> OverQuota {
    OverQuota {
        period,
        limit,
        used,
        more: 0,
    }
}

#[test]
fn what_alone_is_more_than_the_limit_never_fits() {
    for (used, more, recipients, want) in [
        (20, 6, 6, false),
        (20, 26, 30, true),
        (0, 26, 26, true),
        // Split into one message for each of its recipients.
        (0, 1, 26, true),
        (20, 1, 26, false),
    ] {
        let over = OverQuota {
            more,
            ..over(Period::NewHour, 25, used)
        };
        let never = never_fits(QuotaOf::NewRecipients, &over, recipients, 25);
        assert_eq!(never, want, "{over:?} {recipients}");
    }
    for (by, recipients, at_best, want) in [
        (QuotaOf::Plan, 11, 10, true),
        (QuotaOf::Plan, 10, 10, false),
        (QuotaOf::Key, 11, 10, true),
        // It may send to twice as many tomorrow, or to as many as it likes.
        (QuotaOf::Ramp, 11, 20, false),
        (QuotaOf::Ramp, 21, 20, true),
        (QuotaOf::Ramp, 21, 0, false),
        (QuotaOf::Unconfirmed, 21, 20, false),
    ] {
        // Also where some of it is used up: waiting does not help then either.
        let never = never_fits(by, &over(Period::Day, 10, 9), recipients, at_best);
        assert_eq!(never, want, "{by:?} {recipients} {at_best}");
    }
}

#[test]
fn what_was_refused_is_refused_again_until_the_period_ends_or_the_limit_rises() {
    let (quotas, tenant) = (Quotas::default(), TenantId::from_bytes([1; 16]));
    let now = Timestamp::parse("2026-01-31T23:59:00Z").unwrap();
    let tomorrow = now.next_day();
    let quota = |per_day, per_month| Quota {
        per_day,
        per_month,
        ..Quota::default()
    };
    let used_up = |quota, now| quotas.used_up(tenant, quota, now);
    assert_eq!(used_up(quota(10, 0), now), None, "nothing is known yet");
    quotas.learn(tenant, &over(Period::Day, 10, 9), now);
    assert_eq!(used_up(quota(10, 0), now), None, "one is left");
    quotas.learn(tenant, &over(Period::Day, 10, 10), now);
    for (quota, now, want) in [
        (quota(10, 0), now, Some(over(Period::Day, 10, 10))),
        (quota(10, 5), now, Some(over(Period::Day, 10, 10))),
        (quota(11, 0), now, None),
        (quota(0, 0), now, None),
        (quota(10, 0), tomorrow, None),
    ] {
        assert_eq!(used_up(quota, now), want, "{quota:?}");
    }
    quotas.learn(tenant, &over(Period::Month, 20, 20), now);
    assert_eq!(
        used_up(quota(10, 20), now),
        Some(over(Period::Month, 20, 20))
    );
    assert_eq!(used_up(quota(10, 20), tomorrow), None, "February");
    let ramp = Quota {
        ramp: 10,
        ..quota(0, 0)
    };
    assert_eq!(used_up(ramp, now), None, "a plan's day counts others");
    quotas.learn(tenant, &over(Period::RampDay, 10, 10), now);
    assert_eq!(used_up(ramp, now), Some(over(Period::RampDay, 10, 10)));
    assert_eq!(used_up(ramp, tomorrow), None);
    let unconfirmed = Quota {
        unconfirmed: 20,
        ..Quota::default()
    };
    quotas.learn(tenant, &over(Period::Unconfirmed, 20, 20), now);
    let known = Some(over(Period::Unconfirmed, 20, 20));
    assert_eq!(used_up(unconfirmed, now), known);
    assert_eq!(used_up(quota(0, 0), now), None, "it is confirmed now");
    assert_eq!(used_up(unconfirmed, tomorrow), None, "the commit decides");
    let other = TenantId::from_bytes([2; 16]);
    assert_eq!(quotas.used_up(other, quota(10, 20), now), None);
}
