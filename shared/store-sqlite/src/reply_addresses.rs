//! Reply addresses, written inside a verb's transaction.

use postrider_model::{ReplyAddress, ReplySource, ReplyStatus, TenantId, Timestamp};
use postrider_store::{AskCaps, Observed};
use sqlx::SqliteConnection;

use crate::directory::{found, taken};
use crate::fault::Fault;
use crate::rows::Place;
use crate::snapshot::ReplyAddressRow;
use crate::{generation, quota, tenants, updates};

/// Writes an address down that a tenant's mail names, and decides who asks it. With one writer all
/// that is read here stands until it is written.
pub(crate) async fn observe(
    connection: &mut SqliteConnection,
    seen: ReplyAddress,
    caps: AskCaps,
) -> Result<Observed, Fault> {
    tenants::is_there(connection, seen.tenant).await?;
    let (at, folded) = (seen.created_at, seen.address.folded());
    let known = find(connection, seen.tenant, &folded).await?;
    let is_new = known.is_none();
    let mut address = match known {
        Some(known) => known,
        None if is_capped(seen.source)
            && observed_on(connection, seen.tenant, at).await? >= i64::from(caps.per_day) =>
        {
            return Ok(Observed {
                address: None,
                ask: false,
            });
        }
        None => {
            insert(connection, &seen).await?;
            seen
        }
    };
    let before = address.asked_at;
    let mut ask = false;
    if wants_asking(&address, is_new) {
        ask = may_ask(connection, &folded, at, caps).await?;
        address.asked_at = asked_at(connection, &folded).await?;
    }
    if ask {
        note_told(connection, &mut address, at).await?;
    }
    if address.asked_at != before {
        note_asked(connection, &address).await?;
    }
    if is_new || ask || address.asked_at != before {
        generation::raise(connection, &[address.tenant]).await?;
    }
    Ok(Observed {
        address: Some(address),
        ask,
    })
}

/// What a key alone can bring in: a stolen one must not have us write to strangers.
fn is_capped(source: ReplySource) -> bool {
    matches!(source, ReplySource::Observed | ReplySource::Domain)
}

/// A new one at a confirmed domain is told of it; who said «not ours» is left in peace.
fn wants_asking(address: &ReplyAddress, is_new: bool) -> bool {
    match address.status {
        ReplyStatus::Unconfirmed | ReplyStatus::Broken => true,
        ReplyStatus::Confirmed => is_new,
        ReplyStatus::Refused => false,
    }
}

pub(crate) async fn find(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    folded: &str,
) -> Result<Option<ReplyAddress>, Fault> {
    // Index reply_addresses_tenant.
    let row: Option<ReplyAddressRow> =
        sqlx::query_as("SELECT * FROM reply_addresses WHERE tenant = ?1 AND folded = ?2")
            .bind(tenant.as_bytes().as_slice())
            .bind(folded)
            .fetch_optional(connection)
            .await?;
    row.map(ReplyAddress::try_from).transpose()
}

