//! A database that an older release made.

use std::time::Duration;

use postrider_model::{
    Credential, EmailAddress, Language, MessageId, ReplyAddress, ReplySource, ReplyStatus, Tag,
    TenantId, Timestamp, Vendor,
};
use postrider_store::{MailFilter, MailPage, PageStart, Whose};
use postrider_store_postgres::PostgresStore;
use postrider_store_postgres::cluster::Database;
use sqlx::Connection as _;
use sqlx::migrate::Migrator;

use crate::{Relay, server, shell};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Mail of two tenants to one person, on two days that there are parts for: of the first tenant a
/// message with tags (one of them twice) and one without.
const OLD_ROWS: &str = r#"
INSERT INTO tenants (id, name, slug, from_address, reply_to, status, requests_per_second,
    per_minute, burst, created_at)
SELECT id::uuid, 'Joe', slug, slug || '@send.example', 'joe@home.example', 'active', 10, 600, 100, 1
FROM (VALUES ('00000000-0000-7000-8000-00000000000a', 'joe'),
    ('00000000-0000-7000-8000-00000000000b', 'jim')) AS t (id, slug);
DO $$
DECLARE
    cut text;
BEGIN
    FOREACH cut IN ARRAY ARRAY['messages', 'bodies', 'recipients', 'events'] LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', cut || '_p0',
            cut, '00000000-0000-0000-0000-000000000000', '00000526-5c00-0000-0000-000000000000');
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', cut || '_p1',
            cut, '00000526-5c00-0000-0000-000000000000', '00000a4c-b800-0000-0000-000000000000');
    END LOOP;
END
$$;
INSERT INTO messages (id, tenant, accepted_at, expires_at, size, stream, smtputf8, selectors, summary)
SELECT id::uuid, tenant::uuid, 1000, 9000, 5, stream, false, '["r1"]', replace($json${"from":"",
    "original_from":null,"reply_to":[],"to":[],"cc":[],"bcc":[],"subject":"","message_id":"",
    "stream":"STREAM","tags":TAGS,"attachments":[],"scheduled_at":null}$json$, 'STREAM', stream)
    ::text
FROM (VALUES
    ('00000000-0001-7000-8000-000000000001', '00000000-0000-7000-8000-00000000000a', 'bulk'),
    ('00000526-5c01-7000-8000-000000000002', '00000000-0000-7000-8000-00000000000a', 'transactional'),
    ('00000000-0001-7000-8000-000000000003', '00000000-0000-7000-8000-00000000000b', 'transactional')
) AS m (id, tenant, stream);
UPDATE messages SET summary = replace(summary, 'TAGS', CASE stream WHEN 'bulk' THEN
    '[{"name":"kind","value":"invoice"},{"name":"kind","value":"invoice"},{"name":"run","value":"7"}]'
    ELSE '[]' END);
INSERT INTO recipients (message, id, position, address, return_path, state, attempts, events,
    updated_at)
SELECT id, id, 0, 'Ann@example.org', 'b@bounce.example', 'delivered', 1, 1, 2000 FROM messages;
"#;

const JOE: &str = "00000000-0000-7000-8000-00000000000a";
const TAGGED: &str = "00000000-0001-7000-8000-000000000001";
const PLAIN: &str = "00000526-5c01-7000-8000-000000000002";

/// A database as it was after so many migrations, with mail in it.
async fn made_by(release: usize) -> Database {
    let database = server::shared().await.database().await.unwrap();
    PostgresStore::empty(&database.url).await.unwrap();
    migrate(&database, release).await;
    fill(&database, OLD_ROWS).await;
    database
}

/// The first so many migrations.
async fn migrate(database: &Database, release: usize) {
    let mut shell = shell(&database.url).await;
    let mut known = Migrator::DEFAULT;
    known.migrations = MIGRATIONS.iter().take(release).cloned().collect();
    known.run_direct(None, &mut shell, false).await.unwrap();
    shell.close().await.unwrap();
}

async fn fill(database: &Database, rows: &'static str) {
    let mut shell = shell(&database.url).await;
    sqlx::raw_sql(rows).execute(&mut shell).await.unwrap();
    shell.close().await.unwrap();
}

async fn listed(relay: &Relay, filter: MailFilter) -> Vec<MessageId> {
    let tenant: TenantId = JOE.parse().unwrap();
    let page = MailPage {
        limit: 9,
        start: PageStart::Newest,
    };
    let listing = relay.ports.mail.list(tenant, &filter, page).await;
    let emails = listing.unwrap().unwrap().emails;
    emails.iter().map(|email| email.id).collect()
}

