//! What a list reads: a page of it, however much mail there is of others and of its own.

use std::fmt::Write as _;

use postrider_model::{EmailAddress, MessageId, Stream, Tag, TenantId};
use postrider_store::conformance::fixture::{add_tenant, at, commit_all, message};
use postrider_store::{MailFilter, PageStart};
use postrider_store_postgres::list_statement;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::Relay;

/// Blocks that a page may take: of each part the way down an index, of each message on it a few. The
/// worst of the pages below takes 487, asking after each recipient on it in several indexes.
const BLOCKS_MOST: u64 = 550;

/// The wrong way at its shortest: all of a tenant's messages with a tag, in one stream, for a page of
/// them. It takes 860 blocks, each with some 60 of 50,000 entries.
const ALL_TAGS: &str = "SELECT message FROM message_tags
    WHERE tenant = $1 AND name = 'kind' AND value = 'invoice' AND stream = 'bulk'
    ORDER BY message::text DESC LIMIT 11";

/// Tagged mail of a tenant, newer than all other, in the day of `at(0)`.
const FILL: &str = "
WITH m AS (
    INSERT INTO messages (id, tenant, accepted_at, expires_at, size, stream, smtputf8, selectors,
        summary)
    SELECT (substr($1, 1, 14) || '7' || substr($1, 16, 3) || '-ffff-' || lpad(to_hex(n), 12, '0'))::uuid,
        $2::uuid, 0, 0, 1, CASE n % 2 WHEN 0 THEN 'bulk' ELSE 'transactional' END, false, '[]', '{}'
    FROM generate_series(1, 100000) AS n RETURNING id, tenant, stream),
t AS (
    INSERT INTO message_tags (tenant, name, value, stream, message)
    SELECT tenant, 'kind', 'invoice', stream, id FROM m)
INSERT INTO recipients (message, id, position, address, return_path, state, attempts, events,
    updated_at, tenant)
SELECT id, id, 0, coalesce($3, 'x' || substr(id::text, 25) || '@example.org'), 'b@x.example',
    'delivered', 1, 1, 0, tenant
FROM m";

/// To one address, or to one for each.
async fn fill(relay: &Relay, newest: MessageId, tenant: TenantId, address: Option<&str>) {
    let mut shell = relay.shell().await;
    sqlx::query(FILL)
        .bind(newest.to_string())
        .bind(tenant.to_string())
        .bind(address)
        .execute(&mut shell)
        .await
        .unwrap();
    // What a vacuum of the server's own would write down in some runs, it finds written in each.
    let vacuum = "VACUUM (ANALYZE)";
    sqlx::raw_sql(vacuum).execute(&mut shell).await.unwrap();
}

fn filters() -> Vec<MailFilter> {
    let mut filters = Vec::new();
    for recipient in [None, Some(EmailAddress::parse("Ann@example.org").unwrap())] {
        for value in [None, Some("invoice"), Some("none")] {
            for stream in [None, Some(Stream::Bulk)] {
                let tag = value.map(|value| Tag {
                    name: "kind".to_owned(),
                    value: value.to_owned(),
                });
                let recipient = recipient.clone();
                filters.push(MailFilter {
                    recipient,
                    tag,
                    stream,
                });
            }
        }
    }
    filters
}

#[tokio::test]
async fn a_page_of_a_list_reads_a_page_and_no_more() {
    let relay = Relay::start().await;
    let ports = &relay.ports;
    let (small, large) = (add_tenant(ports).await, add_tenant(ports).await);
    let mail: Vec<_> = (0..30)
        .map(|n| {
            let mut given = message(small);
            if n % 2 == 0 {
                given.summary.tags.push(Tag {
                    name: "kind".to_owned(),
                    value: "invoice".to_owned(),
                });
            }
            given
        })
        .collect();
    commit_all(ports, &mail).await;
    fill(&relay, MessageId::new(at(60), [0; 10]), large, None).await;
    // Others write to the same person, more than all.
    let others = add_tenant(ports).await;
    let newest = MessageId::new(at(120), [0; 10]);
    fill(&relay, newest, others, Some("ann@example.org")).await;
    let mut shell = relay.shell().await;
    // As the store's own connections.
    let settings = "SET jit = off; SET plan_cache_mode = force_generic_plan;
        SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off";
    sqlx::raw_sql(settings).execute(&mut shell).await.unwrap();
    let starts = [
        PageStart::Newest,
        PageStart::After(mail[20].id),
        PageStart::Before(mail[5].id),
    ];
    let all = blocks_of(&mut shell, "uuid", ALL_TAGS, &format!("'{large}'")).await;
    assert!(all > BLOCKS_MOST, "{all} blocks for all there is");
    for filter in filters() {
        for start in starts {
            for tenant in [small, large] {
                let blocks = blocks_read(&mut shell, tenant, &filter, start).await;
                assert!(
                    blocks < BLOCKS_MOST,
                    "{blocks} blocks for {filter:?} from {start:?}"
                );
            }
        }
    }
}

async fn blocks_read(
    shell: &mut PgConnection,
    tenant: TenantId,
    filter: &MailFilter,
    start: PageStart,
) -> u64 {
    let bound = match start {
        PageStart::Newest => "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
        PageStart::After(id) | PageStart::Before(id) => id.to_string(),
    };
    let (mut types, mut values) = ("uuid, uuid, bigint".to_owned(), String::new());
    if let Some(address) = &filter.recipient {
        types += ", text";
        write!(values, ", '{}'", address.folded()).unwrap();
    }
    if let Some(tag) = &filter.tag {
        types += ", text, text";
        write!(values, ", '{}', '{}'", tag.name, tag.value).unwrap();
    }
    let statement = list_statement(filter, start);
    let given = format!("'{tenant}', '{bound}', 11{values}");
    blocks_of(shell, &types, &statement, &given).await
}

/// A statement with parameters of these types, for these values.
async fn blocks_of(shell: &mut PgConnection, types: &str, statement: &str, values: &str) -> u64 {
    let prepare = format!("DEALLOCATE ALL; PREPARE list ({types}) AS {statement}");
    sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&mut *shell)
        .await
        .unwrap();
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) EXECUTE list ({values})");
    let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_all(shell)
        .await
        .unwrap();
    let buffers = plan.iter().find(|line| line.contains("Buffers: shared"));
    let buffers = buffers.unwrap_or_else(|| panic!("{plan:#?}"));
    // «shared hit=12 read=3 dirtied=1»: what was read, from memory or not.
    let counts = buffers
        .split_whitespace()
        .filter_map(|part| part.strip_prefix("hit=").or(part.strip_prefix("read=")));
    counts.map(|count| count.parse::<u64>().unwrap()).sum()
}
