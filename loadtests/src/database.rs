//! The database under a relay: a file in a temporary folder, or a PostgreSQL server of this run's
//! own, with fsync.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use postrider_store::{Directory, Intake, Queue};
use postrider_store_postgres::cluster::{Cluster, Database as OneDatabase, Settings};
use postrider_store_postgres::{PostgresOptions, PostgresStore};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};

use crate::meter::Used;

/// Connections with which mail is laid in.
const STOCK_CONNECTIONS: u32 = 16;

/// Which database.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    /// The peer, which brings its own queue; where a scenario can measure it.
    Postfix,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Postfix => "postfix",
        }
    }
}

/// One database.
pub(crate) enum Database {
    Sqlite,
    Postgres {
        cluster: Cluster,
        database: OneDatabase,
    },
}

/// The ports through which stock is laid in, while no relay has the database.
pub(crate) enum Store {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Database {
    pub(crate) async fn new(kind: Kind) -> anyhow::Result<Self> {
        match kind {
            Kind::Sqlite => return Ok(Self::Sqlite),
            Kind::Postgres => {}
            Kind::Postfix => bail!("no scenario but speed knows the peer"),
        }
        let settings = Settings {
            fsync: true,
            max_connections: 200,
            more: vec![
                ("shared_buffers", "512MB".to_owned()),
                ("max_wal_size", "4GB".to_owned()),
            ],
        };
        let cluster = Cluster::own(settings).await?;
        let database = cluster.database().await?;
        Ok(Self::Postgres { cluster, database })
    }

    /// As the configuration names it, for a relay in this folder.
    pub(crate) fn url(&self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite://{}", folder.join("postrider.db").display()),
            Self::Postgres { database, .. } => database.url.clone(),
        }
    }

    pub(crate) async fn open(&self, folder: &Path) -> anyhow::Result<Store> {
        match self {
            Self::Sqlite => {
                let path = folder.join("postrider.db");
                Ok(Store::Sqlite(
                    SqliteStore::open(&path, SqliteOptions::default()).await?,
                ))
            }
            Self::Postgres { database, .. } => {
                let options = PostgresOptions {
                    connections: STOCK_CONNECTIONS,
                    ..PostgresOptions::default()
                };
                Ok(Store::Postgres(
                    PostgresStore::open(&database.url, options).await?,
                ))
            }
        }
    }

    /// What the database's own processes have used; nothing where it lives in the relay.
    pub(crate) fn used(&self) -> Used {
        self.pid().map_or(Used::default(), Used::by_family)
    }

    /// The server's first process, where there is a server.
    pub(crate) fn pid(&self) -> Option<u32> {
        let pid = self.cluster()?.pid().ok()?;
        u32::try_from(pid).ok()
    }

    /// The server, where there is one.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        match self {
            Self::Sqlite => None,
            Self::Postgres { cluster, .. } => Some(cluster),
        }
    }

    /// What the server would do some time, and should not while something is measured: what was
    /// laid in is vacuumed and written to its files.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        if let Self::Postgres { database, .. } = self {
            let mut psql = psql(&database.url);
            let done = psql.args(["-c", "VACUUM ANALYZE", "-c", "CHECKPOINT"]);
            let done = done.status().context("psql")?;
            ensure!(done.success(), "VACUUM ANALYZE or CHECKPOINT failed");
        }
        Ok(())
    }

    /// A client that has written something, has not committed, and was forgotten. Until it is
    /// dropped.
    pub(crate) fn forgotten_transaction(&self) -> anyhow::Result<Option<Forgotten>> {
        let Self::Postgres { database, .. } = self else {
            return Ok(None);
        };
        let mut psql = psql(&database.url);
        let mut child = psql.stdin(Stdio::piped()).spawn().context("psql")?;
        let input = child.stdin.as_mut().context("psql's input")?;
        std::io::Write::write_all(input, b"BEGIN;\nSELECT pg_current_xact_id();\n")?;
        Ok(Some(Forgotten(child)))
    }
}

fn psql(url: &str) -> Command {
    let mut psql = Command::new(program("psql"));
    psql.args(["-qX", "-v", "ON_ERROR_STOP=1", "-d", url])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    psql
}

// Debian's wrapper in the PATH is a script that looks for a cluster first.
fn program(name: &str) -> String {
    let mut versions: Vec<u32> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    versions.last().map_or_else(
        || name.to_owned(),
        |version| format!("/usr/lib/postgresql/{version}/bin/{name}"),
    )
}

/// An open transaction with an id of its own.
pub(crate) struct Forgotten(Child);

impl Drop for Forgotten {
    fn drop(&mut self) {
        // Its end is the server's matter then.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Store {
    pub(crate) fn ports(&self) -> (Arc<dyn Directory>, Arc<dyn Intake>) {
        match self {
            Self::Sqlite(store) => (Arc::new(store.clone()), Arc::new(store.clone())),
            Self::Postgres(store) => (Arc::new(store.clone()), Arc::new(store.clone())),
        }
    }

    pub(crate) fn queue(&self) -> Arc<dyn Queue> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}
