use std::sync::Arc;
use std::time::Duration;

use postrider_gate::{NameFault, RateState};
use postrider_model::{EmailAddress, Language, Limits, Timestamp, Vendor, VendorStatus};

use super::*;

fn line(problem: &Problem) -> String {
    let headers: Vec<_> = problem
        .headers
        .iter()
        .map(|(name, value)| format!(" [{name}: {}]", value.to_str().unwrap()))
        .collect();
    format!(
        "{} {}{}: {}",
        problem.status,
        problem.name,
        headers.concat(),
        problem.message
    )
}

fn vendor() -> Vendor {
    Vendor {
        id: Vendor::OPERATOR,
        slug: "acme".to_owned(),
        name: "Acme Software".to_owned(),
        contact: Some(EmailAddress::parse("help@acme.example").unwrap()),
        status: VendorStatus::Suspended,
        per_day: 0,
        tenant_limits: Limits::default(),
        languages: vec![Language::En],
        created_at: Timestamp::from_micros(0),
    }
}

fn over(period: Period, limit: u32, used: u64, recipients: usize) -> AcceptError {
    over_by(QuotaOf::Plan, (period, limit, used, recipients))
}

fn over_by(by: QuotaOf, of: (Period, u32, u64, usize)) -> AcceptError {
    let (period, limit, used, recipients) = of;
    QuotaExceeded {
        by,
        vendor: (by == QuotaOf::Vendor).then(|| Arc::new(vendor())),
        reply_to: EmailAddress::parse("joe@joesgarage.example").unwrap(),
        period,
        limit,
        used,
        recipients,
        never_fits: recipients as u64 > u64::from(limit),
        resets_at: Timestamp::parse("2026-02-01T00:00:00Z").unwrap(),
        retry_after: Duration::from_micros(57_600_000_001),
    }
    .into()
}

/// What waiting does not help, for the tables of both doors.
pub(crate) fn lasting_errors() -> Vec<AcceptError> {
    vec![
        over(Period::Month, 10, 0, 11),
        over_by(QuotaOf::Ramp, (Period::RampDay, 50, 0, 101)),
        over_by(QuotaOf::Key, (Period::KeyDay, 20, 1, 21)),
        over_by(QuotaOf::NewRecipients, (Period::NewHour, 25, 0, 26)),
        AcceptError::AskedInVain {
            reply_to: EmailAddress::parse("joe@joesgarag.example").unwrap(),
        },
        AcceptError::Disowned {
            reply_to: EmailAddress::parse("joe@joesgarag.example").unwrap(),
        },
    ]
}

/// One of each, for the tables of both doors.
pub(crate) fn accept_errors() -> Vec<AcceptError> {
    let at = Timestamp::parse("2026-01-31T08:00:00Z").unwrap();
    let mut errors = vec![
        AcceptError::NoRecipients,
        AcceptError::TooManyRecipients {
            given: 1_001,
            most: 1_000,
        },
        AcceptError::TooLarge {
            size: 50_000_000,
            most: 41_943_040,
        },
        AcceptError::ScheduledTooLate {
            at,
            most: Duration::from_hours(30 * 24),
        },
        AcceptError::ExpiresTooEarly { at, due: at },
        AcceptError::Message(MessageError::TooDeep { most: 32 }),
        AcceptError::KeyOfOtherRequest,
        AcceptError::KeyInProgress,
        over(Period::Day, 10, 9, 2),
        over(Period::Month, 1_000, 1_000, 1),
        over(Period::Day, 10, 0, 11),
        over_by(QuotaOf::Ramp, (Period::RampDay, 50, 50, 1)),
        over_by(QuotaOf::Key, (Period::KeyDay, 20, 20, 1)),
        over_by(QuotaOf::NewRecipients, (Period::NewHour, 25, 25, 1)),
        over_by(QuotaOf::Unconfirmed, (Period::Unconfirmed, 20, 20, 1)),
        over_by(QuotaOf::Vendor, (Period::VendorDay, 5_000, 4_999, 2)),
        AcceptError::SeveralFrom { given: 2 },
        AcceptError::Message(MessageError::FromGroup),
        AcceptError::Message(MessageError::Sealed),
        AcceptError::Message(MessageError::Loop { hops: 31, most: 30 }),
        AcceptError::BadOption {
            header: "X-Postrider-Stream".to_owned(),
            value: "fast".to_owned(),
            reason: "write transactional or bulk",
        },
        AcceptError::BulkTooLarge {
            size: 1_000_000,
            recipients: 900,
            most: 100,
        },
    ];
    errors.extend(identity_errors());
    errors.extend([
        AcceptError::SpaceIsShort,
        AcceptError::NoSigningKey,
        AcceptError::NoReturnPath,
        AcceptError::Stopped,
    ]);
    errors
}

