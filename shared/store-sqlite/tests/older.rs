//! A database that an older release made.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use postrider_model::{
    Credential, EmailAddress, Language, Limits, MessageId, RecipientState, ReplyAddress,
    ReplySource, ReplyStatus, Stream, Tag, TenantId, Timestamp, Vendor, WaitCause,
};
use postrider_store::conformance::Ports;
use postrider_store::conformance::fixture::live;
use postrider_store::{MailFilter, MailPage, PageStart, Scope, Whose};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// One recipient that was deferred, one of a bulk message that is fresh, one that is held.
const OLD_ROWS: &str = r#"
        INSERT INTO tenants VALUES (zeroblob(16), 'Joe', 'joe', 'joe@send.example',
            'joe@home.example', 'active', 10, 600, 100, 1);
        INSERT INTO messages VALUES (x'01000000000000000000000000000000', zeroblob(16), 1000, 9000,
            5, 'transactional', 0, '["r1"]', '{"from":"","original_from":null,
            "reply_to":[],"to":[],"cc":[],"bcc":[],"subject":"","message_id":"",
            "stream":"transactional","tags":[{"name":"kind","value":"invoice"}],"attachments":[],"scheduled_at":null}');
        INSERT INTO messages VALUES (x'02000000000000000000000000000000', zeroblob(16), 2000, 9000,
            5, 'bulk', 0, '["r1"]', '{}');
        INSERT INTO bodies VALUES (x'01000000000000000000000000000000', x'68656c6c6f');
        INSERT INTO recipients VALUES (x'01000000000000000000000000000000',
            x'11000000000000000000000000000000', 0, 'a@x.example', 'b+1@bounce.example', 'queued',
            2, 3, 451, NULL, 'busy', 1500);
        INSERT INTO recipients VALUES (x'01000000000000000000000000000000',
            x'12000000000000000000000000000000', 1, 'b@x.example', 'b+2@bounce.example', 'held',
            1, 3, NULL, NULL, NULL, 1600);
        INSERT INTO recipients VALUES (x'02000000000000000000000000000000',
            x'21000000000000000000000000000000', 0, 'c@y.example', 'b+3@bounce.example', 'queued',
            0, 1, NULL, NULL, NULL, 2000);
        INSERT INTO queue VALUES (7, x'11000000000000000000000000000000',
            x'01000000000000000000000000000000', zeroblob(16), 220, 'x.example', 1000, 5000, 9000,
            2, 'greylisting');
        INSERT INTO queue VALUES (9, x'21000000000000000000000000000000',
            x'02000000000000000000000000000000', zeroblob(16), 220, 'y.example', 2000, 2000, 9000,
            0, 'turn');"#;

async fn made_by(release: usize, path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = options.create_if_missing(true).connect().await.unwrap();
    let mut known = Migrator::DEFAULT;
    known.migrations = MIGRATIONS.iter().take(release).cloned().collect();
    known
        .run_direct(None, &mut connection, false)
        .await
        .unwrap();
    connection
}

/// A relay on what the first release left.
async fn opened() -> (Ports, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let mut old = made_by(1, &path).await;
    sqlx::raw_sql(OLD_ROWS).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    let store = SqliteStore::open(&path, SqliteOptions::default())
        .await
        .unwrap();
    (Ports::of(store, ()), folder)
}

#[tokio::test]
async fn mail_of_the_first_release_is_in_the_lists_by_tag_and_by_recipient() {
    let (ports, _folder) = opened().await;
    let tenant = TenantId::from_bytes([0; 16]);
    let first = MessageId::from_bytes((1_u128 << 120).to_be_bytes());
    for filter in [tagged(), to_a()] {
        let found = listed(&ports, tenant, &filter).await;
        assert_eq!(found, [first], "{filter:?}");
    }
}

#[tokio::test]
async fn what_waits_in_a_database_of_the_first_release_still_waits() {
    let (ports, _folder) = opened().await;
    let rows = live(&ports).await;
    let [deferred, fresh] = &rows[..] else {
        unreachable!("two rows: {rows:?}")
    };
    let time = Timestamp::from_micros;
    assert_eq!(deferred.stream, Stream::Transactional);
    assert_eq!(
        (deferred.since, deferred.due_at),
        (time(1_500), time(5_000))
    );
    assert_eq!(
        (deferred.attempts, deferred.cause),
        (2, WaitCause::Greylisting)
    );
    assert_eq!((fresh.stream, fresh.since), (Stream::Bulk, time(2_000)));

    let opened = ports
        .queue
        .open(deferred.message, &[deferred.recipient])
        .await;
    let opened = opened.unwrap().unwrap();
    assert_eq!(opened.selectors, ["r1"]);
    assert_eq!(
        opened.sealed_until,
        time(0),
        "to be sealed before its next attempt"
    );
    let stored = ports.mail.email(deferred.tenant, deferred.message).await;
    let recipients = stored.unwrap().unwrap().recipients;
    let found: Vec<_> = recipients.iter().map(|r| (r.state, r.cause)).collect();
    let wanted = [
        (RecipientState::Queued, Some(WaitCause::Greylisting)),
        (RecipientState::Held, None),
    ];
    assert_eq!(found, wanted);
    assert!(
        recipients
            .iter()
            .all(|recipient| recipient.waits.is_empty())
    );
    let scope = Scope::Tenant(deferred.tenant);
    assert_eq!(ports.controls.held(&scope, None, 9).await.unwrap().len(), 1);

    let found = ports.directory.snapshot().await.unwrap();
    let limits = found.tenants.first().map(|tenant| tenant.limits);
    let wanted = Limits {
        requests_per_second: 10,
        per_minute: 600,
        burst: 100,
        ..Limits::default()
    };
    assert_eq!(limits, Some(wanted));
}

