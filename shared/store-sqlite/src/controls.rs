//! The controls port: verbs of operators about the queue.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use postrider_model::{ControlId, MessageId, NodeId, RecipientId, Timestamp};
use postrider_store::{
    Acknowledged, Control, ControlVerb, Controls, Enacted, HeldMessage, NewControl, QueuedCount,
    QueuedQuery, Scope, StoreError,
};
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{Place, json_ids};
use crate::subjects::Progress;
use crate::verbs::Deed;
use crate::{SqliteStore, nodes, verbs};

// All of the few controls.
const ALL: &str =
    "SELECT id, verb, tenant, vendor, domain, message, at, note FROM controls ORDER BY at, id";

/// How far the verbs that are under way have come.
#[derive(Clone, Default)]
pub(crate) struct Enacting(Arc<Mutex<HashMap<ControlId, Progress>>>);

#[async_trait]
impl Controls for SqliteStore {
    async fn raise(&self, control: NewControl) -> Result<ControlId, StoreError> {
        let raised = self
            .writer()
            .alone(move |connection| Box::pin(async move { raise(connection, &control).await }))
            .await?;
        self.ticker().control();
        Ok(raised)
    }

    async fn controls(&self) -> Result<Vec<Control>, StoreError> {
        let rows: Vec<ControlRow> = sqlx::query_as(ALL)
            .fetch_all(self.readers())
            .await
            .map_err(Fault::from)?;
        let controls: Result<Vec<_>, Fault> = rows.into_iter().map(Control::try_from).collect();
        Ok(controls?)
    }

    async fn acknowledge(
        &self,
        control: ControlId,
        node: NodeId,
        too_late: &[RecipientId],
    ) -> Result<(), StoreError> {
        let too_late = json_ids(too_late);
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { acknowledge(connection, control, node, &too_late).await })
            })
            .await
    }

    async fn acknowledged(
        &self,
        control: ControlId,
        now: Timestamp,
    ) -> Result<Acknowledged, StoreError> {
        Ok(Acknowledged {
            waiting_for: self.silent(control, now).await?,
            too_late: self.too_late(control).await?,
        })
    }

    async fn enact(&self, control: ControlId, now: Timestamp) -> Result<Enacted, StoreError> {
        self.enact_next(control, now).await
    }

    async fn close(&self, control: ControlId) -> Result<(), StoreError> {
        self.writer()
            .alone(move |connection| Box::pin(async move { close(connection, control).await }))
            .await?;
        self.enacting().0.lock().remove(&control);
        self.ticker().control();
        Ok(())
    }

    async fn held(
        &self,
        scope: &Scope,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<HeldMessage>, StoreError> {
        Ok(self.held_messages(scope, after, limit).await?)
    }

    async fn queued(&self, query: &QueuedQuery) -> Result<QueuedCount, StoreError> {
        Ok(self.count_queued(query).await?)
    }
}

#[derive(sqlx::FromRow)]
struct ControlRow {
    id: Vec<u8>,
    verb: String,
    tenant: Option<Vec<u8>>,
    vendor: Option<Vec<u8>>,
    domain: Option<String>,
    message: Option<Vec<u8>>,
    at: i64,
    note: Option<String>,
}

impl TryFrom<ControlRow> for Control {
    type Error = Fault;

    fn try_from(row: ControlRow) -> Result<Self, Fault> {
        let place = Place {
            table: "controls",
            id: &row.id,
        };
        let scope = match (&row.tenant, &row.vendor, &row.domain, &row.message) {
            (Some(tenant), None, None, None) => Scope::Tenant(place.id("tenant", tenant)?),
            (None, Some(vendor), None, None) => Scope::Vendor(place.id("vendor", vendor)?),
            (None, None, Some(domain), None) => Scope::Domain(place.domain("domain", domain)?),
            (None, None, None, Some(message)) => Scope::Message(place.id("message", message)?),
            _ => return Err(place.corrupt("tenant")),
        };
        Ok(Self {
            id: place.id("id", &row.id)?,
            verb: ControlVerb::parse(&row.verb).ok_or_else(|| place.corrupt("verb"))?,
            scope,
            at: Timestamp::from_micros(row.at),
        })
    }
}

/// The four columns of a scope, of which one is filled.
#[derive(Clone, Copy, Default)]
struct Columns<'a> {
    tenant: Option<&'a [u8]>,
    vendor: Option<&'a [u8]>,
    domain: Option<&'a str>,
    message: Option<&'a [u8]>,
}

fn columns(scope: &Scope) -> Columns<'_> {
    let mut columns = Columns::default();
    match scope {
        Scope::Tenant(tenant) => columns.tenant = Some(tenant.as_bytes()),
        Scope::Vendor(vendor) => columns.vendor = Some(vendor.as_bytes()),
        Scope::Domain(domain) => columns.domain = Some(domain.as_str()),
        Scope::Message(message) => columns.message = Some(message.as_bytes()),
    }
    columns
}

