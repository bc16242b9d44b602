//! Opening: a server of the right version, a schema of this release, and parts for today's mail.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_runtime::Rng;
use postrider_store::Fresh;
use postrider_telemetry::Registry;
use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::PostgresStore;
use crate::controls::Enacting;
use crate::counting::{self, Counting};
use crate::instruments::{self, Instruments};
use crate::listener::{Listener, News};
use crate::looks::Looks;
use crate::partitions::Partitions;
use crate::store::Parts;
use crate::writer::{Crew, Writer};

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// PostgreSQL 15: the oldest that we test with.
const SERVER_LEAST: u32 = 150_000;
/// How long a call waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a new connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What the server allows a statement, a lock, and a transaction in which nothing happens.
const STATEMENT_TIMEOUT: &str = "10s";
const LOCK_TIMEOUT: &str = "5s";
const IDLE_TIMEOUT: &str = "30s";

/// Parts go with their tables. Nothing but ours: the schema may hold other people's tables.
const EMPTY: &str = "SET lock_timeout = '10s'; SET statement_timeout = 0;
DROP TABLE IF EXISTS directory_changes, enrolments, failures, told, egress, egress_days, traffic, delivery_times,
    refusals, newcomers, sessions, suppressions, contacts, asked, key_usage, acknowledgements,
    controls, bucket_levels, shards, nodes, usage, idempotency, events, queue, recipients, bodies, message_tags, messages, generation, dkim_keys, credentials,
    reply_addresses, names, tenants, vendor_usage, vendor_keys, admin_tokens, audit, vendors,
    _sqlx_migrations";

/// How the store is run.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Connections at most, all together; at least 9 may be taken.
    pub connections: u32,
    /// Bytes of bodies just committed that are kept in memory for their first attempt.
    pub fresh_bytes: usize,
    /// Where the store's instruments are shown.
    pub registry: Registry,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections: 16,
            fresh_bytes: 64 << 20,
            registry: Registry::new(),
        }
    }
}

/// Why the database cannot be opened. Says which server and database, never the password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("not a URL of PostgreSQL; postgres://user@host:5432/database is one")]
    Url,
    #[error("cannot reach {database}")]
    Unreachable {
        database: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{database} runs on a server that is too old (15 or later is needed)")]
    Server { database: String },
    #[error("{database} has not the shape of this release; run `postrider migrate`")]
    Older { database: String },
    /// Made by a later release: an older one does not know what it may not touch.
    #[error(
        "{database} was written by a newer release (it has migration {version}): run that release, or restore the backup that was made before it"
    )]
    Newer { database: String, version: i64 },
    #[error("migration {version} of {database} is not the one of this release")]
    Altered { database: String, version: i64 },
    #[error("cannot prepare {database}")]
    Open {
        database: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl PostgresStore {
    /// Brings the database to this release's shape. Several at once wait for each other.
    pub async fn migrate(url: &str) -> Result<(), OpenError> {
        let server = Server::parse(url)?;
        let mut connection = server.reach().await?;
        server.check_version(&connection)?;
        // A migration may take its time, and its statements go over whole tables.
        let patient = "SET statement_timeout = 0; SET lock_timeout = 0; SET enable_hashjoin = on;
            SET enable_mergejoin = on; SET enable_seqscan = on";
        let done = sqlx::raw_sql(patient).execute(&mut connection).await;
        done.map_err(|error| server.failed(error))?;
        let run = MIGRATIONS.run_direct(None, &mut connection, false).await;
        run.map_err(|error| server.not_migrated(error))?;
        let partitions = Partitions::default();
        let made = partitions.make_ahead(&mut connection).await;
        made.map_err(|fault| server.failed(fault))?;
        // What was done is done, however the connection ends.
        let _gone = connection.close().await;
        Ok(())
    }

    /// Drops all that is ours in the database, so that `migrate` begins anew.
    pub async fn empty(url: &str) -> Result<(), OpenError> {
        let server = Server::parse(url)?;
        let mut connection = server.reach().await?;
        let done = sqlx::raw_sql(EMPTY).execute(&mut connection).await;
        done.map_err(|error| server.failed(error))?;
        let _gone = connection.close().await;
        Ok(())
    }

    /// Opens the database at `url`, whose schema has to be this release's.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, OpenError> {
        let server = Server::parse(url)?;
        let mut connection = server.reach().await?;
        server.check_version(&connection)?;
        server.check_schema(&mut connection).await?;
        let durable = server.check_durability(&mut connection).await?;
        let partitions = Partitions::default();
        let made = partitions.make_ahead(&mut connection).await;
        made.map_err(|fault| server.failed(fault))?;
        let _gone = connection.close().await;
        let settings = if durable {
            server.settings.clone()
        } else {
            server
                .settings
                .clone()
                .options([("synchronous_commit", "on")])
        };
        Ok(start(settings, &options, partitions))
    }
}

