//! On which database the relays of this run stand: `POSTRIDER_TEST_DATABASE` says `sqlite` (as
//! nothing does) or `postgres`. Each relay has one of its own.

use postrider_store_postgres::cluster::{self, Cluster};

use super::tools::environment;

/// A database for one relay, empty.
pub(crate) struct Database {
    /// `None`: the file in the relay's folder.
    server: Option<cluster::Database>,
}

impl Database {
    /// A new one, on the database of this run.
    pub(crate) async fn fresh() -> Self {
        let word = environment("POSTRIDER_TEST_DATABASE");
        match word.as_deref() {
            None | Some("" | "sqlite") => Self::file(),
            Some("postgres") => Self::on(Cluster::shared().await.unwrap()).await,
            Some(other) => panic!("POSTRIDER_TEST_DATABASE is {other:?}: sqlite or postgres"),
        }
    }

    /// The file in the relay's folder, whatever this run is on.
    pub(crate) fn file() -> Self {
        Self { server: None }
    }

    /// A new one on this server.
    pub(crate) async fn on(cluster: &Cluster) -> Self {
        Self {
            server: Some(cluster.database().await.unwrap()),
        }
    }

    /// What commands that make a folder are told of it.
    pub(crate) fn words(&self) -> Vec<&str> {
        let url = self.server.as_ref().map(|server| server.url.as_str());
        url.map_or_else(Vec::new, |url| vec!["--database", url])
    }

    /// All that is in it, where it is no file of the relay's folder.
    pub(crate) async fn dump(&self) -> Option<String> {
        let server = self.server.as_ref()?;
        Some(server.dump().await.unwrap())
    }

    /// As the configuration names it.
    pub(crate) fn url(&self) -> &str {
        let url = self.server.as_ref().map(|server| server.url.as_str());
        url.unwrap_or("sqlite://postrider.db")
    }
}
