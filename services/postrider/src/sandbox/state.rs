//! What a sandbox keeps from one start to the next: its key and its ports.

use std::fs::{File, TryLockError};
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::config::DatabaseConfig;

const FILE: &str = "sandbox.json";
/// Locked by who runs the sandbox.
const CLAIM: &str = "sandbox.lock";

/// `DIR/sandbox.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// As in `database.url`.
    pub(super) database: String,
    /// Whether this sandbox filled it, and may empty it.
    pub(super) owns_database: bool,
    pub(super) api_key: Option<String>,
    /// The sandbox tenant's slug.
    pub(super) tenant: Option<String>,
    /// Where on the loopback it stands, its internet around it.
    pub(super) host: Ipv4Addr,
    /// The sandbox's vendor: its private key (PKCS#8, PEM), and an operator's token.
    pub(super) vendor_key: Option<String>,
    pub(super) admin_token: Option<String>,
    pub(super) metrics_port: Option<u16>,
    pub(super) admin_port: Option<u16>,
    pub(super) mailbox_port: Option<u16>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            database: DatabaseConfig::default().url,
            owns_database: false,
            api_key: None,
            tenant: None,
            host: Ipv4Addr::LOCALHOST,
            vendor_key: None,
            admin_token: None,
            metrics_port: None,
            admin_port: None,
            mailbox_port: None,
        }
    }
}

impl State {
    /// Keeps the database that is asked for. In another one than before there is no tenant yet.
    pub(super) fn choose_database(&mut self, asked: Option<&str>) {
        if let Some(url) = asked.filter(|url| *url != self.database) {
            *self = Self {
                database: url.to_owned(),
                host: self.host,
                metrics_port: self.metrics_port,
                admin_port: self.admin_port,
                mailbox_port: self.mailbox_port,
                ..Self::default()
            };
        }
    }

    pub(super) fn read(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(&path)?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} does not parse; `postrider dev --fresh` starts anew",
                path.display()
            )
        })
    }

    pub(super) fn write(&self, data: &Path) -> anyhow::Result<()> {
        crate::folder::write_atomically(&data.join(FILE), &serde_json::to_vec_pretty(self)?)
    }
}

/// Takes a sandbox's folder for this process; given up when the file is dropped.
pub(super) fn claim(data: &Path) -> anyhow::Result<File> {
    let path = data.join(CLAIM);
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "a sandbox is running in {}: stop it, or choose another folder with --data",
            data.display()
        ),
        Err(TryLockError::Error(fault)) => {
            Err(fault).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Refuses a folder that is somebody else's: a real relay's above all. A sandbox would write over
/// its configuration and deliver its mail to nobody.
pub(super) fn refuse_foreign(data: &Path) -> anyhow::Result<()> {
    let mut others = std::fs::read_dir(data)?.filter_map(Result::ok);
    if !data.join(FILE).exists() && others.any(|entry| entry.file_name() != CLAIM) {
        bail!(
            "{} is not a sandbox's folder; it is left as it is. Choose another with --data",
            data.display()
        );
    }
    Ok(())
}

/// Empties a sandbox's folder, after `refuse_foreign`.
pub(super) fn empty(data: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(data)?.collect::<Result<Vec<_>, _>>()?;
    let others: Vec<_> = entries
        .iter()
        .filter(|entry| entry.file_name() != CLAIM)
        .collect();
    for entry in others {
        let path = entry.path();
        let removed = if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}
