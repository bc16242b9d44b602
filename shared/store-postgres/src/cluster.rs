//! PostgreSQL servers for tests: started here, by an unprivileged user, in a temporary folder; never
//! one that happens to run. They listen on a Unix socket in it and nowhere else, and stop by
//! themselves when their last user is gone, however it ended.

mod server;
mod shared;

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::{Mutex, OnceCell};

use crate::open::MIGRATIONS;
use crate::{OpenError, PostgresStore};
use server::Server;
use shared::Users;

/// A running server.
pub struct Cluster {
    server: Arc<Server>,
    /// While it is held, the server lives.
    _users: Users,
    template: Mutex<Option<String>>,
}

/// How a server of one's own is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether commits wait for the disk.
    pub fsync: bool,
    pub max_connections: u32,
    /// More of its settings, by name.
    pub more: Vec<(&'static str, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fsync: true,
            max_connections: 100,
            more: Vec::new(),
        }
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("PostgreSQL is missing; apt-get install postgresql")]
    Missing,
    #[error("{program} failed: {said}")]
    Program { program: String, said: String },
    #[error("{path} belongs to another user")]
    Foreign { path: PathBuf },
    #[error("cannot prepare {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the server does not answer")]
    Server(#[from] sqlx::Error),
    #[error("the database cannot be migrated")]
    Migrate(#[from] OpenError),
}

/// A database of one's own, migrated; dropped with this value.
pub struct Database {
    /// Through the Unix socket.
    pub url: String,
    name: String,
    server: Arc<Server>,
}

static SHARED: OnceCell<Cluster> = OnceCell::const_new();
static DRAWN: AtomicU64 = AtomicU64::new(1);

impl Cluster {
    /// The server that all test processes of one user share: started by the first, without
    /// fsync, stopped some seconds after the last is gone.
    pub async fn shared() -> Result<&'static Self, ClusterError> {
        SHARED
            .get_or_try_init(|| async {
                let (server, users) = blocking(shared::join).await?;
                Ok(Self::of(server, users))
            })
            .await
    }

    /// A server of one's own, to be ill-treated.
    pub async fn own(settings: Settings) -> Result<Self, ClusterError> {
        let (server, users) = blocking(move || shared::found(&settings)).await?;
        Ok(Self::of(server, users))
    }

    fn of(server: Server, users: Users) -> Self {
        Self {
            server: Arc::new(server),
            _users: users,
            template: Mutex::new(None),
        }
    }

    /// A fresh database with all migrations.
    pub async fn database(&self) -> Result<Database, ClusterError> {
        let template = self.template().await?;
        let mut shell = self.server.connect("postgres").await?;
        let name = loop {
            let drawn = DRAWN.fetch_add(1, Ordering::Relaxed);
            let name = format!("t{}_{drawn}", std::process::id());
            match create(&mut shell, &name, Some(&template)).await {
                Ok(()) => break name,
                // Left by an earlier process of that number.
                Err(error) if is_duplicate(&error) => {}
                Err(error) => return Err(error.into()),
            }
        };
        shell.close().await?;
        Ok(Database {
            url: self.server.url(&name),
            name,
            server: Arc::clone(&self.server),
        })
    }

    /// The process number of the postmaster.
    pub fn pid(&self) -> Result<i32, ClusterError> {
        self.server.pid()
    }

    /// Stops it as a crash would, without a checkpoint.
    pub async fn stop_immediate(&self) -> Result<(), ClusterError> {
        let server = Arc::clone(&self.server);
        blocking(move || server.stop_immediate()).await
    }

    /// Starts it where it was, with recovery.
    pub async fn start(&self) -> Result<(), ClusterError> {
        let server = Arc::clone(&self.server);
        blocking(move || server.start()).await
    }

    pub async fn restart_immediate(&self) -> Result<(), ClusterError> {
        self.stop_immediate().await?;
        self.start().await
    }

    /// SIGSTOP to all its processes: connections stay and nothing answers.
    pub fn pause(&self) -> Result<(), ClusterError> {
        self.server.signal_all(rustix::process::Signal::STOP)
    }

    /// SIGCONT to all its processes.
    pub fn resume(&self) -> Result<(), ClusterError> {
        self.server.signal_all(rustix::process::Signal::CONT)
    }

    /// The database that others are copied from: made once for each set of migrations.
    async fn template(&self) -> Result<String, ClusterError> {
        let mut known = self.template.lock().await;
        if let Some(name) = &*known {
            return Ok(name.clone());
        }
        let name = template_name();
        let mut shell = self.server.connect("postgres").await?;
        // One process makes it; the others wait here.
        sqlx::query("SELECT pg_advisory_lock(7402)")
            .execute(&mut shell)
            .await?;
        let there: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = $1")
            .bind(&name)
            .fetch_optional(&mut shell)
            .await?;
        if there.is_none() {
            let draft = format!("draft{}", std::process::id());
            create(&mut shell, &draft, None).await?;
            PostgresStore::migrate(&self.server.url(&draft)).await?;
            let rename = format!("ALTER DATABASE {draft} RENAME TO {name}");
            sqlx::query(AssertSqlSafe(rename))
                .execute(&mut shell)
                .await?;
        }
        shell.close().await?;
        *known = Some(name.clone());
        Ok(name)
    }
}

impl Database {
    /// All rows of all tables as text, bytes in it as the characters that they are.
    pub async fn dump(&self) -> Result<String, ClusterError> {
        let mut shell = self.server.connect(&self.name).await?;
        sqlx::query("SET bytea_output = 'escape'")
            .execute(&mut shell)
            .await?;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT quote_ident(relname) FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
        )
        .fetch_all(&mut shell)
        .await?;
        let mut dump = String::new();
        for table in tables {
            let rows = format!("SELECT one::text FROM {table} one");
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows))
                .fetch_all(&mut shell)
                .await?;
            for row in rows {
                dump.extend([table.as_str(), " ", &row, "\n"]);
            }
        }
        shell.close().await?;
        Ok(dump)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let mut psql = Command::new(self.server.program("psql"));
        psql.args(["-qX", "-c", &drop, &self.server.url("postgres")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // What cannot be dropped goes with the server.
        let _gone = psql.spawn();
    }
}

async fn create(
    shell: &mut PgConnection,
    name: &str,
    template: Option<&str>,
) -> Result<(), sqlx::Error> {
    let template = template.unwrap_or("template0");
    let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
    sqlx::query(AssertSqlSafe(create)).execute(shell).await?;
    Ok(())
}

fn is_duplicate(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.code().as_deref() == Some("42P04"))
}

/// Differs where migrations differ.
fn template_name() -> String {
    let bytes = MIGRATIONS.iter().flat_map(|one| one.checksum.iter());
    // FNV-1a.
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("relay_{hash:016x}")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClusterError> + Send + 'static,
) -> Result<T, ClusterError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ClusterError::Program {
            program: "a task".to_owned(),
            said: error.to_string(),
        }),
    }
}

impl Server {
    async fn connect(&self, name: &str) -> Result<PgConnection, sqlx::Error> {
        let options: PgConnectOptions = self.url(name).parse()?;
        options.connect().await
    }
}
