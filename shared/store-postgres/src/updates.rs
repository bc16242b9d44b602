//! What a tenant's vendor says of it, written inside a verb's transaction: one at a time or many.

use postrider_model::{
    EmailAddress, Language, Plan, ReplyAddress, ReplyStatus, TenantId, Timestamp,
};
use postrider_store::{Imported, NewTenant, TenantImport, TenantUpdate};
use sqlx::PgConnection;

use crate::directory::found;
use crate::fault::Fault;
use crate::rows::{Id as _, Place};
use crate::{generation, reply_addresses, tenants};

/// Adds and changes many; what became of each. In the order of tenants, as `reply_addresses` has it:
/// many may name one mailbox, and come in any order.
pub(crate) async fn import(
    connection: &mut PgConnection,
    all: &[TenantImport],
) -> Result<Vec<Imported>, Fault> {
    let mut by_tenant: Vec<_> = all.iter().enumerate().collect();
    by_tenant.sort_by_key(|(_, one)| one.tenant());
    let mut outcomes = Vec::with_capacity(all.len());
    let mut done = Vec::new();
    for (line, one) in by_tenant {
        let outcome = match one {
            TenantImport::Add(new) => add(connection, new).await?,
            TenantImport::Update(update) => match update_tenant(connection, update).await {
                Ok(()) => Imported::Done,
                Err(Fault::NotFound(_)) => Imported::NotFound,
                Err(Fault::Rejected(_)) => Imported::Refused,
                Err(fault) => return Err(fault),
            },
        };
        if outcome == Imported::Done {
            done.push(one.tenant());
        }
        outcomes.push((line, outcome));
    }
    if !done.is_empty() {
        generation::raise(connection, &done).await?;
    }
    outcomes.sort_unstable_by_key(|(line, _)| *line);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

async fn add(connection: &mut PgConnection, new: &NewTenant) -> Result<Imported, Fault> {
    // Index names (primary key). Asked first: what meets a unique index ends the transaction for
    // all.
    let taken: Option<i32> = sqlx::query_scalar(
        "SELECT 1 FROM names WHERE (kind = 'slug' AND name = $1) OR (kind = 'from' AND name = $2)
         LIMIT 1",
    )
    .bind(&new.tenant.slug)
    .bind(new.tenant.from.folded())
    .fetch_optional(&mut *connection)
    .await?;
    if taken.is_some() {
        return Ok(Imported::NameTaken);
    }
    tenants::add(connection, new).await?;
    Ok(Imported::Done)
}

/// Changes what is named. Nothing is written before all of it is known to be good.
pub(crate) async fn update_tenant(
    connection: &mut PgConnection,
    update: &TenantUpdate,
) -> Result<(), Fault> {
    // First, as wherever a tenant and its addresses are written: in another order two would wait
    // for each other.
    tenants::lock(connection, update.tenant).await?;
    let current = default_of(connection, update.tenant).await?;
    if let Some(wished) = &update.reply_to {
        reply_to(connection, &current, wished).await?;
    }
    // Index tenants (primary key).
    let changed = sqlx::query(
        "UPDATE tenants SET name = coalesce($2, name), language = coalesce($3, language),
             plan = coalesce($4, plan)
         WHERE id = $1",
    )
    .bind(update.tenant.uuid())
    .bind(&update.name)
    .bind(update.language.map(Language::as_str))
    .bind(update.plan.as_ref().map(Plan::as_str))
    .execute(connection)
    .await?;
    found(changed.rows_affected(), "tenant")
}

/// Where a tenant's replies go, and would go.
struct Defaults {
    now: EmailAddress,
    next: Option<EmailAddress>,
}

async fn default_of(connection: &mut PgConnection, tenant: TenantId) -> Result<Defaults, Fault> {
    // Index tenants (primary key).
    let row: Option<(String, Option<String>)> =
        sqlx::query_as("SELECT reply_to, next_reply_to FROM tenants WHERE id = $1")
            .bind(tenant.uuid())
            .fetch_optional(connection)
            .await?;
    let (now, next) = row.ok_or(Fault::NotFound("tenant"))?;
    let place = Place {
        table: "tenants",
        id: tenant.uuid(),
    };
    Ok(Defaults {
        now: place.address("reply_to", &now)?,
        next: place.given("next_reply_to", next.as_deref(), EmailAddress::parse)?,
    })
}

/// Enters another default reply address, which is one at once or when it is confirmed.
async fn reply_to(
    connection: &mut PgConnection,
    current: &Defaults,
    wished: &ReplyAddress,
) -> Result<(), Fault> {
    let (tenant, folded) = (wished.tenant, wished.address.folded());
    let before = reply_addresses::find(connection, tenant, &current.now.folded()).await?;
    let known = reply_addresses::find(connection, tenant, &folded).await?;
    let mut status = known.as_ref().map_or(wished.status, |known| known.status);
    match (&known, &wished.attested_by) {
        (None, _) => reply_addresses::insert(connection, wished).await?,
        (Some(_), Some(by)) if status != ReplyStatus::Confirmed => {
            attest(connection, (tenant, &folded), by, wished.created_at).await?;
            status = ReplyStatus::Confirmed;
        }
        (Some(_), _) if status == ReplyStatus::Refused => return Err(disowned()),
        (Some(_), _) => {}
    }
    // One whose letter came back was never anybody's: nothing is sent with it, and it gives way.
    let stands = |entry: &ReplyAddress| match entry.status {
        ReplyStatus::Confirmed => true,
        ReplyStatus::Broken => entry.confirmed_at.is_some(),
        ReplyStatus::Unconfirmed | ReplyStatus::Refused => false,
    };
    let is_same = current.now.folded() == folded;
    let at_once =
        is_same || status == ReplyStatus::Confirmed || !before.as_ref().is_some_and(stands);
    let (now, next) = if at_once {
        (&wished.address, None)
    } else {
        (&current.now, Some(&wished.address))
    };
    set_default(connection, tenant, now, next).await
}

fn disowned() -> Fault {
    Fault::Rejected("who has the reply address said that the tenant is not theirs".to_owned())
}

async fn set_default(
    connection: &mut PgConnection,
    tenant: TenantId,
    now: &EmailAddress,
    next: Option<&EmailAddress>,
) -> Result<(), Fault> {
    // Index tenants (primary key).
    let changed = sqlx::query("UPDATE tenants SET reply_to = $2, next_reply_to = $3 WHERE id = $1")
        .bind(tenant.uuid())
        .bind(now.to_string())
        .bind(next.map(EmailAddress::to_string))
        .execute(connection)
        .await?;
    found(changed.rows_affected(), "tenant")
}

/// Confirms an address because somebody vouches for it; not against the word of its owner.
pub(crate) async fn attest(
    connection: &mut PgConnection,
    (tenant, folded): (TenantId, &str),
    by: &str,
    at: Timestamp,
) -> Result<(), Fault> {
    tenants::lock(connection, tenant).await?;
    let known = reply_addresses::find(connection, tenant, folded).await?;
    let known = known.ok_or(Fault::NotFound("reply address"))?;
    if known.status == ReplyStatus::Refused {
        return Err(disowned());
    }
    let status = ReplyStatus::Confirmed;
    reply_addresses::set_status(connection, (tenant, folded), status, at).await?;
    // Index reply_addresses_tenant.
    let changed = sqlx::query(
        "UPDATE reply_addresses SET attested_by = $3 WHERE tenant = $1 AND folded = $2",
    )
    .bind(tenant.uuid())
    .bind(folded)
    .bind(by)
    .execute(connection)
    .await?;
    found(changed.rows_affected(), "reply address")
}

/// An address has come to this status: it may be the one that is to be the default.
pub(crate) async fn became(
    connection: &mut PgConnection,
    (tenant, folded): (TenantId, &str),
    status: ReplyStatus,
) -> Result<(), Fault> {
    let defaults = default_of(connection, tenant).await?;
    match defaults.next {
        Some(next) if next.folded() == folded => match status {
            ReplyStatus::Confirmed => set_default(connection, tenant, &next, None).await,
            ReplyStatus::Refused => set_default(connection, tenant, &defaults.now, None).await,
            ReplyStatus::Unconfirmed | ReplyStatus::Broken => Ok(()),
        },
        _ => Ok(()),
    }
}

/// An address is taken away: nobody waits for its confirmation any more.
pub(crate) async fn removed(
    connection: &mut PgConnection,
    tenant: TenantId,
    folded: &str,
) -> Result<(), Fault> {
    became(connection, (tenant, folded), ReplyStatus::Refused).await
}
