//! Lists of a tenant's mail, a page at a time: along one index, from where the page begins, and no
//! further than it goes. The tenant is in every WHERE.

use postrider_model::{EventKind, MessageId, Stream, TenantId, Timestamp};
use postrider_store::{ListedEmail, Listing, MailFilter, MailPage, PageStart};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place};
use crate::{PostgresStore, transaction};

/// Messages on a page at most.
const MOST: u8 = 100;

#[derive(sqlx::FromRow)]
struct ListedRow {
    id: Uuid,
    accepted_at: i64,
    expires_at: i64,
    size: i64,
    summary: String,
    last_event: Option<String>,
}

impl PostgresStore {
    pub(crate) async fn read_list(
        &self,
        tenant: TenantId,
        filter: &MailFilter,
        page: MailPage,
    ) -> Result<Option<Listing>, Fault> {
        let mut snapshot = self.lend().await?;
        transaction::begin_reading(&mut snapshot).await?;
        let bound = match page.start {
            PageStart::Newest => Uuid::max(),
            PageStart::After(id) | PageStart::Before(id) => {
                if !is_there(&mut snapshot, tenant, id).await? {
                    transaction::commit(&mut snapshot).await?;
                    snapshot.back();
                    return Ok(None);
                }
                id.uuid()
            }
        };
        let limit = page.limit.clamp(1, MOST);
        let asked = sqlx::query_as(AssertSqlSafe(statement(filter, page.start)))
            .bind(tenant.uuid())
            .bind(bound)
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
        transaction::commit(&mut snapshot).await?;
        snapshot.back();
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
    snapshot: &mut PgConnection,
    tenant: TenantId,
    id: MessageId,
) -> Result<bool, Fault> {
    // Index messages (primary key).
    let found: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM messages WHERE tenant = $1 AND id = $2")
            .bind(tenant.uuid())
            .bind(id.uuid())
            .fetch_optional(snapshot)
            .await?;
    Ok(found.is_some())
}

/// The way along an index.
#[derive(Clone, Copy)]
struct Way {
    sign: char,
    by: &'static str,
    /// Which of two indexes is meant: see the migration. By the one whose NULLs are where they
    /// are not by default.
    along: &'static str,
}

/// The whole page in one statement: $1 tenant, $2 where it begins, $3 how many; then the
/// recipient and the tag, where they are asked for.
#[cfg_attr(
    not(feature = "cluster"),
    expect(unreachable_pub, reason = "for tests")
)]
pub fn statement(filter: &MailFilter, start: PageStart) -> String {
    let way = match start {
        PageStart::Before(_) => Way {
            sign: '>',
            by: "ASC",
            along: "ASC NULLS FIRST",
        },
        PageStart::Newest | PageStart::After(_) => Way {
            sign: '<',
            by: "DESC",
            along: "DESC NULLS LAST",
        },
    };
    let ids = if filter.recipient.is_some() {
        of_recipient(filter, way)
    } else {
        merged(filter, way)
    };
    // Indexes messages, recipients and events (primary keys) for the rest, in the parts of their
    // days. As `last_event` in `mail`.
    format!(
        "WITH page AS MATERIALIZED ({ids})
         SELECT m.id, m.accepted_at, m.expires_at, m.size, m.summary,
             (SELECT e.kind FROM recipients AS r JOIN events AS e ON e.recipient = r.id
              WHERE r.message = m.id
                  AND e.kind NOT IN ('ambiguous', 'reply_to_replaced', 'duplicate', 'auto_reply')
              ORDER BY e.at DESC, e.seq DESC, r.position DESC LIMIT 1) AS last_event
         FROM page JOIN messages AS m ON m.id = page.id
         ORDER BY m.id DESC"
    )
}

/// Index `recipients_address`: the tenant's mail to one address. Local parts are compared without
/// their case.
fn of_recipient(filter: &MailFilter, Way { sign, along, .. }: Way) -> String {
    let stream = match filter.stream {
        Some(stream) => format!("AND m.stream = '{}'", stream.as_str()),
        None => String::new(),
    };
    let tag = match filter.tag {
        Some(_) => {
            "AND EXISTS (SELECT 1 FROM message_tags AS t WHERE t.tenant = $1 AND t.name = $5
                 AND t.value = $6 AND t.stream = m.stream AND t.message = m.id)"
        }
        None => "",
    };
    // Indexes messages, message_tags and recipients (primary keys), asked of each recipient that
    // was found: as joins they could come first. A message to two spellings of an address is there
    // once.
    format!(
        r#"SELECT r.message AS id FROM recipients AS r
         WHERE lower(r.address COLLATE "C") = $4 AND r.tenant = $1 AND r.message {sign} $2
             AND (SELECT true {stream} {tag} FROM messages AS m WHERE m.id = r.message)
             AND r.id = (SELECT o.id FROM recipients AS o
                 WHERE o.message = r.message AND lower(o.address COLLATE "C") = $4
                 ORDER BY o.id LIMIT 1)
         ORDER BY r.message {along} LIMIT $3"#
    )
}

/// Indexes `messages_tenant` or `message_tags` (primary key): each stream for itself, then both.
fn merged(filter: &MailFilter, Way { sign, by, along }: Way) -> String {
    let streams = match filter.stream {
        Some(stream) => vec![stream],
        None => vec![Stream::Transactional, Stream::Bulk],
    };
    let (table, id, tag, order) = match filter.tag {
        Some(_) => (
            "message_tags",
            "message",
            "AND name = $4 AND value = $5",
            by,
        ),
        None => ("messages", "id", "", along),
    };
    let arms: Vec<String> = streams
        .into_iter()
        .map(|stream| {
            let stream = stream.as_str();
            format!(
                "(SELECT {id} AS id FROM {table}
                  WHERE tenant = $1 {tag} AND stream = '{stream}' AND {id} {sign} $2
                  ORDER BY {id} {order} LIMIT $3)"
            )
        })
        .collect();
    let arms = arms.join(" UNION ALL ");
    format!("SELECT id FROM ({arms}) AS arms ORDER BY id {by} LIMIT $3")
}

impl TryFrom<ListedRow> for ListedEmail {
    type Error = Fault;

    fn try_from(row: ListedRow) -> Result<Self, Fault> {
        let place = Place {
            table: "messages",
            id: row.id,
        };
        let last_event = row.last_event.as_deref().map(EventKind::parse).transpose();
        Ok(Self {
            id: MessageId::of(row.id),
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
