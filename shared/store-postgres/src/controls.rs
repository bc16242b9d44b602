//! The controls port: verbs of operators about the queue.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use postrider_model::{ControlId, MessageId, NodeId, RecipientId, TenantId, Timestamp, VendorId};
use postrider_store::{
    Acknowledged, Control, ControlVerb, Controls, Enacted, HeldMessage, NewControl, QueuedCount,
    QueuedQuery, Scope, StoreError,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::partitions::now;
use crate::rows::{Id as _, Place, text};
use crate::store::bounded;
use crate::subjects::Progress;
use crate::verbs::Deed;
use crate::{PostgresStore, nodes, verbs};

// All of the few controls.
const ALL: &str =
    "SELECT id, verb, tenant, vendor, domain, message, at, note FROM controls ORDER BY at, id";

/// How far the verbs that are under way have come.
#[derive(Clone, Default)]
pub(crate) struct Enacting(Arc<Mutex<HashMap<ControlId, Progress>>>);

#[async_trait]
impl Controls for PostgresStore {
    async fn raise(&self, control: NewControl) -> Result<ControlId, StoreError> {
        let raised = self
            .alone(move |connection| Box::pin(async move { raise(connection, &control).await }))
            .await?;
        self.board().controlled();
        Ok(raised)
    }

    async fn controls(&self) -> Result<Vec<Control>, StoreError> {
        let read = async {
            let mut connection = self.lend().await?;
            let rows: Vec<ControlRow> = sqlx::query_as(ALL).fetch_all(&mut *connection).await?;
            connection.back();
            rows.into_iter().map(Control::try_from).collect()
        };
        let controls: Vec<Control> = bounded(read).await?;
        self.fresh().heed(controls.iter().filter_map(change_mail));
        Ok(controls)
    }

    async fn acknowledge(
        &self,
        control: ControlId,
        node: NodeId,
        too_late: &[RecipientId],
    ) -> Result<(), StoreError> {
        // Its mail is changed by others from here on.
        self.fresh().clear();
        let too_late: Vec<String> = too_late.iter().map(ToString::to_string).collect();
        self.alone(move |connection| {
            Box::pin(async move { acknowledge(connection, control, node, &too_late).await })
        })
        .await
    }

    async fn acknowledged(
        &self,
        control: ControlId,
        _now: Timestamp,
    ) -> Result<Acknowledged, StoreError> {
        Ok(bounded(self.who_acknowledged(control)).await?)
    }

    async fn enact(&self, control: ControlId, now: Timestamp) -> Result<Enacted, StoreError> {
        self.enact_next(control, now).await
    }

    async fn close(&self, control: ControlId) -> Result<(), StoreError> {
        self.alone(move |connection| Box::pin(async move { close(connection, control).await }))
            .await?;
        self.enacting().0.lock().remove(&control);
        self.board().controlled();
        Ok(())
    }

    async fn held(
        &self,
        scope: &Scope,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        Ok(bounded(self.held_messages(scope, after, limit)).await?)
    }

    async fn queued(&self, query: &QueuedQuery) -> Result<QueuedCount, StoreError> {
        Ok(bounded(self.count_queued(query)).await?)
    }
}

/// Verbs by which waiting mail waits no longer.
fn change_mail(control: &Control) -> Option<ControlId> {
    let changes = matches!(control.verb, ControlVerb::Hold | ControlVerb::Cancel);
    changes.then_some(control.id)
}

#[derive(sqlx::FromRow)]
struct ControlRow {
    id: Uuid,
    verb: String,
    tenant: Option<Uuid>,
    vendor: Option<Uuid>,
    domain: Option<String>,
    message: Option<Uuid>,
    at: i64,
    note: Option<String>,
}

impl TryFrom<ControlRow> for Control {
    type Error = Fault;

    fn try_from(row: ControlRow) -> Result<Self, Fault> {
        let place = Place {
            table: "controls",
            id: row.id,
        };
        let scope = match (row.tenant, row.vendor, &row.domain, row.message) {
            (Some(tenant), None, None, None) => Scope::Tenant(TenantId::of(tenant)),
            (None, Some(vendor), None, None) => Scope::Vendor(VendorId::of(vendor)),
            (None, None, Some(domain), None) => Scope::Domain(place.domain("domain", domain)?),
            (None, None, None, Some(message)) => Scope::Message(MessageId::of(message)),
            _ => return Err(place.corrupt("tenant")),
        };
        Ok(Self {
            id: ControlId::of(row.id),
            verb: ControlVerb::parse(&row.verb).ok_or_else(|| place.corrupt("verb"))?,
            scope,
            at: Timestamp::from_micros(row.at),
        })
    }
}

/// The four columns of a scope, of which one is filled.
#[derive(Clone, Copy, Default)]
struct Columns<'a> {
    tenant: Option<Uuid>,
    vendor: Option<Uuid>,
    domain: Option<&'a str>,
    message: Option<Uuid>,
}

