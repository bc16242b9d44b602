//! Which database a relay has, and its ports. Nothing else in this crate names a dialect.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use postrider_store::{
    Audit, Controls, Directory, Enrolments, Failures, Intake, Mail, Nodes, Queue, Reports,
    Sessions, Suppressions, Trace, Upkeep, Vendors, Warmups,
};
use postrider_store_postgres::{PostgresOptions, PostgresStore};
use postrider_store_sqlite::{OpenError, SqliteOptions, SqliteStore, Synchronous};
use postrider_telemetry::Registry;

use crate::config::Config;

/// Where the database is: `database.url`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A file of this machine, for one process at a time.
    Sqlite {
        path: PathBuf,
        synchronous: Synchronous,
    },
    /// A server, for any number of processes. The URL has no password in it.
    Postgres { url: String },
}

impl Location {
    /// Reads `database.url`.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let url = config.database.url.as_str();
        match url.split_once("://") {
            Some(("sqlite", rest)) => sqlite(config, rest),
            Some(("postgres" | "postgresql", rest)) => {
                if names_password(rest) {
                    bail!(
                        "database.url has a password in it: put it into a file of mode 0600 and name that in database.password_file"
                    );
                }
                Ok(Self::Postgres {
                    url: url.to_owned(),
                })
            }
            // Not shown: who knows what stands in it.
            _ => bail!(
                "database.url is of no known kind: give sqlite://PATH, postgres://USER@HOST/DATABASE or postgres:///DATABASE?host=SOCKET-FOLDER"
            ),
        }
    }

    /// `sqlite` or `postgres`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Postgres { .. } => "postgres",
        }
    }

    /// Whether several processes may have it open at a time.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite { path, .. } => path.display().fmt(f),
            Self::Postgres { url } => f.write_str(url),
        }
    }
}

fn sqlite(config: &Config, rest: &str) -> anyhow::Result<Location> {
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() {
        bail!("database.url names no file: sqlite://PATH");
    }
    let synchronous = match options {
        "" => Synchronous::Full,
        // Loses acknowledged mail at a power cut. For the test that shows that it is noticed.
        "synchronous=normal" => Synchronous::Normal,
        other => bail!("database.url: unknown option {other:?}"),
    };
    Ok(Location::Sqlite {
        path: config.path(Path::new(path)),
        synchronous,
    })
}

// RFC 3986 §3.2.1: `user:password@host`; or libpq's parameter.
fn names_password(rest: &str) -> bool {
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = place.split('/').next().unwrap_or("");
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let mut parameters = parameters.split('&');
    user.contains(':') || parameters.any(|parameter| parameter.starts_with("password="))
}

/// An open database: its ports, and what only its owner does with it.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) mail: Arc<dyn Mail>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) nodes: Arc<dyn Nodes>,
    pub(crate) controls: Arc<dyn Controls>,
    pub(crate) upkeep: Arc<dyn Upkeep>,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) suppressions: Arc<dyn Suppressions>,
    pub(crate) vendors: Arc<dyn Vendors>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) warmups: Arc<dyn Warmups>,
    pub(crate) failures: Arc<dyn Failures>,
    pub(crate) reports: Arc<dyn Reports>,
    pub(crate) trace: Arc<dyn Trace>,
    pub(crate) enrolments: Arc<dyn Enrolments>,
    store: Store,
}

#[derive(Clone)]
enum Store {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Database {
    /// Opens what is there. A file that is not there is refused: an empty one in its place would
    /// tell every client that its key is unknown.
    pub(crate) async fn open(config: &Config, metrics: &Registry) -> anyhow::Result<Self> {
        match Location::of(config)? {
            Location::Sqlite { path, synchronous } => {
                let is_there = path.try_exists();
                if !is_there.with_context(|| format!("cannot look for {}", path.display()))? {
                    bail!(
                        "there is no database {}: check database.url, or restore it; `postrider init DIR` makes a new relay",
                        path.display()
                    );
                }
                Self::open_sqlite(&path, synchronous, metrics).await
            }
            Location::Postgres { url } => Self::open_postgres(config, &url, metrics).await,
        }
    }

    /// As `open`, but makes what is missing, and brings an older schema to this version's.
    pub(crate) async fn make(config: &Config, metrics: &Registry) -> anyhow::Result<Self> {
        match Location::of(config)? {
            // Opening brings the schema up to this version, whole or not at all.
            Location::Sqlite { path, synchronous } => {
                Self::open_sqlite(&path, synchronous, metrics).await
            }
            Location::Postgres { url } => {
                migrate_postgres(config, &url).await?;
                Self::open_postgres(config, &url, metrics).await
            }
        }
    }

    /// Brings the schema of what is there to this version's.
    pub(crate) async fn migrate(config: &Config) -> anyhow::Result<()> {
        match Location::of(config)? {
            // Opening does it, whole or not at all.
            Location::Sqlite { .. } => {
                let database = Self::open(config, &Registry::new()).await?;
                database.close().await;
                Ok(())
            }
            Location::Postgres { url } => migrate_postgres(config, &url).await,
        }
    }

    /// Takes away all that is in a sandbox's database on a server. A file goes with its folder.
    pub(crate) async fn empty(config: &Config) -> anyhow::Result<()> {
        if let Location::Postgres { url } = Location::of(config)? {
            let emptied = PostgresStore::empty(&with_password(config, &url)?).await;
            emptied.context("cannot empty the database")?;
        }
        Ok(())
    }