fn start(
    settings: PgConnectOptions,
    options: &PostgresOptions,
    partitions: Partitions,
) -> PostgresStore {
    // One listens, one tells, one beats, one stores groups; each kind of batch has one or two to
    // itself; the rest is for everybody. A heartbeat must never wait behind anything else.
    let workers = if options.connections >= 12 { 2 } else { 1 };
    let readers = options.connections.saturating_sub(3 * workers + 4).max(2);
    let (readers, beats) = (pool(&settings, readers), pool(&settings, 1));
    instruments::show_pool(&options.registry, &readers);
    let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
    let news = News::new(Uuid::from_bytes(Rng::system().bytes()));
    let fresh = Fresh::new(options.fresh_bytes);
    let partitions = Arc::new(partitions);
    let counting = Counting::of(own_part());
    let writer = Writer::start(
        workers,
        &Crew {
            settings: settings.clone(),
            partitions: Arc::clone(&partitions),
            fresh: fresh.clone(),
            news: news.clone(),
            instruments: Instruments::new(&options.registry),
            counts: Arc::clone(&counting.counted),
            closing: closing.clone(),
            away_since: Arc::default(),
        },
        &tasks,
    );
    let listener = Listener {
        settings,
        news: news.clone(),
        closing: closing.clone(),
    };
    tasks.spawn(listener.run());
    let store = PostgresStore::new(Parts {
        writer,
        readers,
        beats,
        fresh,
        news,
        partitions,
        enacting: Enacting::default(),
        looks: Looks::default(),
        counting,
        closing,
        tasks,
    });
    let parts = store.parts();
    let keep = counting::keep(Arc::downgrade(parts), parts.closing.clone());
    parts.tasks.spawn(keep);
    store
}

/// The rows that this process counts in: those of no other, as good as always; and if they are, one waits
/// for the other. 0 is for what is put together.
fn own_part() -> i32 {
    let [a, b, c]: [u8; 3] = Rng::system().bytes();
    i32::from_be_bytes([0, a, b, c]) + 1
}

fn pool(settings: &PgConnectOptions, size: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_mins(5))
        .max_lifetime(None)
        .connect_lazy_with(settings.clone())
}

/// A server and the database on it that are meant.
struct Server {
    settings: PgConnectOptions,
    /// To tell people: no user, no password.
    database: String,
}

impl Server {
    fn parse(url: &str) -> Result<Self, OpenError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(OpenError::Url);
        }
        // The error would quote the URL, with the password in it.
        let settings: PgConnectOptions = url.parse().map_err(|_| OpenError::Url)?;
        let place = match settings.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => settings.get_host().to_owned(),
        };
        let name = settings.get_database().unwrap_or(settings.get_username());
        let database = format!("database {name} at {place}:{}", settings.get_port());
        let settings = settings
            .application_name("postrider")
            .statement_cache_capacity(256)
            .options([
                ("statement_timeout", STATEMENT_TIMEOUT),
                ("lock_timeout", LOCK_TIMEOUT),
                ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
                // All our statements go by key, many rows at a time, over and over.
                ("jit", "off"),
                ("plan_cache_mode", "force_generic_plan"),
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
                ("enable_seqscan", "off"),
            ])
            .disable_statement_logging();
        Ok(Self { settings, database })
    }

    async fn reach(&self) -> Result<PgConnection, OpenError> {
        let unreachable = |source| OpenError::Unreachable {
            database: self.database.clone(),
            source,
        };
        match timeout(CONNECT_TIMEOUT, self.settings.connect()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(unreachable(Box::new(error))),
            Err(late) => Err(unreachable(Box::new(late))),
        }
    }

    fn check_version(&self, connection: &PgConnection) -> Result<(), OpenError> {
        match connection.server_version_num() {
            Some(version) if version < SERVER_LEAST => Err(OpenError::Server {
                database: self.database.clone(),
            }),
            _ => Ok(()),
        }
    }

    async fn check_schema(&self, connection: &mut PgConnection) -> Result<(), OpenError> {
        let older = || OpenError::Older {
            database: self.database.clone(),
        };
        let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| self.failed(error))?;
        if !there {
            return Err(older());
        }
        let table = MIGRATIONS.table_name.as_ref();
        let dirty = connection.dirty_version(table).await;
        if dirty.map_err(|error| self.not_migrated(error))?.is_some() {
            return Err(older());
        }
        let applied = connection.list_applied_migrations(table).await;
        let applied = applied.map_err(|error| self.not_migrated(error))?;
        let mut ours: HashMap<i64, &[u8]> = MIGRATIONS
            .iter()
            .map(|migration| (migration.version, migration.checksum.as_ref()))
            .collect();
        for migration in &applied {
            let (database, version) = (self.database.clone(), migration.version);
            match ours.remove(&version) {
                None => return Err(OpenError::Newer { database, version }),
                Some(checksum) if *checksum != *migration.checksum => {
                    return Err(OpenError::Altered { database, version });
                }
                Some(_) => {}
            }
        }
        if ours.is_empty() {
            Ok(())
        } else {
            Err(older())
        }
    }

    /// Whether a commit waits for the disk by the server's own setting.
    async fn check_durability(&self, connection: &mut PgConnection) -> Result<bool, OpenError> {
        let (commit, fsync): (String, String) = sqlx::query_as(
            "SELECT current_setting('synchronous_commit'), current_setting('fsync')",
        )
        .fetch_one(connection)
        .await
        .map_err(|error| self.failed(error))?;
        if fsync != "on" {
            tracing::error!(
                "fsync is off at {}: a power cut loses mail that was promised; for tests only",
                self.database
            );
        }
        Ok(commit != "off")
    }

    fn failed(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> OpenError {
        OpenError::Open {
            database: self.database.clone(),
            source: source.into(),
        }
    }

    fn not_migrated(&self, error: MigrateError) -> OpenError {
        let database = self.database.clone();
        match error {
            MigrateError::VersionMissing(version) => OpenError::Newer { database, version },
            MigrateError::VersionMismatch(version) => OpenError::Altered { database, version },
            other => self.failed(other),
        }
    }
}
