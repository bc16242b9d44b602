//! Opening: one process, one writer, migrated.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postrider_store::{Fresh, Pending};
use postrider_telemetry::Registry;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::checkpoint::{Checkpointer, Log};
use crate::committer::Committer;
use crate::controls::Enacting;
use crate::counting::{self, Counting};
use crate::fault::{Meaning, meaning};
use crate::instruments::{self, Instruments};
use crate::news::Ticker;
use crate::recent::Recent;
use crate::spool::{Segments, Spool, SpoolSettings};
use crate::store::Parts;
use crate::suspects::Suspects;
use crate::writer::{Desk, Writer};
use crate::{SqliteStore, nodes, spooled};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// How long a connection waits for another process (a backup, a shell) before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reading call waits for a free connection.
const READER_TIMEOUT: Duration = Duration::from_secs(10);

/// How the store is run.
#[derive(Clone)]
pub struct SqliteOptions {
    pub synchronous: Synchronous,
    /// Connections that read.
    pub readers: u32,
    /// Bytes of bodies just committed that are kept in memory for their first attempt.
    pub fresh_bytes: usize,
    /// Bytes past which a file of large bodies takes no further batch.
    pub segment_bytes: u64,
    /// The size past which the database counts as full, in pages of 16 KB; `None`: the disk's.
    pub pages_most: Option<u32>,
    /// Where the store's instruments are shown.
    pub registry: Registry,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            readers: 4,
            fresh_bytes: 64 << 20,
            segment_bytes: 256 << 20,
            pages_most: None,
            registry: Registry::new(),
        }
    }
}

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// Each commit is on disk when it is answered.
    Full,
    /// A power cut loses the mail that was acknowledged last. Exists so that a test can show
    /// that it notices the difference.
    Normal,
}

/// Why the database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} is in use by another process")]
    Locked { path: PathBuf },
    #[error("cannot create or lock {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Made by a later release: an older one does not know what it may not touch.
    #[error(
        "{path} was written by a newer release (it has migration {version}): run that release, or restore the backup that was made before it"
    )]
    Newer { path: PathBuf, version: i64 },
    #[error("migration {version} of {path} is not the one of this release")]
    Altered { path: PathBuf, version: i64 },
    #[error("{path} is not a database, or is damaged")]
    Damaged {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error("cannot open {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Brings the database at `path` to this release's shape; makes it where there is none.
pub async fn migrate(path: &Path) -> Result<(), OpenError> {
    let _lock = lock(path)?;
    let connection = connect_migrated(path, &SqliteOptions::default()).await?;
    connection
        .close()
        .await
        .map_err(|error| failed(path, error))
}

impl SqliteStore {
    /// Opens the database at `path` with its own writer task, migrated; makes it where there is
    /// none (readable for its owner alone). `<path>.lock` keeps a second process out.
    pub async fn open(path: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        if options.synchronous == Synchronous::Normal {
            tracing::error!(
                "synchronous = NORMAL: a power cut loses mail that was promised; for tests only"
            );
        }
        let lock = Arc::new(lock(path)?);
        let mut connection = connect_migrated(path, &options).await?;
        // Index queue (primary key).
        let seq: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM queue")
            .fetch_one(&mut connection)
            .await
            .map_err(|error| failed(path, error))?;
        nodes::forget_all(&mut connection)
            .await
            .map_err(|error| failed(path, error))?;
        let suspects = Suspects::read(&mut connection)
            .await
            .map_err(|error| failed(path, error))?;
        let recent = Recent::read(&mut connection)
            .await
            .map_err(|error| failed(path, error))?;
        let newest = spooled::newest(&mut connection).await;
        let newest = newest.map_err(|error| failed(path, error))?;
        let segments = Segments::beside(path);
        let files = SpoolSettings {
            is_synced: options.synchronous == Synchronous::Full,
            segment_most: options.segment_bytes,
        };
        let spool = Spool::new(segments.clone(), newest, files).map_err(|source| {
            let path = path.to_owned();
            OpenError::File { path, source }
        })?;
        let readers = pool(reading(path, &options), options.readers, path).await?;
        let checkpoints = pool(settings(path, &options), 1, path).await?;
        instruments::show_pool(&options.registry, &readers);
        let store = start(Opened {
            connection,
            seq,
            suspects,
            recent,
            segments,
            spool,
            readers,
            checkpoints,
            lock,
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            fresh: Fresh::new(options.fresh_bytes),
            instruments: Instruments::new(&options.registry),
        });
        if let Err(fault) = store.clear_unused().await {
            tracing::warn!(error = ?fault, "what nothing refers to could not be cleared from the segments of bodies");
        }
        Ok(store)
    }
}

struct Opened {
    connection: SqliteConnection,
    seq: i64,
    suspects: Suspects,
    recent: Recent,
    segments: Segments,
    spool: Spool,
    readers: SqlitePool,
    checkpoints: SqlitePool,
    lock: Arc<File>,
    folder: PathBuf,
    fresh: Fresh,
    instruments: Instruments,
}

fn start(opened: Opened) -> SqliteStore {
    let (failed, closing) = (CancellationToken::new(), CancellationToken::new());
    let tasks = TaskTracker::new();
    let (writer, commands) = Writer::new(failed.clone());
    let (ticker, counts) = (Ticker::new(opened.seq), Arc::<Pending>::default());
    let checkpointer = Checkpointer {
        connection: opened.checkpoints.clone(),
        failed: failed.clone(),
        instruments: opened.instruments.clone(),
    };
    let committer = Committer {
        desk: Desk {
            connection: opened.connection,
            seq: opened.seq,
            suspects: opened.suspects.clone(),
            recent: opened.recent,
            spool: opened.spool,
            bytes_in_log: 0,
        },
        commands,
        held_back: None,
        ticker: ticker.clone(),
        log: Log::new(checkpointer, tasks.clone()),
        fresh: opened.fresh.clone(),
        failed: failed.clone(),
        closing: closing.clone(),
        instruments: opened.instruments,
        counts: Arc::clone(&counts),
    };
    let (lock, guard) = (Arc::clone(&opened.lock), failed.clone().drop_guard());
    tasks.spawn(async move {
        committer.run().await;
        // Not reached where it panicked: then the store has failed.
        guard.disarm();
        drop(lock);
    });
    let store = SqliteStore::new(Parts {
        writer,
        readers: opened.readers,
        checkpoints: opened.checkpoints,
        fresh: opened.fresh,
        suspects: opened.suspects,
        segments: opened.segments,
        ticker,
        enacting: Enacting::default(),
        failed,
        closing,
        tasks,
        folder: if opened.folder.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            opened.folder
        },
        lock: opened.lock,
        counting: Counting::of(counts),
    });
    let parts = store.parts();
    let keep = counting::keep(Arc::downgrade(parts), parts.closing.clone());
    parts.tasks.spawn(keep);
    store
}

/// Takes `<path>.lock` for this process; it falls back with the file, however the process ends.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = private_file(&name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path: name, source }),
    }
}