async fn raise(
    connection: &mut SqliteConnection,
    control: &NewControl,
) -> Result<ControlId, Fault> {
    let scope = columns(&control.scope);
    if control.verb == ControlVerb::Suspend {
        // All of the few controls.
        let stands: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT id FROM controls
             WHERE verb = 'suspend' AND tenant IS ?1 AND vendor IS ?2 AND domain IS ?3
                 AND message IS ?4",
        )
        .bind(scope.tenant)
        .bind(scope.vendor)
        .bind(scope.domain)
        .bind(scope.message)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(id) = stands {
            let place = Place {
                table: "controls",
                id: &id,
            };
            return place.id("id", &id);
        }
    }
    sqlx::query(
        "INSERT INTO controls (id, verb, tenant, vendor, domain, message, at, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(control.id.as_bytes().as_slice())
    .bind(control.verb.as_str())
    .bind(scope.tenant)
    .bind(scope.vendor)
    .bind(scope.domain)
    .bind(scope.message)
    .bind(control.at.as_micros())
    .bind(&control.note)
    .execute(connection)
    .await?;
    Ok(control.id)
}

async fn acknowledge(
    connection: &mut SqliteConnection,
    control: ControlId,
    node: NodeId,
    too_late: &str,
) -> Result<(), Fault> {
    // Indexes controls and acknowledgements (primary keys). Said twice, both hold.
    let said = sqlx::query(
        "INSERT INTO acknowledgements (control, node, too_late)
         SELECT id, ?2, ?3 FROM controls WHERE id = ?1
         ON CONFLICT (control, node) DO UPDATE SET too_late = (
             SELECT json_group_array(value) FROM (
                 SELECT value FROM json_each(too_late)
                 UNION SELECT value FROM json_each(excluded.too_late)))",
    )
    .bind(control.as_bytes().as_slice())
    .bind(node.as_bytes().as_slice())
    .bind(too_late)
    .execute(connection)
    .await?;
    if said.rows_affected() == 0 {
        return Err(Fault::NotFound("control"));
    }
    Ok(())
}

async fn close(connection: &mut SqliteConnection, control: ControlId) -> Result<(), Fault> {
    // Index controls (primary key); its acknowledgements go with it.
    let closed = sqlx::query("DELETE FROM controls WHERE id = ?1")
        .bind(control.as_bytes().as_slice())
        .execute(connection)
        .await?;
    if closed.rows_affected() == 0 {
        return Err(Fault::NotFound("control"));
    }
    Ok(())
}

/// Sees to it that a verb stands still: once it is closed, owners go on, and what it would change
/// may be on its way.
async fn stand(connection: &mut SqliteConnection, control: ControlId) -> Result<(), Fault> {
    // Index controls (primary key).
    let stands: Option<i64> = sqlx::query_scalar("SELECT 1 FROM controls WHERE id = ?1")
        .bind(control.as_bytes().as_slice())
        .fetch_optional(connection)
        .await?;
    stands.map(|_| ()).ok_or(Fault::NotFound("control"))
}

impl SqliteStore {
    /// Nodes that own shards, live, and have not acknowledged.
    async fn silent(&self, control: ControlId, now: Timestamp) -> Result<Vec<String>, Fault> {
        // All of the few nodes and of the 1,024 shards; index acknowledgements (primary key).
        let names = sqlx::query_scalar(
            "SELECT n.name FROM nodes AS n
             WHERE n.beat_at >= ?2 AND n.id IN (SELECT owner FROM shards)
                 AND NOT EXISTS (SELECT 1 FROM acknowledgements AS a
                     WHERE a.control = ?1 AND a.node = n.id)
             ORDER BY n.name",
        )
        .bind(control.as_bytes().as_slice())
        .bind(nodes::young(now))
        .fetch_all(self.readers())
        .await?;
        Ok(names)
    }

    async fn too_late(&self, control: ControlId) -> Result<Vec<RecipientId>, Fault> {
        // Index acknowledgements (primary key).
        let texts: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT j.value FROM acknowledgements AS a, json_each(a.too_late) AS j
             WHERE a.control = ?1 ORDER BY j.value",
        )
        .bind(control.as_bytes().as_slice())
        .fetch_all(self.readers())
        .await?;
        let place = Place {
            table: "acknowledgements",
            id: control.as_bytes(),
        };
        let ids = texts.iter().map(|text| place.parsed("too_late", text));
        ids.collect()
    }

    async fn enact_next(&self, control: ControlId, now: Timestamp) -> Result<Enacted, StoreError> {
        // Index controls (primary key).
        let row: Option<ControlRow> = sqlx::query_as(
            "SELECT id, verb, tenant, vendor, domain, message, at, note FROM controls WHERE id = ?1",
        )
            .bind(control.as_bytes().as_slice())
            .fetch_optional(self.readers())
            .await
            .map_err(Fault::from)?;
        let row = row.ok_or(Fault::NotFound("control"))?;
        let note = row.note.clone();
        let raised = Control::try_from(row)?;
        let mut progress = self.enacting().at(control);
        let too_late = self.too_late(control).await?;
        let found = self
            .subjects(&raised, &too_late, now, &mut progress)
            .await?;
        let deed = Deed {
            verb: raised.verb,
            at: now,
            note,
        };
        let fresh = self.fresh().clone();
        let subjects = found.subjects;
        let changed = self
            .writer()
            .numbering(move |desk| {
                Box::pin(async move {
                    stand(&mut desk.connection, control).await?;
                    // Before the commit: `open` fills nothing in again.
                    for subject in &subjects {
                        fresh.take(subject.message, subject.recipient);
                    }
                    verbs::enact(&mut desk.connection, &mut desk.seq, &subjects, &deed).await
                })
            })
            .await?;
        self.enacting().came_to(control, found.more, progress);
        if changed > 0 && matches!(raised.verb, ControlVerb::Release | ControlVerb::RetryNow) {
            self.ticker().look();
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
