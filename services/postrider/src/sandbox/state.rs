//! What a sandbox keeps from one start to the next: its key and its ports.

use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context, bail};
use postrider_runtime::Rng;
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
    pub(super) metrics_port: Option<u16>,
    pub(super) mailbox_port: Option<u16>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            database: DatabaseConfig::default().url,
            owns_database: false,
            api_key: None,
            tenant: None,
            metrics_port: None,
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
                metrics_port: self.metrics_port,
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

/// The kept port if it is free, else any free one, which is kept from here on.
pub(super) fn free_port(kept: &mut Option<u16>) -> anyhow::Result<u16> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = match *kept {
        Some(port) if is_free(SocketAddr::new(loopback, port)) => port,
        _ => any_free(loopback)?,
    };
    *kept = Some(port);
    Ok(port)
}

/// An address that was asked for by `option`: it is taken or the start fails. Port 0 chooses one.
pub(super) fn chosen_address(option: &str, address: SocketAddr) -> anyhow::Result<SocketAddr> {
    if address.port() == 0 {
        return Ok(SocketAddr::new(address.ip(), any_free(address.ip())?));
    }
    match TcpListener::bind(address) {
        Ok(listener) => Ok(listener.local_addr()?),
        Err(fault) => Err(fault).with_context(|| format!("{option}: cannot listen on {address}")),
    }
}

/// `port`, or the next one above it that is free; `option` is how to name one.
pub(super) fn next_free(option: &str, host: IpAddr, port: u16) -> anyhow::Result<SocketAddr> {
    let mut addresses = (port..=port.saturating_add(99)).map(|port| SocketAddr::new(host, port));
    match addresses.find(|address| is_free(*address)) {
        Some(address) => Ok(address),
        None => bail!(
            "no port from {port} to {} is free: name one with {option}",
            port + 99
        ),
    }
}

const TRIES: u32 = 100;

fn any_free(host: IpAddr) -> anyhow::Result<u16> {
    let rng = Rng::system();
    let mut ports = (0..TRIES).map(|_| rng.port());
    let found = ports.find(|port| is_free(SocketAddr::new(host, *port)));
    found.with_context(|| format!("no port of {host} is free"))
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}