fn tagged(name: &str, value: &str) -> MailFilter {
    MailFilter {
        tag: Some(Tag {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
        ..MailFilter::default()
    }
}

#[tokio::test]
async fn mail_of_an_older_release_is_in_the_lists_by_tag_and_by_recipient() {
    let (first, second) = (TAGGED.parse().unwrap(), PLAIN.parse().unwrap());
    for release in [1, 2] {
        let database = made_by(release).await;
        PostgresStore::migrate(&database.url).await.unwrap();
        let relay = Relay::on(database).await;
        assert_eq!(listed(&relay, MailFilter::default()).await, [second, first]);
        assert_eq!(listed(&relay, tagged("kind", "invoice")).await, [first]);
        assert_eq!(listed(&relay, tagged("run", "7")).await, [first]);
        assert_eq!(listed(&relay, tagged("run", "8")).await, []);
        let to_ann = MailFilter {
            recipient: Some(EmailAddress::parse("ann@example.org").unwrap()),
            ..MailFilter::default()
        };
        assert_eq!(listed(&relay, to_ann).await, [second, first]);
        let mut shell = relay.shell().await;
        let parts: Vec<String> = sqlx::query_scalar(
            "SELECT tableoid::regclass::text FROM message_tags ORDER BY name, value",
        )
        .fetch_all(&mut shell)
        .await
        .unwrap();
        assert_eq!(parts, ["message_tags_p0", "message_tags_p0"], "once each");
    }
}

#[tokio::test]
async fn mail_of_a_database_with_lists_over_all_tenants_is_in_a_tenants_own() {
    let database = made_by(3).await;
    PostgresStore::migrate(&database.url).await.unwrap();
    let relay = Relay::on(database).await;
    let to_ann = MailFilter {
        recipient: Some(EmailAddress::parse("ann@example.org").unwrap()),
        ..MailFilter::default()
    };
    let wanted = [PLAIN.parse().unwrap(), TAGGED.parse().unwrap()];
    assert_eq!(listed(&relay, to_ann).await, wanted);
}

/// A reply address of each kind that there was, and a key.
const OLD_DIRECTORY: &str = r"
INSERT INTO reply_addresses (id, tenant, address, folded, status, created_at)
VALUES ('01000000-0000-0000-0000-000000000000', '00000000-0000-7000-8000-00000000000a',
        'Joe@home.example', 'joe@home.example', 'confirmed', 5),
    ('02000000-0000-0000-0000-000000000000', '00000000-0000-7000-8000-00000000000a',
        'zoe@home.example', 'zoe@home.example', 'unconfirmed', 6);
INSERT INTO credentials (id, tenant, prefix, hash, note, status, created_at)
VALUES ('03000000-0000-0000-0000-000000000000', '00000000-0000-7000-8000-00000000000a',
    'pr_live_abcd', decode(repeat('07', 32), 'hex'), 'office', 'active', 7);
";

#[tokio::test]
async fn keys_and_reply_addresses_of_an_older_release_are_what_they_were() {
    let database = made_by(3).await;
    fill(&database, OLD_DIRECTORY).await;
    PostgresStore::migrate(&database.url).await.unwrap();
    let relay = Relay::on(database).await;
    let found = relay.ports.directory.snapshot().await.unwrap();
    let time = Timestamp::from_micros;
    let tenant = &found.tenants[0];
    assert_eq!((tenant.language, tenant.own_domain), (Language::En, false));
    assert!(tenant.ramp.is_past() && !tenant.is_house);
    let [joe, zoe] = &found.reply_addresses[..] else {
        unreachable!("two addresses: {found:?}")
    };
    assert_eq!(joe.address.to_string(), "Joe@home.example");
    let of = |a: &ReplyAddress| (a.status, a.source, a.confirmed_at, a.asked_at);
    let operator = ReplySource::Operator;
    let confirmed = (ReplyStatus::Confirmed, operator, Some(time(5)), None);
    assert_eq!(of(joe), confirmed);
    let unconfirmed = (ReplyStatus::Unconfirmed, operator, None, None);
    assert_eq!(of(zoe), unconfirmed);
    let key = &found.credentials[0];
    let wanted = Credential {
        note: "office".to_owned(),
        created_at: time(7),
        ..Credential::api(key.id, tenant.id, "pr_live_abcd".to_owned(), [7; 32])
    };
    assert_eq!(*key, wanted);
}

/// What was counted in one hour of Joe by two processes, and of one that is gone.
const OLD_COUNTS: &str = "
INSERT INTO traffic VALUES
    ('hour', 'tenant', 1, '00000000-0000-7000-8000-00000000000a', 3, 3, 3, 0, 0, 0, 0),
    ('hour', 'tenant', 1, '00000000-0000-7000-8000-00000000000a', 4, 2, 1, 0, 1, 0, 0),
    ('hour', 'tenant', 1, '11111111-1111-1111-1111-111111111111', 3, 2, 2, 0, 0, 0, 0);
INSERT INTO delivery_times VALUES
    ('hour', 'tenant', 1, '00000000-0000-7000-8000-00000000000a', 3, 200, 4);
";

#[tokio::test]
async fn counts_of_an_older_release_are_summed_by_vendor() {
    let database = made_by(3).await;
    migrate(&database, 16).await;
    fill(&database, OLD_COUNTS).await;
    PostgresStore::migrate(&database.url).await.unwrap();
    let relay = Relay::on(database).await;
    let reports = &relay.ports.reports;
    let span = Timestamp::from_micros(0)..Timestamp::from_micros(7_200_000_000);
    let (lines, left) = reports.by_vendor(&span, &Whose::All, 9).await.unwrap();
    let told = lines.iter();
    let told = told.map(|(vendor, t)| (*vendor, t.counts.accepted, t.times.percentile(50)));
    let soon = Some(Duration::from_millis(200));
    let wanted = [(Some(Vendor::OPERATOR), 5, soon), (None, 2, None)];
    assert_eq!((told.collect::<Vec<_>>(), left), (wanted.to_vec(), 0));
}