fn columns(scope: &Scope) -> Columns<'_> {
    let mut columns = Columns::default();
    match scope {
        Scope::Tenant(tenant) => columns.tenant = Some(tenant.uuid()),
        Scope::Vendor(vendor) => columns.vendor = Some(vendor.uuid()),
        Scope::Domain(domain) => columns.domain = Some(domain.as_str()),
        Scope::Message(message) => columns.message = Some(message.uuid()),
    }
    columns
}

/// Keeps two from suspending the same at once.
const SUSPENDING: i64 = 0x706f_7374_7375_7370;

async fn raise(connection: &mut PgConnection, control: &NewControl) -> Result<ControlId, Fault> {
    let scope = columns(&control.scope);
    if control.verb == ControlVerb::Suspend {
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(SUSPENDING)
            .execute(&mut *connection)
            .await?;
        // All of the few controls.
        let stands: Option<Uuid> = sqlx::query_scalar(
            "SELECT id FROM controls WHERE verb = 'suspend' AND tenant IS NOT DISTINCT FROM $1
                 AND vendor IS NOT DISTINCT FROM $2 AND domain IS NOT DISTINCT FROM $3
                 AND message IS NOT DISTINCT FROM $4",
        )
        .bind(scope.tenant)
        .bind(scope.vendor)
        .bind(scope.domain)
        .bind(scope.message)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(id) = stands {
            return Ok(ControlId::of(id));
        }
    }
    sqlx::query(
        "INSERT INTO controls (id, verb, tenant, vendor, domain, message, at, note)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(control.id.uuid())
    .bind(control.verb.as_str())
    .bind(scope.tenant)
    .bind(scope.vendor)
    .bind(scope.domain)
    .bind(scope.message)
    .bind(control.at.as_micros())
    .bind(control.note.as_deref().map(text))
    .execute(connection)
    .await?;
    Ok(control.id)
}

async fn acknowledge(
    connection: &mut PgConnection,
    control: ControlId,
    node: NodeId,
    too_late: &[String],
) -> Result<(), Fault> {
    // Indexes controls and acknowledgements (primary keys). Said twice, both hold.
    let said = sqlx::query(
        "INSERT INTO acknowledgements AS a (control, node, too_late)
         SELECT c.id, $2, to_json($3::text[])::text FROM controls AS c WHERE c.id = $1
         ON CONFLICT (control, node) DO UPDATE SET too_late = (
             SELECT coalesce(json_agg(x.id), '[]')::text FROM (
                 SELECT json_array_elements_text(a.too_late::json) AS id
                 UNION SELECT json_array_elements_text(excluded.too_late::json)) AS x)",
    )
    .bind(control.uuid())
    .bind(node.uuid())
    .bind(too_late)
    .execute(connection)
    .await?;
    if said.rows_affected() == 0 {
        return Err(Fault::NotFound("control"));
    }
    Ok(())
}

async fn close(connection: &mut PgConnection, control: ControlId) -> Result<(), Fault> {
    // Index controls (primary key); its acknowledgements go with it.
    let closed = sqlx::query("DELETE FROM controls WHERE id = $1")
        .bind(control.uuid())
        .execute(connection)
        .await?;
    if closed.rows_affected() == 0 {
        return Err(Fault::NotFound("control"));
    }
    Ok(())
}

/// Sees to it that a verb stands until the transaction ends: once it is closed, owners go on, and
/// what it would change may be on its way.
async fn stand(connection: &mut PgConnection, control: ControlId) -> Result<(), Fault> {
    // Index controls (primary key). Whoever closes it waits for this.
    let stands: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM controls WHERE id = $1 FOR KEY SHARE")
            .bind(control.uuid())
            .fetch_optional(connection)
            .await?;
    stands.map(|_| ()).ok_or(Fault::NotFound("control"))
}

/// Nodes that own shards, live, and have not acknowledged.
async fn silent(connection: &mut PgConnection, control: ControlId) -> Result<Vec<String>, Fault> {
    let now = now(connection).await?;
    // All of the few nodes and of the 1,024 shards; index acknowledgements (primary key).
    let names = sqlx::query_scalar(
        "SELECT n.name FROM nodes AS n
         WHERE n.beat_at >= $2 AND EXISTS (SELECT 1 FROM shards AS s WHERE s.owner = n.id)
             AND NOT EXISTS (SELECT 1 FROM acknowledgements AS a
                 WHERE a.control = $1 AND a.node = n.id)
         ORDER BY n.name",
    )
    .bind(control.uuid())
    .bind(nodes::young(now))
    .fetch_all(connection)
    .await?;
    Ok(names)
}

async fn too_late(
    connection: &mut PgConnection,
    control: ControlId,
) -> Result<Vec<RecipientId>, Fault> {
    // Index acknowledgements (primary key).
    let texts: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT j.id FROM acknowledgements AS a
         CROSS JOIN LATERAL json_array_elements_text(a.too_late::json) AS j (id)
         WHERE a.control = $1 ORDER BY j.id",
    )
    .bind(control.uuid())
    .fetch_all(connection)
    .await?;
    let place = Place {
        table: "acknowledgements",
        id: control.uuid(),
    };
    let ids = texts.iter().map(|text| place.parsed("too_late", text));
    ids.collect()
}

