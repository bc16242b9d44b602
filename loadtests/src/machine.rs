//! The machine that figures were taken on, and what a signature costs on it at that time.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;

use crate::figures::{median, percentile};

/// How often a block is written and synced.
const SYNCS: usize = 100;
const BLOCK: [u8; 4_096] = [1; 4_096];

/// What figures depend on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Runnable processes on average over 1, 5 and 15 minutes, before anything was started.
    pub(crate) load: String,
    /// Of a 4 KiB block appended and fdatasynced where the databases lie, in µs.
    pub(crate) sync_p50: u64,
    pub(crate) sync_p99: u64,
}

impl Machine {
    pub(crate) fn look() -> anyhow::Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let load = read("/proc/loadavg");
        let syncs = syncs()?;
        Ok(Self {
            processor: processor(&read("/proc/cpuinfo")).to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load
                .split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" "),
            sync_p50: percentile(&syncs, 0.50).unwrap_or(0),
            sync_p99: percentile(&syncs, 0.99).unwrap_or(0),
        })
    }

    pub(crate) fn text(&self) -> String {
        format!(
            "{}, {} cores, Linux {}, load {}, fdatasync {} µs (p99 {})",
            self.processor, self.cores, self.kernel, self.load, self.sync_p50, self.sync_p99
        )
    }
}

fn processor(cpuinfo: &str) -> &str {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or("unknown processor", |(_, name)| name.trim())
}

fn syncs() -> anyhow::Result<Vec<u64>> {
    let mut file = tempfile::tempfile()?;
    let mut spans = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        spans.push(u64::try_from(began.elapsed().as_micros())?);
    }
    spans.sort_unstable();
    Ok(spans)
}

/// CPU µs of one RSA-2048 signature by `openssl speed`: alone, or while as many processes as there
/// are cores do nothing else, which is how a server under load makes them.
pub(crate) fn signature(at_once: usize) -> anyhow::Result<f64> {
    let begun: Vec<Child> = (0..at_once)
        .map(|_| {
            let mut openssl = Command::new("openssl");
            openssl.args(["speed", "-seconds", "1", "rsa2048"]);
            openssl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
        })
        .collect::<Result<_, _>>()
        .context("openssl is what signatures are measured by")?;
    let mut rates = Vec::new();
    for openssl in begun {
        let said = openssl.wait_with_output()?;
        let rate = signatures(&String::from_utf8_lossy(&said.stdout));
        rates.push(rate.context("openssl speed says no rate")?);
    }
    Ok(1e6 / median(rates).context("at least one signs")?)
}

/// The rate in `rsa 2048 bits 0.000349s 0.000019s   2867.7  52102.5`.
fn signatures(said: &str) -> Option<f64> {
    let line = said
        .lines()
        .find(|line| line.starts_with("rsa 2048 bits"))?;
    line.split_whitespace().nth(5)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_from_what_openssl_prints() {
        let said = "                  sign    verify    sign/s verify/s\n\
                    rsa 2048 bits 0.000349s 0.000019s   2867.7  52102.5\n";
        assert_eq!(signatures(said), Some(2867.7));
        assert_eq!(signatures("rsa"), None);
    }

    #[test]
    fn a_processor_has_a_name_or_none() {
        assert_eq!(
            processor("x: 1\nmodel name\t: A B\nmodel name\t: C\n"),
            "A B"
        );
        assert_eq!(processor(""), "unknown processor");
    }
}
