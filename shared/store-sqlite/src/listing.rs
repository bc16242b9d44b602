//! Lists of a tenant's mail, a page at a time: along one index, from where the page begins, and no
//! further than it goes. The tenant is in every WHERE.

use postrider_model::{EventKind, MessageId, Stream, TenantId, Timestamp};
use postrider_store::{ListedEmail, Listing, MailFilter, MailPage, PageStart};
use sqlx::{AssertSqlSafe, Sqlite, Transaction};

use crate::SqliteStore;
use crate::fault::Fault;
use crate::rows::Place;

/// Messages on a page at most.
const MOST: u8 = 100;
/// No id is larger.
const LARGEST: [u8; 16] = [0xff; 16];

#[derive(sqlx::FromRow)]
struct ListedRow {
    id: Vec<u8>,
    accepted_at: i64,
    expires_at: i64,
    size: i64,
    summary: String,
    last_event: Option<String>,
}

impl SqliteStore {
    pub(crate) async fn read_list(
        &self,
        tenant: TenantId,
        filter: &MailFilter,
        page: MailPage,
    ) -> Result<Option<Listing>, Fault> {
        let mut snapshot = self.readers().begin().await?;
        let bound = match page.start {
            PageStart::Newest => LARGEST,
            PageStart::After(id) | PageStart::Before(id) => {
                if !is_there(&mut snapshot, tenant, id).await? {
                    return Ok(None);
                }
                *id.as_bytes()
            }
        };
        let limit = page.limit.clamp(1, MOST);
        let asked = sqlx::query_as(AssertSqlSafe(statement(filter, page.start)))
            .bind(tenant.as_bytes().as_slice())
            .bind(bound.as_slice())
            // One more tells whether there is more.
            .bind(i64::from(limit) + 1);
        let asked = match &filter.recipient {
            Some(address) => asked.bind(address.folded()),
            None => asked,
        };
        let asked = match &filter.tag {
            Some(tag) => asked.bind(&tag.name).bind(&tag.value),
            None => asked,
        };
        let mut rows: Vec<ListedRow> = asked.fetch_all(&mut *snapshot).await?;
        let more = rows.len() > usize::from(limit);
        if more {
            // The one that is furthest from where the page begins.
            let last = rows.len() - 1;
            let further = matches!(page.start, PageStart::Before(_));
            rows.remove(if further { 0 } else { last });
        }
        let emails: Result<_, Fault> = rows.into_iter().map(ListedEmail::try_from).collect();
        Ok(Some(Listing {
            emails: emails?,
            more,
        }))
    }
}

async fn is_there(
    snapshot: &mut Transaction<'_, Sqlite>,
    tenant: TenantId,
    id: MessageId,
) -> Result<bool, Fault> {
    // Index messages (primary key).
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM messages WHERE tenant = ?1 AND id = ?2")
            .bind(tenant.as_bytes().as_slice())
            .bind(id.as_bytes().as_slice())
            .fetch_optional(&mut **snapshot)
            .await?;
    Ok(found.is_some())
}

/// The way along an index.
#[derive(Clone, Copy)]
struct Way {
    sign: char,
    by: &'static str,
}

/// The whole page in one statement: ?1 tenant, ?2 where it begins, ?3 how many; then the
/// recipient and the tag, where they are asked for.
fn statement(filter: &MailFilter, start: PageStart) -> String {
    let way = match start {
        PageStart::Before(_) => Way {
            sign: '>',
            by: "ASC",
        },
        PageStart::Newest | PageStart::After(_) => Way {
            sign: '<',
            by: "DESC",
        },
    };
    let ids = if filter.recipient.is_some() {
        of_recipient(filter, way)
    } else {
        merged(filter, way)
    };
    // Indexes messages, recipients and events (primary keys) for the rest. As `last_event` in
    // `mail`.
    format!(
        "WITH page AS MATERIALIZED ({ids})
         SELECT m.id, m.accepted_at, m.expires_at, m.size, m.summary,
             (SELECT e.kind FROM recipients AS r JOIN events AS e ON e.recipient = r.id
              WHERE r.message = m.id
                  AND e.kind NOT IN ('ambiguous', 'reply_to_replaced', 'duplicate', 'auto_reply')
              ORDER BY e.at DESC, e.seq DESC, r.position DESC LIMIT 1) AS last_event
         FROM page CROSS JOIN messages AS m ON m.id = page.id
         ORDER BY m.id DESC"
    )
}

/// Index `recipients_address`: the tenant's mail to one address. Local parts are compared without
/// their case.
fn of_recipient(filter: &MailFilter, Way { sign, by }: Way) -> String {
    let stream = match filter.stream {
        Some(stream) => format!("AND m.stream = '{}'", stream.as_str()),
        None => String::new(),
    };
    // Index message_tags (primary key).
    let tag = match filter.tag {
        Some(_) => {
            "AND EXISTS (SELECT 1 FROM message_tags AS t WHERE t.tenant = ?1 AND t.name = ?5
                 AND t.value = ?6 AND t.stream = m.stream AND t.message = m.id)"
        }
        None => "",
    };
    // A message to two spellings of an address is there once.
    format!(
        "SELECT r.message AS id FROM recipients AS r CROSS JOIN messages AS m ON m.id = r.message
         WHERE lower(r.address) = ?4 AND r.tenant = ?1 AND r.message {sign} ?2 {stream} {tag}
             AND NOT EXISTS (SELECT 1 FROM recipients AS o WHERE o.message = r.message
                 AND o.id < r.id AND lower(o.address) = ?4)
         ORDER BY r.message {by} LIMIT ?3"
    )
}

