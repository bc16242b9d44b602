use postrider_model::{Domain, EmailAddress, Language, Limits, TenantId, TenantStatus, Vendor};

use super::*;

fn tenant(ramp: Ramp, per_day: u32) -> Tenant {
    let address = |text| EmailAddress::parse(text).unwrap();
    assert!(Domain::parse("send.relay.example").is_ok());
    Tenant {
        id: TenantId::from_bytes([1; 16]),
        name: "Joe".to_owned(),
        slug: "joe-7k2f".to_owned(),
        from: address("joe-7k2f@send.relay.example"),
        reply_to: address("joe@joesgarage.example"),
        next_reply_to: None,
        status: TenantStatus::Active,
        stopped_by: None,
        limits: Limits {
            per_day,
            ..Limits::default()
        },
        language: Language::En,
        own_domain: false,
        notices: true,
        ramp,
        is_house: false,
        vendor: Vendor::OPERATOR,
        licence: None,
        plan: None,
        created_at: ramp.since,
    }
}

fn day(day: u64, hard_bounces: u64, complaints: u64) -> Usage {
    Usage {
        day,
        hard_bounces,
        complaints,
        ..Usage::default()
    }
}

fn with_simulated(day: Usage, simulated: u64) -> Usage {
    Usage { simulated, ..day }
}

#[test]
fn a_ramp_doubles_on_days_without_trouble() {
    let config = RampConfig::default();
    let now = Timestamp::parse("2026-01-31T08:00:00Z").unwrap();
    let begin = config.begin(now);
    assert_eq!((begin.per_day, begin.decided), (50, now.day()));
    for (yesterday, per_day, want) in [
        (day(1, 0, 0), 50, 100),
        (day(50, 0, 0), 50, 100),
        (day(0, 0, 0), 50, 50),
        (day(19, 10, 0), 50, 100),
        (day(20, 1, 0), 50, 50),
        (day(40, 1, 0), 50, 100),
        (day(40, 2, 0), 50, 50),
        (day(40, 0, 1), 50, 50),
        (day(40, 0, 0), 4_999, 9_998),
        (day(40, 0, 0), 5_000, 0),
        (day(40, 9, 9), 0, 0),
        // What the simulator took is no mail that went well, nor does it outweigh what did not.
        (with_simulated(day(30, 0, 0), 30), 50, 50),
        (with_simulated(day(31, 0, 0), 30), 50, 100),
        (with_simulated(day(100, 1, 0), 80), 50, 50),
    ] {
        let ramp = Ramp { per_day, ..begin };
        let next = config.next(&tenant(ramp, 0), &yesterday, 9);
        assert_eq!(
            (next.per_day, next.decided),
            (want, 9),
            "{yesterday:?} {per_day}"
        );
        assert_eq!(next.since, begin.since);
    }
    let planned = tenant(
        Ramp {
            per_day: 100,
            ..begin
        },
        200,
    );
    assert_eq!(config.next(&planned, &day(9, 0, 0), 9).per_day, 0);
    let planned = tenant(
        Ramp {
            per_day: 100,
            ..begin
        },
        201,
    );
    assert_eq!(config.next(&planned, &day(9, 0, 0), 9).per_day, 200);
}

#[test]
fn strangers_are_counted_in_the_first_week_of_a_ramp() {
    let config = RampConfig::default();
    let now = Timestamp::parse("2026-01-31T08:00:00Z").unwrap();
    let new = tenant(config.begin(now), 0);
    let reached = tenant(
        Ramp {
            per_day: 0,
            ..new.ramp
        },
        60,
    );
    let week = Duration::from_hours(7 * 24);
    for (tenant, at, want) in [
        (&new, now, 25),
        (&new, now.after(week).before(Duration::from_secs(1)), 25),
        (&new, now.after(week), 0),
        (&tenant(Ramp::PAST, 0), now, 0),
        (&reached, now, 25),
    ] {
        assert_eq!(config.new_per_hour(tenant, at), want);
    }
}
