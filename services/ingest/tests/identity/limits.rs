//! New tenants and unconfirmed ones.

use std::time::Duration;

use postrider_gate::{AcceptError, QuotaExceeded, QuotaOf, RampConfig, TenantDefaults};
use postrider_model::{Language, Limits, Ramp, Tenant};
use postrider_store::Directory;

use crate::harness::{House, address};

const RAW: &str = "Subject: x\n\ny\n";

async fn new_tenant(house: &House, is_confirmed: bool) -> Tenant {
    let defaults = TenantDefaults {
        limits: Limits::default(),
        language: Language::En,
        ramp: RampConfig::default().begin(house.clock.now()),
        is_confirmed,
        ..TenantDefaults::default()
    };
    house.tenant_with("joe@joesgarage.example", defaults).await
}

fn over(refused: Result<postrider_gate::Accepted, AcceptError>) -> QuotaExceeded {
    match refused {
        Err(AcceptError::OverQuota(over)) => over,
        other => panic!("{other:?}"),
    }
}

fn people(count: usize, prefix: &str) -> Vec<String> {
    (0..count)
        .map(|n| format!("{prefix}{n}@example.org"))
        .collect()
}

async fn send_to(
    house: &House,
    tenant: &Tenant,
    to: &[String],
) -> Result<postrider_gate::Accepted, AcceptError> {
    let caller = house.caller(tenant).await;
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    house.send(&caller, &to, RAW).await
}

#[tokio::test]
async fn a_new_tenant_writes_to_few_strangers_an_hour() {
    let house = House::start().await;
    let tenant = new_tenant(&house, true).await;
    let refused = over(send_to(&house, &tenant, &people(26, "e")).await);
    assert_eq!(refused.by, QuotaOf::NewRecipients);
    assert!(refused.never_fits, "it is to be split");
    let known = people(20, "a");
    assert!(send_to(&house, &tenant, &known).await.is_ok());
    assert!(
        send_to(&house, &tenant, &known).await.is_ok(),
        "it knows them by now"
    );
    let refused = over(send_to(&house, &tenant, &people(6, "b")).await);
    assert_eq!(
        (refused.by, refused.limit, refused.used),
        (QuotaOf::NewRecipients, 25, 20)
    );
    assert!(!refused.never_fits, "it may come again");
    assert!(send_to(&house, &tenant, &people(5, "c")).await.is_ok());
    house.clock.advance(Duration::from_mins(61));
    let refused = over(send_to(&house, &tenant, &people(6, "d")).await);
    assert_eq!(
        (refused.by, refused.limit, refused.used),
        (QuotaOf::Ramp, 50, 45),
        "its first day"
    );
}

#[tokio::test]
async fn a_ramp_goes_on_by_itself() {
    let mut house = House::start().await;
    let tenant = new_tenant(&house, true).await;
    assert!(send_to(&house, &tenant, &people(2, "a")).await.is_ok());
    let now = house.roster.tenant(tenant.id).unwrap();
    assert_eq!(house.gate.quota_of(&now).quota.ramp, 50);
    // Three days: one on which it sent, two on which it did not.
    house.clock.advance(Duration::from_hours(3 * 24));
    house.run();
    for _ in 0..500 {
        house.refresh().await;
        if house.roster.tenant(tenant.id).unwrap().ramp != tenant.ramp {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ramp = house.roster.tenant(tenant.id).unwrap().ramp;
    assert_eq!((ramp.per_day, ramp.decided), (100, house.clock.now().day()));
    assert_eq!(ramp.since, tenant.ramp.since);
}

#[tokio::test]
async fn an_unconfirmed_tenant_writes_to_itself_alone() {
    let house = House::start().await;
    let defaults = TenantDefaults {
        limits: Limits::default(),
        language: Language::En,
        ramp: Ramp::PAST,
        is_confirmed: false,
        ..TenantDefaults::default()
    };
    let tenant = house.tenant_with("joe@joesgarage.example", defaults).await;
    let own = vec!["JOE@joesgarage.example".to_owned()];
    let refused = send_to(&house, &tenant, &people(1, "a")).await;
    assert!(
        matches!(&refused, Err(AcceptError::NotConfirmed { reply_to }) if *reply_to == address("joe@joesgarage.example")),
        "{refused:?}"
    );
    for _ in 0..20 {
        assert!(send_to(&house, &tenant, &own).await.is_ok());
    }
    let refused = over(send_to(&house, &tenant, &own).await);
    assert_eq!(
        (refused.by, refused.limit, refused.used),
        (QuotaOf::Unconfirmed, 20, 20)
    );
    // Another month brings no other twenty.
    house.clock.advance(Duration::from_hours(32 * 24));
    let refused = over(send_to(&house, &tenant, &own).await);
    assert_eq!(
        (refused.by, refused.limit, refused.used),
        (QuotaOf::Unconfirmed, 20, 20)
    );
    let (status, at) = (postrider_model::ReplyStatus::Confirmed, house.clock.now());
    let directory = &house.store;
    let set = directory.set_reply_status(tenant.id, &tenant.reply_to, status, at);
    set.await.unwrap();
    house.refresh().await;
    assert!(send_to(&house, &tenant, &people(1, "a")).await.is_ok());
}
