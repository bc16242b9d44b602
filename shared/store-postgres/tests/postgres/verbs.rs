//! Verbs that one process carries out while another owns the mail.

use futures_util::future::join;
use postrider_store::conformance::fixture::{
    add_tenant, at, commit, do_verb, enact, live, message, raise,
};
use postrider_store::{ControlVerb, Scope};
use sqlx::PgConnection;
use tokio::task::{JoinSet, yield_now};

use crate::Relay;

#[tokio::test]
async fn what_another_process_stopped_is_not_opened_from_memory() {
    let relay = Relay::start().await;
    let office = relay.second().await;
    let tenant = add_tenant(&relay.ports).await;
    for verb in [ControlVerb::Hold, ControlVerb::Cancel] {
        let control = raise(&office, verb, Scope::Tenant(tenant)).await;
        let standing = relay.ports.controls.controls().await.unwrap();
        assert_eq!(standing.len(), 1);
        // Accepted after its owner has let go of what there was.
        let given = message(tenant);
        commit(&relay.ports, &given).await;
        assert_eq!(enact(&office, control, 5).await, 1);
        office.controls.close(control).await.unwrap();
        assert_eq!(relay.ports.controls.controls().await.unwrap(), []);
        let recipients = [given.recipients[0].id];
        let opened = relay.ports.queue.open(given.id, &recipients).await;
        assert_eq!(opened.unwrap().unwrap().recipients, []);
        do_verb(&office, ControlVerb::Cancel, Scope::Tenant(tenant), 6).await;
    }
}

/// Connections of stores that wait for a lock.
async fn waiting(shell: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'postrider' AND wait_event_type = 'Lock'",
    )
    .fetch_one(shell)
    .await
    .unwrap()
}

/// A command that sleeps for long: the caretaker closes its verb, owners go on, and it wakes.
#[tokio::test]
async fn a_verb_is_not_closed_while_it_changes_mail() {
    let relay = Relay::start().await;
    let caretaker = relay.second().await;
    let tenant = add_tenant(&relay.ports).await;
    let given = message(tenant);
    commit(&relay.ports, &given).await;
    let control = raise(&relay.ports, ControlVerb::Hold, Scope::Tenant(tenant)).await;
    let (mut holder, mut shell) = (relay.shell().await, relay.shell().await);
    let hold = "BEGIN; SELECT 1 FROM recipients FOR UPDATE";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let closing = async {
        while waiting(&mut shell).await < 1 {
            yield_now().await;
        }
        let mut close = JoinSet::new();
        close.spawn(async move { caretaker.controls.close(control).await });
        while waiting(&mut shell).await < 2 {
            let ended = close.try_join_next();
            assert!(ended.is_none(), "closed before its change was done");
            yield_now().await;
        }
        sqlx::raw_sql("ROLLBACK")
            .execute(&mut holder)
            .await
            .unwrap();
        close.join_next().await.unwrap().unwrap().unwrap();
    };
    let (changed, ()) = join(enact(&relay.ports, control, 5), closing).await;
    assert_eq!(changed, 1);
    assert_eq!(live(&relay.ports).await, []);
    let late = relay.ports.controls.enact(control, at(6)).await;
    assert!(late.is_err(), "{late:?}");
}