/// How many the tenant's mail has brought in on this UTC day.
async fn observed_on(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    at: Timestamp,
) -> Result<i64, Fault> {
    // Index reply_addresses_tenant.
    let count = sqlx::query_scalar(
        "SELECT count(*) FROM reply_addresses
         WHERE tenant = ?1 AND source IN ('observed', 'domain')
             AND created_at >= ?2 AND created_at < ?3",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(Timestamp::of_day(at.day()).as_micros())
    .bind(at.next_day().as_micros())
    .fetch_one(connection)
    .await?;
    Ok(count)
}

/// Whether a letter may go there now; if so it is noted that it does.
async fn may_ask(
    connection: &mut SqliteConnection,
    folded: &str,
    at: Timestamp,
    caps: AskCaps,
) -> Result<bool, Fault> {
    // Index asked (primary key).
    let asked = sqlx::query(
        "INSERT INTO asked (address, at, letters, in_a_row) VALUES (?1, ?2, 1, 1)
         ON CONFLICT (address) DO UPDATE SET at = excluded.at, previous = asked.at,
             letters = CASE WHEN asked.at < ?4 THEN 1 ELSE asked.letters + 1 END,
             in_a_row = CASE WHEN asked.at <= ?6 THEN 1 ELSE asked.in_a_row + 1 END
         WHERE asked.at <= ?3 AND (asked.at < ?4 OR ?5 = 0 OR asked.letters < ?5)
             AND (asked.at <= ?6 OR ?7 = 0 OR asked.in_a_row < ?7)",
    )
    .bind(folded)
    .bind(at.as_micros())
    .bind(at.before(caps.pause).as_micros())
    .bind(Timestamp::of_day(at.day()).as_micros())
    .bind(i64::from(caps.letters_per_day))
    .bind(at.before(caps.rest).as_micros())
    .bind(i64::from(caps.letters_in_a_row))
    .execute(connection)
    .await?;
    Ok(asked.rows_affected() > 0)
}

async fn asked_at(
    connection: &mut SqliteConnection,
    folded: &str,
) -> Result<Option<Timestamp>, Fault> {
    // Index asked (primary key).
    let at: Option<i64> = sqlx::query_scalar("SELECT at FROM asked WHERE address = ?1")
        .bind(folded)
        .fetch_optional(connection)
        .await?;
    Ok(at.map(Timestamp::from_micros))
}

async fn note_asked(
    connection: &mut SqliteConnection,
    address: &ReplyAddress,
) -> Result<(), Fault> {
    // Index reply_addresses (primary key).
    let changed = sqlx::query("UPDATE reply_addresses SET asked_at = ?2 WHERE id = ?1")
        .bind(address.id.as_bytes().as_slice())
        .bind(address.asked_at.map(Timestamp::as_micros))
        .execute(connection)
        .await?;
    found(changed.rows_affected(), "reply address")
}

/// The letter goes for this very tenant.
async fn note_told(
    connection: &mut SqliteConnection,
    address: &mut ReplyAddress,
    at: Timestamp,
) -> Result<(), Fault> {
    // Index reply_addresses (primary key).
    let changed =
        sqlx::query("UPDATE reply_addresses SET told_before = told_at, told_at = ?2 WHERE id = ?1")
            .bind(address.id.as_bytes().as_slice())
            .bind(at.as_micros())
            .execute(connection)
            .await?;
    address.told_at = Some(at);
    found(changed.rows_affected(), "reply address")
}

/// Nobody was written to at `at` after all: it stands as after the letter before, if there was one.
pub(crate) async fn take_back_asking(
    connection: &mut SqliteConnection,
    folded: &str,
    at: Timestamp,
) -> Result<(), Fault> {
    for verb in [
        // Index asked (primary key).
        "UPDATE asked SET at = previous, previous = NULL, letters = letters - 1,
             in_a_row = in_a_row - 1
         WHERE address = ?1 AND at = ?2 AND previous IS NOT NULL",
        // Index asked (primary key).
        "DELETE FROM asked WHERE address = ?1 AND at = ?2",
    ] {
        sqlx::query(verb)
            .bind(folded)
            .bind(at.as_micros())
            .execute(&mut *connection)
            .await?;
    }
    // Index reply_addresses_folded.
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(
        "UPDATE reply_addresses SET asked_at = (SELECT at FROM asked WHERE address = ?1),
             told_at = CASE WHEN told_at = ?2 THEN told_before ELSE told_at END,
             told_before = CASE WHEN told_at = ?2 THEN NULL ELSE told_before END
         WHERE folded = ?1 AND (asked_at = ?2 OR told_at = ?2)
         RETURNING tenant",
    )
    .bind(folded)
    .bind(at.as_micros())
    .fetch_all(&mut *connection)
    .await?;
    if !rows.is_empty() {
        generation::raise(connection, &tenants_of(&rows)?).await?;
    }
    Ok(())
}

/// Gives one of a tenant's addresses another status. «Not ours» counts against the tenant, once.
pub(crate) async fn set_status(
    connection: &mut SqliteConnection,
    (tenant, folded): (TenantId, &str),
    status: ReplyStatus,
    at: Timestamp,
) -> Result<(), Fault> {
    let known = find(connection, tenant, folded).await?;
    let was = known.ok_or(Fault::NotFound("reply address"))?.status;
    // Index reply_addresses_tenant.
    let changed = sqlx::query(
        "UPDATE reply_addresses SET status = ?3,
             confirmed_at = iif(?3 = 'confirmed', ?4, confirmed_at),
             refused_at = CASE WHEN ?3 <> 'refused' THEN NULL
                 WHEN status = 'refused' THEN refused_at ELSE ?4 END
         WHERE tenant = ?1 AND folded = ?2",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(folded)
    .bind(status.as_str())
    .bind(at.as_micros())
    .execute(&mut *connection)
    .await?;
    found(changed.rows_affected(), "reply address")?;
    if status == ReplyStatus::Refused && was != ReplyStatus::Refused {
        quota::count_complaints(connection, tenant, &[at]).await?;
    }
    updates::became(connection, (tenant, folded), status).await
}

/// What the owner of an address answers; gives the status that stands.
pub(crate) async fn answer(
    connection: &mut SqliteConnection,
    (tenant, folded): (TenantId, &str),
    status: ReplyStatus,
    at: Timestamp,
) -> Result<ReplyStatus, Fault> {
    let known = find(connection, tenant, folded).await?;
    let was = known.ok_or(Fault::NotFound("reply address"))?.status;
    if was == status || was == ReplyStatus::Refused {
        return Ok(was);
    }
    set_status(connection, (tenant, folded), status, at).await?;
    generation::raise(connection, &[tenant]).await?;
    Ok(status)
}

/// What is confirmed of a mailbox or waits for its answer is broken, with every tenant.
pub(crate) async fn break_all(
    connection: &mut SqliteConnection,
    folded: &str,
) -> Result<Vec<TenantId>, Fault> {
    // Index reply_addresses_folded.
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(
        "UPDATE reply_addresses SET status = 'broken'
         WHERE folded = ?1 AND status IN ('confirmed', 'unconfirmed')
         RETURNING tenant",
    )
    .bind(folded)
    .fetch_all(&mut *connection)
    .await?;
    let tenants = tenants_of(&rows)?;
    if !tenants.is_empty() {
        generation::raise(connection, &tenants).await?;
    }
    Ok(tenants)
}

fn tenants_of(rows: &[Vec<u8>]) -> Result<Vec<TenantId>, Fault> {
    let tenant = |id: &Vec<u8>| {
        let place = Place {
            table: "reply_addresses",
            id,
        };
        place.id("tenant", id)
    };
    rows.iter().map(tenant).collect()
}

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    address: &ReplyAddress,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO reply_addresses (id, tenant, address, folded, status, source, confirmed_at,
             asked_at, created_at, attested_by, refused_at, told_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )
    .bind(address.id.as_bytes().as_slice())
    .bind(address.tenant.as_bytes().as_slice())
    .bind(address.address.to_string())
    .bind(address.address.folded())
    .bind(address.status.as_str())
    .bind(address.source.as_str())
    .bind(address.confirmed_at.map(Timestamp::as_micros))
    .bind(address.asked_at.map(Timestamp::as_micros))
    .bind(address.created_at.as_micros())
    .bind(&address.attested_by)
    .bind(address.refused_at.map(Timestamp::as_micros))
    .bind(address.told_at.map(Timestamp::as_micros))
    .execute(connection)
    .await
    .map_err(taken("reply address"))?;
    Ok(())
}

pub(crate) async fn remove(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    folded: &str,
) -> Result<(), Fault> {
    // Index tenants (primary key).
    let default: Option<String> = sqlx::query_scalar("SELECT reply_to FROM tenants WHERE id = ?1")
        .bind(tenant.as_bytes().as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    let place = Place {
        table: "tenants",
        id: tenant.as_bytes(),
    };
    if let Some(default) = default
        && place.address("reply_to", &default)?.folded() == folded
    {
        return Err(Fault::Rejected(
            "it is the tenant's default reply address".to_owned(),
        ));
    }
    let known = find(connection, tenant, folded).await?;
    let known = known.ok_or(Fault::NotFound("reply address"))?;
    // Without its row nobody would know of that word: the address could be entered and vouched for.
    if known.status == ReplyStatus::Refused {
        return Err(Fault::Rejected(
            "its owner said no, and that word stays: `postrider reply confirm` takes it back"
                .to_owned(),
        ));
    }
    updates::removed(connection, tenant, folded).await?;
    // Index reply_addresses_tenant.
    let changed = sqlx::query("DELETE FROM reply_addresses WHERE tenant = ?1 AND folded = ?2")
        .bind(tenant.as_bytes().as_slice())
        .bind(folded)
        .execute(connection)
        .await?;
    found(changed.rows_affected(), "reply address")
}
