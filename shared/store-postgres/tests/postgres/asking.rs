//! A mailbox's letter and its entries are written by several at once.

use std::time::Duration;

use futures_util::future::join3;
use postrider_model::{ReplyAddress, ReplySource, ReplyStatus, TenantId};
use postrider_store::conformance::fixture::{DAY, add_tenant, address, at, reply_address_id};
use postrider_store::{AskCaps, Observed, StoreError};
use sqlx::PgConnection;

use crate::Relay;

const MAILBOX: &str = "zoe@joesgarage.example";

async fn name(relay: &Relay, tenant: TenantId, seconds: u64) -> Result<Observed, StoreError> {
    let seen = ReplyAddress {
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
    };
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
        .observe_reply_address(seen, caps)
        .await
}

/// Until so many of the database's connections wait for a lock.
async fn locked_out(shell: &mut PgConnection, count: i64) {
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut *shell)
        .await
        .unwrap();
        if waiting == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_letter_is_taken_back_while_its_tenant_names_the_mailbox_again() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    assert!(name(&relay, tenant, 0).await.unwrap().ask);
    // Another's transaction, which both meet: so they come in a known order.
    let (mut holder, mut shell, mut later) = (
        relay.shell().await,
        relay.shell().await,
        relay.shell().await,
    );
    let hold = "BEGIN; SELECT 1 FROM asked FOR UPDATE";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let mailbox = address(MAILBOX);
    let taking_back = relay.ports.directory.take_back_asking(&mailbox, at(0));
    let naming = async {
        locked_out(&mut shell, 1).await;
        name(&relay, tenant, 60).await
    };
    let letting_go = async {
        locked_out(&mut later, 2).await;
        sqlx::raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    };
    let (taken_back, named, ()) = join3(taking_back, naming, letting_go).await;
    taken_back.unwrap();
    assert!(named.unwrap().ask, "no letter went, so one may go");
}
