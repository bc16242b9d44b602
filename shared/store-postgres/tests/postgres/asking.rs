//! A mailbox's letter and its entries are written by several at once.

use std::time::Duration;

use futures_util::future::join3;
use postrider_model::{ReplyAddress, ReplySource, ReplyStatus, TenantId};
use postrider_store::conformance::fixture::{DAY, add_tenant, address, at, reply_address_id};
use postrider_store::{AskCaps, Imported, Observed, StoreError, TenantImport, TenantUpdate};
use sqlx::PgConnection;
use tokio::time::timeout;

use crate::Relay;

const MAILBOX: &str = "zoe@joesgarage.example";

fn seen(tenant: TenantId, seconds: u64) -> ReplyAddress {
    ReplyAddress {
        id: reply_address_id(),
        tenant,
        address: address(MAILBOX),
        status: ReplyStatus::Unconfirmed,
        source: ReplySource::Observed,
        confirmed_at: None,
        asked_at: None,
        told_at: None,
        refused_at: None,
        attested_by: None,
        created_at: at(seconds),
    }
}

async fn name(relay: &Relay, tenant: TenantId, seconds: u64) -> Result<Observed, StoreError> {
    let caps = AskCaps {
        per_day: 5,
        pause: 7 * DAY,
        letters_per_day: 0,
        letters_in_a_row: 0,
        rest: 7 * DAY,
    };
    relay
        .ports
        .directory
        .observe_reply_address(seen(tenant, seconds), caps)
        .await
}

/// Until so many of the database's connections wait for a lock, or more.
async fn locked_out(shell: &mut PgConnection, count: i64) {
    let locked_out = async {
        while waiting(shell).await < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = timeout(Duration::from_secs(20), locked_out).await;
    waited.unwrap_or_else(|_| panic!("fewer than {count} wait for a lock"));
}

async fn waiting(shell: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .fetch_one(shell)
    .await
    .unwrap()
}

/// Two, of which each meets what another's transaction holds: so they come in a known order.
async fn in_order<A, B>(
    relay: &Relay,
    held: &'static str,
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, B) {
    let (mut holder, mut shell, mut later) = (
        relay.shell().await,
        relay.shell().await,
        relay.shell().await,
    );
    sqlx::raw_sql("BEGIN").execute(&mut holder).await.unwrap();
    sqlx::raw_sql(held).execute(&mut holder).await.unwrap();
    let second = async {
        locked_out(&mut shell, 1).await;
        second.await
    };
    let letting_go = async {
        locked_out(&mut later, 2).await;
        sqlx::raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    };
    let (first, second, ()) = join3(first, second, letting_go).await;
    (first, second)
}

#[tokio::test]
async fn a_letter_is_taken_back_while_its_tenant_names_the_mailbox_again() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    assert!(name(&relay, tenant, 0).await.unwrap().ask);
    let mailbox = address(MAILBOX);
    let taking_back = relay.ports.directory.take_back_asking(&mailbox, at(0));
    let naming = name(&relay, tenant, 60);
    let held = "SELECT 1 FROM asked FOR UPDATE";
    let (taken_back, named) = in_order(&relay, held, taking_back, naming).await;
    taken_back.unwrap();
    assert!(named.unwrap().ask, "no letter went, so one may go");
}

fn wishes(tenant: TenantId) -> TenantImport {
    TenantImport::Update(Box::new(TenantUpdate {
        tenant,
        name: None,
        language: None,
        plan: None,
        reply_to: Some(seen(tenant, 60)),
    }))
}

#[tokio::test]
async fn a_file_in_any_order_names_a_mailbox_while_it_breaks() {
    let relay = Relay::start().await;
    let (first, last) = (
        add_tenant(&relay.ports).await,
        add_tenant(&relay.ports).await,
    );
    assert!(first < last);
    for tenant in [first, last] {
        name(&relay, tenant, 0).await.unwrap();
    }
    let mailbox = address(MAILBOX);
    let breaking = relay.ports.directory.break_reply_address(&mailbox);
    let nobody = TenantId::from_bytes([9; 16]);
    let lines = [last, nobody, first].map(wishes).to_vec();
    let importing = relay.ports.directory.import(lines);
    // The entry of the first tenant, of two.
    let held = "SELECT 1 FROM reply_addresses WHERE folded = 'zoe@joesgarage.example'
        ORDER BY tenant LIMIT 1 FOR UPDATE";
    let (broken, imported) = in_order(&relay, held, breaking, importing).await;
    broken.unwrap();
    let (done, not_found) = (Imported::Done, Imported::NotFound);
    assert_eq!(imported.unwrap(), [done, not_found, done]);
}

#[tokio::test]
async fn a_tenant_is_erased_while_a_mailbox_of_its_breaks() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    name(&relay, tenant, 0).await.unwrap();
    let mailbox = address(MAILBOX);
    let erasing = relay.ports.upkeep.erase(tenant);
    let breaking = relay.ports.directory.break_reply_address(&mailbox);
    let held = "SELECT 1 FROM generation FOR UPDATE";
    let (erased, broken) = in_order(&relay, held, erasing, breaking).await;
    assert!(erased.unwrap().is_nothing());
    broken.unwrap();
    let found = relay.ports.directory.snapshot().await.unwrap();
    assert!(found.tenants.iter().all(|one| one.id != tenant));
}