/// A key, and a reply address of each kind that there was.
const OLD_DIRECTORY: &str = r"
        INSERT INTO tenants (id, name, slug, from_address, reply_to, status, requests_per_second,
            per_minute, burst, created_at)
        VALUES (zeroblob(16), 'Joe', 'joe', 'joe@send.example', 'joe@home.example', 'active', 10, 600,
            100, 1);
        INSERT INTO reply_addresses (id, tenant, address, folded, status, created_at)
        VALUES (x'01000000000000000000000000000000', zeroblob(16), 'Joe@home.example',
                'joe@home.example', 'confirmed', 5),
            (x'02000000000000000000000000000000', zeroblob(16), 'zoe@home.example',
                'zoe@home.example', 'unconfirmed', 6);
        INSERT INTO credentials (id, tenant, prefix, hash, note, status, created_at)
        VALUES (x'03000000000000000000000000000000', zeroblob(16), 'pr_live_abcd',
            x'0707070707070707070707070707070707070707070707070707070707070707', 'office', 'active', 7);";

#[tokio::test]
async fn keys_and_reply_addresses_of_an_older_release_are_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let mut old = made_by(4, &path).await;
    let filled = sqlx::raw_sql(OLD_DIRECTORY).execute(&mut old).await;
    filled.unwrap();
    old.close().await.unwrap();
    let store = SqliteStore::open(&path, SqliteOptions::default()).await;
    let ports = Ports::of(store.unwrap(), folder);
    let found = ports.directory.snapshot().await.unwrap();
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

/// What was counted in one hour of the tenant of `OLD_ROWS`, and of one that is gone.
const OLD_COUNTS: &str = "
        INSERT INTO traffic VALUES
            ('hour', 'tenant', 1, '00000000-0000-0000-0000-000000000000', 0, 5, 4, 0, 1, 0, 0),
            ('hour', 'tenant', 1, '11111111-1111-1111-1111-111111111111', 0, 2, 2, 0, 0, 0, 0),
            ('hour', 'provider', 1, 'orange', 0, 0, 6, 0, 1, 0, 0);
        INSERT INTO delivery_times VALUES
            ('hour', 'tenant', 1, '00000000-0000-0000-0000-000000000000', 0, 200, 4);
        INSERT INTO refusals VALUES (1, zeroblob(16), 'orange', 'no', 0, 1);";

#[tokio::test]
async fn counts_of_an_older_release_are_summed_by_vendor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let mut old = made_by(1, &path).await;
    sqlx::raw_sql(OLD_ROWS).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    let mut old = made_by(16, &path).await;
    sqlx::raw_sql(OLD_COUNTS).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    let store = SqliteStore::open(&path, SqliteOptions::default()).await;
    let ports = Ports::of(store.unwrap(), folder);
    let reports = &ports.reports;
    let span = Timestamp::from_micros(0)..Timestamp::from_micros(7_200_000_000);
    let (lines, left) = reports.by_vendor(&span, &Whose::All, 9).await.unwrap();
    let told = lines.iter();
    let told = told.map(|(vendor, t)| (*vendor, t.counts.accepted, t.times.percentile(50)));
    let soon = Some(Duration::from_millis(200));
    let wanted = [(Some(Vendor::OPERATOR), 5, soon), (None, 2, None)];
    assert_eq!((told.collect::<Vec<_>>(), left), (wanted.to_vec(), 0));
    let its_own = Whose::Vendor(Vendor::OPERATOR);
    let heard = reports.refusals(&span, &its_own, 9).await.unwrap();
    assert_eq!((heard[0].text.as_str(), heard[0].count), ("no", 1));
}

/// By the tag of `OLD_ROWS`.
fn tagged() -> MailFilter {
    MailFilter {
        tag: Some(Tag {
            name: "kind".to_owned(),
            value: "invoice".to_owned(),
        }),
        ..MailFilter::default()
    }
}

/// By a recipient of `OLD_ROWS`.
fn to_a() -> MailFilter {
    MailFilter {
        recipient: Some(EmailAddress::parse("A@x.example").unwrap()),
        ..MailFilter::default()
    }
}

async fn listed(ports: &Ports, tenant: TenantId, filter: &MailFilter) -> Vec<MessageId> {
    let page = MailPage {
        limit: 9,
        start: PageStart::Newest,
    };
    let listed = ports.mail.list(tenant, filter, page).await;
    let listed = listed.unwrap().unwrap().emails;
    listed.iter().map(|email| email.id).collect()
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("relay.db");
    let open = || SqliteStore::open(&path, SqliteOptions::default());
    open().await.unwrap().close().await;
    let options = SqliteConnectOptions::new().filename(&path);
    let mut shell = options.connect().await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations
        (version, description, success, checksum, execution_time)
        VALUES (9001, 'from the future', true, x'00', 0)";
    sqlx::raw_sql(newer).execute(&mut shell).await.unwrap();
    shell.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let Err(refused) = open().await else {
        panic!("opened");
    };
    let said = refused.to_string();
    assert!(
        said.contains("newer release (it has migration 9001)"),
        "{said}"
    );
    assert!(said.contains("restore the backup"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