/// Indexes `messages_tenant` or `message_tags` (primary key): each stream for itself, then both.
fn merged(filter: &MailFilter, Way { sign, by }: Way) -> String {
    let streams = match filter.stream {
        Some(stream) => vec![stream],
        None => vec![Stream::Transactional, Stream::Bulk],
    };
    let (table, id, tag) = match filter.tag {
        Some(_) => ("message_tags", "message", "AND name = ?4 AND value = ?5"),
        None => ("messages", "id", ""),
    };
    let arms: Vec<String> = streams
        .into_iter()
        .map(|stream| {
            let stream = stream.as_str();
            format!(
                "SELECT * FROM (SELECT {id} AS id FROM {table}
                     WHERE tenant = ?1 {tag} AND stream = '{stream}' AND {id} {sign} ?2
                     ORDER BY {id} {by} LIMIT ?3)"
            )
        })
        .collect();
    let arms = arms.join(" UNION ALL ");
    format!("SELECT id FROM ({arms}) ORDER BY id {by} LIMIT ?3")
}

impl TryFrom<ListedRow> for ListedEmail {
    type Error = Fault;

    fn try_from(row: ListedRow) -> Result<Self, Fault> {
        let place = Place {
            table: "messages",
            id: &row.id,
        };
        let last_event = row.last_event.as_deref().map(EventKind::parse).transpose();
        Ok(Self {
            id: place.id("id", &row.id)?,
            accepted_at: Timestamp::from_micros(row.accepted_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            size: place.number("size", row.size)?,
            summary: place.cell("summary", serde_json::from_str(&row.summary))?,
            last_event: place
                .cell("kind", last_event)?
                .unwrap_or(EventKind::Accepted),
        })
    }
}

#[cfg(test)]
mod tests {
    use postrider_model::{EmailAddress, Tag};
    use postrider_store::conformance::Ports;
    use postrider_store::conformance::fixture::{add_tenant, commit_all, message};
    use sqlx::SqlitePool;

    use super::*;
    use crate::SqliteOptions;

    async fn plan(readers: &SqlitePool, filter: &MailFilter, start: PageStart) -> Vec<String> {
        let explain = format!("EXPLAIN QUERY PLAN {}", statement(filter, start));
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(explain))
            .fetch_all(readers)
            .await
            .unwrap();
        rows.into_iter().map(|(_, _, _, step)| step).collect()
    }

    #[tokio::test]
    async fn a_page_is_read_along_its_index_whatever_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let options = SqliteOptions::default();
        let store = SqliteStore::open(&path, options).await.unwrap();
        let ports = Ports::of(store.clone(), ());
        let tenant = add_tenant(&ports).await;
        let mail: Vec<_> = (0..500).map(|_| message(tenant)).collect();
        commit_all(&ports, &mail).await;
        let ann = EmailAddress::parse("ann@example.org").unwrap();
        let invoice = Tag {
            name: "kind".to_owned(),
            value: "invoice".to_owned(),
        };
        for (recipient, tag, first) in [
            (
                None,
                None,
                "SEARCH messages USING COVERING INDEX messages_tenant (tenant=? AND stream=? AND id",
            ),
            (
                None,
                Some(&invoice),
                "SEARCH message_tags USING PRIMARY KEY (tenant=? AND name=? AND value=? AND stream=? AND message",
            ),
            (
                Some(&ann),
                None,
                "SEARCH r USING COVERING INDEX recipients_address (<expr>=? AND tenant=? AND message",
            ),
            (
                Some(&ann),
                Some(&invoice),
                "SEARCH r USING COVERING INDEX recipients_address (<expr>=? AND tenant=? AND message",
            ),
        ] {
            for stream in [None, Some(Stream::Bulk)] {
                let filter = MailFilter {
                    recipient: recipient.cloned(),
                    tag: tag.cloned(),
                    stream,
                };
                for start in [PageStart::Newest, PageStart::Before(mail[5].id)] {
                    let plan = plan(store.readers(), &filter, start).await;
                    let search = plan.iter().find(|step| step.starts_with("SEARCH"));
                    assert!(
                        search.is_some_and(|step| step.starts_with(first)),
                        "{plan:#?}"
                    );
                    let mut scans = plan.iter().filter(|step| step.starts_with("SCAN"));
                    assert!(
                        scans.all(|step| step == "SCAN page" || step.starts_with("SCAN (")),
                        "{plan:#?}"
                    );
                }
            }
        }
    }
}