impl PostgresStore {
    async fn who_acknowledged(&self, control: ControlId) -> Result<Acknowledged, Fault> {
        let mut connection = self.lend().await?;
        let acknowledged = Acknowledged {
            waiting_for: silent(&mut connection, control).await?,
            too_late: too_late(&mut connection, control).await?,
        };
        connection.back();
        Ok(acknowledged)
    }

    async fn raised(
        &self,
        control: ControlId,
    ) -> Result<(Control, Option<String>, Vec<RecipientId>), Fault> {
        let mut connection = self.lend().await?;
        // Index controls (primary key).
        let row: Option<ControlRow> = sqlx::query_as(
            "SELECT id, verb, tenant, vendor, domain, message, at, note FROM controls WHERE id = $1",
        )
            .bind(control.uuid())
            .fetch_optional(&mut *connection)
            .await?;
        let row = row.ok_or(Fault::NotFound("control"))?;
        let note = row.note.clone();
        let late = too_late(&mut connection, control).await?;
        connection.back();
        Ok((Control::try_from(row)?, note, late))
    }

    async fn enact_next(&self, control: ControlId, now: Timestamp) -> Result<Enacted, StoreError> {
        let (raised, note, too_late) = bounded(self.raised(control)).await?;
        let mut progress = self.enacting().at(control);
        let found = bounded(self.subjects(&raised, &too_late, now, &mut progress)).await?;
        let deed = Deed {
            verb: raised.verb,
            at: now,
            note,
        };
        let subjects = found.subjects;
        for subject in &subjects {
            self.fresh().take(subject.message, subject.recipient);
        }
        let changed = self
            .alone(move |connection| {
                Box::pin(async move {
                    stand(connection, control).await?;
                    verbs::enact(connection, &subjects, &deed).await
                })
            })
            .await?;
        self.enacting().came_to(control, found.more, progress);
        if changed > 0 && matches!(raised.verb, ControlVerb::Release | ControlVerb::RetryNow) {
            self.board().changed();
        }
        Ok(Enacted {
            changed,
            more: found.more,
        })
    }
}

impl Enacting {
    fn at(&self, control: ControlId) -> Progress {
        let all = self.0.lock();
        all.get(&control).cloned().unwrap_or_default()
    }

    /// Where the next batch goes on; from the beginning again where this was the last.
    fn came_to(&self, control: ControlId, more: bool, progress: Progress) {
        let mut all = self.0.lock();
        if more {
            all.insert(control, progress);
        } else {
            all.remove(&control);
        }
    }
}
