//! What is past its time beside mail: sessions, suppressions, notes of whom was written to. Removed
//! by the upkeep, a bounded number of rows at a time; what somebody else holds is passed over.

use postrider_model::{TenantId, Timestamp};
use postrider_store::{AUDIT_LIFE, FAILURE_LIFE, NOTE_LIFE, Removed, SESSION_LIFE};
use sqlx::PgConnection;

use crate::fault::Fault;
use crate::rows::Id as _;
use crate::tally;

/// Sessions are large: up to about 40 KB each.
const SESSIONS_MOST: i64 = 100;
const ROWS_MOST: i64 = 1_000;

/// What has ended at `now`, a batch of it; refusals that were heard before `refusals_until`.
pub(crate) async fn remove(
    connection: &mut PgConnection,
    now: Timestamp,
    refusals_until: Timestamp,
) -> Result<Removed, Fault> {
    let noted = now.before(NOTE_LIFE);
    // Indexes sessions_started, suppressions_until, contacts_at, asked_at, audit_at.
    Ok(Removed {
        sessions: up_to(
            connection,
            "DELETE FROM sessions WHERE code IN (SELECT code FROM sessions
                 WHERE started_at <= $1 ORDER BY started_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now.before(SESSION_LIFE),
            SESSIONS_MOST,
        )
        .await?,
        suppressions: up_to(
            connection,
            "DELETE FROM suppressions WHERE id IN (SELECT id FROM suppressions
                 WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
            ROWS_MOST,
        )
        .await?,
        notes: up_to(
            connection,
            "DELETE FROM contacts WHERE (tenant, address) IN (SELECT tenant, address FROM contacts
                 WHERE at <= $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            noted,
            ROWS_MOST,
        )
        .await?
            + up_to(
                connection,
                "DELETE FROM asked WHERE address IN (SELECT address FROM asked
                     WHERE at <= $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                noted,
                ROWS_MOST,
            )
            .await?,
        // A small table: it has no index by time alone.
        failures: up_to(
            connection,
            "DELETE FROM failures WHERE recipient IN (SELECT recipient FROM failures
                 WHERE at <= $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now.before(FAILURE_LIFE),
            ROWS_MOST,
        )
        .await?,
        audit: up_to(
            connection,
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit
                 WHERE at <= $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now.before(AUDIT_LIFE),
            ROWS_MOST,
        )
        .await?,
        counts: tally::age(connection, now, refusals_until).await?,
        ..Removed::default()
    })
}

async fn up_to(
    connection: &mut PgConnection,
    statement: &'static str,
    until: Timestamp,
    most: i64,
) -> Result<u64, Fault> {
    let removed = sqlx::query(statement)
        .bind(until.as_micros())
        .bind(most)
        .execute(connection)
        .await?;
    Ok(removed.rows_affected())
}

/// All of a tenant, a batch of it.
pub(crate) async fn remove_of(
    connection: &mut PgConnection,
    tenant: TenantId,
) -> Result<Removed, Fault> {
    let mut removed = [0; 3];
    // Indexes sessions_tenant, suppressions_tenant, contacts (primary key).
    for (count, (statement, most)) in removed.iter_mut().zip([
        (
            "DELETE FROM sessions WHERE code IN (SELECT code FROM sessions
                 WHERE tenant = $1 LIMIT $2)",
            SESSIONS_MOST,
        ),
        (
            "DELETE FROM suppressions WHERE id IN (SELECT id FROM suppressions
                 WHERE tenant = $1 LIMIT $2)",
            ROWS_MOST,
        ),
        (
            "DELETE FROM contacts WHERE (tenant, address) IN (
                 SELECT tenant, address FROM contacts WHERE tenant = $1 LIMIT $2)",
            ROWS_MOST,
        ),
    ]) {
        let gone = sqlx::query(statement)
            .bind(tenant.uuid())
            .bind(most)
            .execute(&mut *connection)
            .await?;
        *count = gone.rows_affected();
    }
    let [sessions, suppressions, notes] = removed;
    Ok(Removed {
        sessions,
        suppressions,
        notes,
        counts: tally::erase(connection, tenant).await?,
        ..Removed::default()
    })
}