    async fn open_sqlite(
        path: &Path,
        synchronous: Synchronous,
        metrics: &Registry,
    ) -> anyhow::Result<Self> {
        let options = SqliteOptions {
            synchronous,
            registry: metrics.clone(),
            ..Default::default()
        };
        let store = SqliteStore::open(path, options)
            .await
            .context("cannot open the database (a relay that runs has it for itself)")?;
        let shared = Arc::new(store.clone());
        Ok(Self::of(&shared, Store::Sqlite(store)))
    }

    async fn open_postgres(config: &Config, url: &str, metrics: &Registry) -> anyhow::Result<Self> {
        let options = PostgresOptions {
            connections: config.database.connections,
            registry: metrics.clone(),
            ..Default::default()
        };
        let store = PostgresStore::open(&with_password(config, url)?, options)
            .await
            .context("cannot open the database")?;
        let shared = Arc::new(store.clone());
        Ok(Self::of(&shared, Store::Postgres(store)))
    }

    fn of<S>(ports: &Arc<S>, store: Store) -> Self
    where
        S: Directory + Intake + Mail + Queue + Nodes + Controls + Upkeep,
        S: Sessions + Suppressions + Vendors + Audit + Warmups + Failures + Reports + Trace,
        S: Enrolments + 'static,
    {
        Self {
            directory: Arc::<S>::clone(ports),
            intake: Arc::<S>::clone(ports),
            mail: Arc::<S>::clone(ports),
            queue: Arc::<S>::clone(ports),
            nodes: Arc::<S>::clone(ports),
            controls: Arc::<S>::clone(ports),
            upkeep: Arc::<S>::clone(ports),
            sessions: Arc::<S>::clone(ports),
            suppressions: Arc::<S>::clone(ports),
            vendors: Arc::<S>::clone(ports),
            audit: Arc::<S>::clone(ports),
            warmups: Arc::<S>::clone(ports),
            failures: Arc::<S>::clone(ports),
            reports: Arc::<S>::clone(ports),
            trace: Arc::<S>::clone(ports),
            enrolments: Arc::<S>::clone(ports),
            store,
        }
    }

    /// Returns when only a restart can tell what is on the disk; mostly never.
    pub(crate) async fn failed(&self) {
        match &self.store {
            Store::Sqlite(store) => store.failed().await,
            Store::Postgres(store) => store.failed().await,
        }
    }

    /// Ends its work and closes it.
    pub(crate) async fn close(&self) {
        match &self.store {
            Store::Sqlite(store) => store.clone().close().await,
            Store::Postgres(store) => store.clone().close().await,
        }
    }
}

async fn migrate_postgres(config: &Config, url: &str) -> anyhow::Result<()> {
    let migrated = PostgresStore::migrate(&with_password(config, url)?).await;
    migrated.context("cannot bring the database to this version's schema")
}

/// Whether opening failed because another process has the file.
pub(crate) fn is_locked(fault: &anyhow::Error) -> bool {
    matches!(fault.downcast_ref(), Some(OpenError::Locked { .. }))
}

/// The URL to connect with: never shown.
fn with_password(config: &Config, url: &str) -> anyhow::Result<String> {
    let file = &config.database.password_file;
    if file.as_os_str().is_empty() {
        return Ok(url.to_owned());
    }
    let path = config.path(file);
    let password = std::fs::read_to_string(&path)
        .with_context(|| format!("database.password_file: cannot read {}", path.display()))?;
    let between = if url.contains('?') { '&' } else { '?' };
    let password = encoded(password.trim_end_matches(['\r', '\n']));
    Ok(format!("{url}{between}password={password}"))
}

// RFC 3986 §2.1: all but the unreserved characters.
fn encoded(text: &str) -> String {
    let each = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: &str) -> Config {
        let mut config = Config::default();
        url.clone_into(&mut config.database.url);
        config
    }

    #[test]
    fn a_url_says_which_database_it_is() {
        for (url, shared) in [
            ("sqlite://postrider.db", Some(false)),
            ("sqlite:///var/lib/postrider/postrider.db", Some(false)),
            ("postgres://relay@db.example/mail", Some(true)),
            ("postgresql:///mail?host=/run/postgresql", Some(true)),
            ("sqlite://", None),
            ("sqlite://x?synchronous=off", None),
            ("mysql://x", None),
            ("postrider.db", None),
            ("postgres://relay:secret@db.example/mail", None),
            ("postgres:///mail?host=/run&password=secret", None),
        ] {
            let location = Location::of(&with(url)).ok();
            assert_eq!(location.map(|l| l.is_shared()), shared, "{url}");
        }
    }

    #[test]
    fn a_password_is_read_from_its_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "p@ss/wörd\n").unwrap();
        let mut config = with("postgres:///mail?host=/run");
        folder.path().clone_into(&mut config.folder);
        config.database.password_file = "secret".into();
        let url = with_password(&config, &config.database.url).unwrap();
        assert_eq!(
            url,
            "postgres:///mail?host=/run&password=p%40ss%2Fw%C3%B6rd"
        );
        let given = Location::of(&with("postgres://relay:secret@db/mail")).unwrap_err();
        assert!(!format!("{given:#}").contains("secret@"), "{given:#}");
    }
}