/// Opens or makes a file for its owner alone. SQLite gives its log the mode of the database.
fn private_file(path: &Path) -> Result<File, OpenError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| OpenError::File {
            path: path.to_owned(),
            source,
        })
}

async fn connect_migrated(
    path: &Path,
    options: &SqliteOptions,
) -> Result<SqliteConnection, OpenError> {
    drop(private_file(path)?);
    let mut settings = settings(path, options);
    if let Some(pages) = options.pages_most {
        settings = settings.pragma("max_page_count", pages.to_string());
    }
    let mut connection = settings
        .connect()
        .await
        .map_err(|error| failed(path, error))?;
    MIGRATIONS
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|error| not_migrated(path, error))?;
    Ok(connection)
}

fn settings(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .page_size(16_384)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match options.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        })
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(256)
        // Checkpoints have a connection of their own.
        .pragma("wal_autocheckpoint", "0")
        // A log that once grew long is cut back when it is begun anew.
        .pragma("journal_size_limit", "134217728")
        .pragma("temp_store", "memory")
        // Negative: KiB.
        .pragma("cache_size", "-32768")
        .disable_statement_logging()
}

fn reading(path: &Path, options: &SqliteOptions) -> SqliteConnectOptions {
    settings(path, options)
        .read_only(true)
        .pragma("cache_size", "-8192")
}

async fn pool(
    settings: SqliteConnectOptions,
    size: u32,
    path: &Path,
) -> Result<SqlitePool, OpenError> {
    SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(READER_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(settings)
        .await
        .map_err(|error| failed(path, error))
}

fn failed(path: &Path, source: sqlx::Error) -> OpenError {
    let path = path.to_owned();
    match meaning(&source) {
        Meaning::Broken => OpenError::Damaged { path, source },
        _ => OpenError::Open {
            path,
            source: Box::new(source),
        },
    }
}

fn not_migrated(path: &Path, error: MigrateError) -> OpenError {
    let there = path.to_owned();
    match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            failed(path, source)
        }
        MigrateError::VersionMissing(version) => OpenError::Newer {
            path: there,
            version,
        },
        MigrateError::VersionMismatch(version) => OpenError::Altered {
            path: there,
            version,
        },
        other => OpenError::Open {
            path: there,
            source: Box::new(other),
        },
    }
}