fn suspended() -> Denied {
    Denied::Suspended {
        by: "Acme".to_owned(),
        contact: "help@acme.example".to_owned(),
    }
}

fn identity_errors() -> Vec<AcceptError> {
    let at = Timestamp::parse("2026-01-31T08:00:00Z").unwrap();
    vec![
        AcceptError::DeniedNow(suspended()),
        AcceptError::DeniedNow(Denied::SuspendedKey),
        AcceptError::DeniedNow(Denied::SuspendedVendor {
            vendor: Arc::new(vendor()),
        }),
        AcceptError::DeniedNow(Denied::Expired { at }),
        AcceptError::DeniedNow(Denied::WrongNetwork {
            from: "192.0.2.1".parse().unwrap(),
        }),
        AcceptError::NotConfirmed {
            reply_to: EmailAddress::parse("joe@joesgarage.example").unwrap(),
        },
        AcceptError::UnknownReplyTo {
            address: EmailAddress::parse("ann@advisors.example").unwrap(),
        },
        AcceptError::NameRefused {
            name: "PayPal".to_owned(),
            reason: NameFault::Brand("PayPal".to_owned()),
        },
        AcceptError::TestKey {
            simulator: Some(Domain::parse("simulator.relay.example").unwrap()),
        },
    ]
}

fn store_errors() -> Vec<StoreError> {
    let inner = || Box::<dyn std::error::Error + Send + Sync>::from("inner words");
    vec![
        StoreError::Unavailable(inner()),
        StoreError::Full(inner()),
        StoreError::Rejected {
            reason: "inner words".to_owned(),
        },
        StoreError::Taken { what: "slug" },
        StoreError::NotFound { what: "tenant" },
        StoreError::Corrupt {
            table: "messages",
            column: "id",
            id: "1".to_owned(),
        },
    ]
}

#[test]
fn the_table_of_refusals() {
    let rate = RateState {
        limit: 10,
        remaining: 0,
        reset: 1,
    };
    let denied = [
        Denied::UnknownKey,
        Denied::RevokedKey,
        suspended(),
        Denied::RateLimited {
            rate,
            retry_after: Duration::from_millis(100),
        },
    ];
    let reason = ComposeReason::UseField("subject");
    let draft = ComposeError {
        field: "headers.Subject".to_owned(),
        reason,
    };
    let mut table: Vec<_> = accept_errors().iter().map(of_accept).collect();
    table.extend(lasting_errors().iter().map(of_accept));
    table.extend(store_errors().iter().map(of_store));
    table.extend(denied.iter().map(of_denied));
    table.extend([
        of_compose(&draft),
        of_compose(&ComposeError {
            field: "from".to_owned(),
            reason: ComposeReason::LineEnd,
        }),
        missing_key(),
        of_budget(BudgetBusy),
        of_idempotency_key(&KeyError::Length(300)),
    ]);
    let text = table.iter().map(line).collect::<Vec<_>>().join("\n");
    assert!(!text.contains("inner words"), "{text}");
    insta::assert_snapshot!(text);
}

/// The words that the SDKs of the field know; some fail on any other.
const CLOSED_SET: &[&str] = &[
    "validation_error",
    "missing_required_field",
    "invalid_parameter",
    "invalid_attachment",
    "invalid_from_address",
    "invalid_region",
    "invalid_access",
    "missing_api_key",
    "restricted_api_key",
    "invalid_api_key",
    "security_error",
    "not_found",
    "method_not_allowed",
    "invalid_idempotency_key",
    "invalid_idempotent_request",
    "concurrent_idempotent_requests",
    "rate_limit_exceeded",
    "daily_quota_exceeded",
    "monthly_quota_exceeded",
    "application_error",
    "internal_server_error",
];

#[test]
fn every_name_is_one_that_the_sdks_know() {
    for problem in [
        of_accept(&AcceptError::KeyInProgress),
        of_accept(&AcceptError::KeyOfOtherRequest),
        of_accept(&AcceptError::NoReturnPath),
        of_accept(&AcceptError::SpaceIsShort),
        of_denied(&suspended()),
        of_denied(&Denied::UnknownKey),
        of_accept(&over(Period::Day, 1, 1, 1)),
        of_accept(&over(Period::Month, 1, 1, 1)),
        missing_key(),
        Problem::not_found(),
        Problem::internal(),
        Problem::method_not_allowed("GET"),
    ] {
        assert!(CLOSED_SET.contains(&problem.name), "{}", problem.name);
    }
}
