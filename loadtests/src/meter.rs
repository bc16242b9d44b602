//! What a server costs: its CPU time, memory and writes as the kernel counts them, and its own
//! counters from the page that Prometheus reads.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use crate::source::{Client, Door};

/// The kernel counts CPU time in hundredths of a second (`USER_HZ`).
const TICK_MICROS: u64 = 10_000;

/// What one process, or several together, have used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Used {
    pub(crate) cpu_micros: u64,
    /// Resident memory: now, and the most it ever was, in kB. Of several: the sum.
    pub(crate) rss_kb: u64,
    pub(crate) rss_peak_kb: u64,
    pub(crate) written_bytes: u64,
}

impl Used {
    /// By one process; nothing where it is gone.
    pub(crate) fn by(pid: u32) -> Self {
        let read =
            |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let (status, io) = (read("status"), read("io"));
        let mut used = cpu_micros(&read("stat")).map_or(Self::default(), |own| Self {
            cpu_micros: own.0,
            ..Self::default()
        });
        used.rss_kb = field(&status, "VmRSS:");
        used.rss_peak_kb = field(&status, "VmHWM:");
        used.written_bytes = field(&io, "write_bytes:");
        used
    }

    /// By a process and its children, those that have ended among them.
    pub(crate) fn by_family(pid: u32) -> Self {
        let mut used = Self::by(pid);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        used.cpu_micros += cpu_micros(&stat).map_or(0, |(_, children)| children);
        children(pid)
            .into_iter()
            .map(Self::by)
            .fold(used, Self::plus)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            cpu_micros: self.cpu_micros + other.cpu_micros,
            rss_kb: self.rss_kb + other.rss_kb,
            rss_peak_kb: self.rss_peak_kb + other.rss_peak_kb,
            written_bytes: self.written_bytes + other.written_bytes,
        }
    }

    /// Since an earlier reading; memory stays what it is.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            cpu_micros: self.cpu_micros.saturating_sub(earlier.cpu_micros),
            written_bytes: self.written_bytes.saturating_sub(earlier.written_bytes),
            ..self
        }
    }
}

// proc_pid_stat(5): utime and stime are fields 14 and 15, those of dead children 16 and 17; the
// second field, in brackets, may hold anything.
fn cpu_micros(stat: &str) -> Option<(u64, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<u64> = rest
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    match fields.as_slice() {
        [user, system, child_user, child_system] => Some((
            (user + system) * TICK_MICROS,
            (child_user + child_system) * TICK_MICROS,
        )),
        _ => None,
    }
}

fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let word = value.and_then(|value| value.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Counts fsync(2) and fdatasync(2) of processes, and of the children they make from then on, by
/// the kernel's tracepoints through `perf stat`.
pub(crate) struct Syncs(Child);

impl Syncs {
    /// `None` where there is no perf, or no right to use it.
    pub(crate) fn count(roots: &[u32]) -> Option<Self> {
        let all = roots.iter().flat_map(|root| {
            let mut all = children(*root);
            all.push(*root);
            all
        });
        let pids: Vec<String> = all.map(|pid| pid.to_string()).collect();
        let events = "syscalls:sys_enter_fsync,syscalls:sys_enter_fdatasync";
        let child = Command::new("perf")
            .args(["stat", "-x", ";", "-e", events, "-p", &pids.join(",")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        child.ok().map(Self)
    }

    /// Ends the count.
    pub(crate) fn done(self) -> Option<f64> {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).ok()?)?;
        kill_process(pid, Signal::INT).ok()?;
        let said = self.0.wait_with_output().ok()?;
        syncs(&String::from_utf8_lossy(&said.stderr))
    }
}

/// perf-stat(1), "CSV FORMAT": the count is the first field, the event's name the third.
fn syncs(said: &str) -> Option<f64> {
    let counts: Vec<f64> = said
        .lines()
        .filter(|line| line.contains("sys_enter_f"))
        .filter_map(|line| line.split(';').next()?.parse().ok())
        .collect();
    (counts.len() == 2).then(|| counts.iter().sum())
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    tasks
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

/// A server's own counters: name → sum over its labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(BTreeMap<String, f64>);

impl Counters {
    pub(crate) async fn of(door: Door) -> anyhow::Result<Self> {
        let answer = Client::new(door).get("/metrics", "").await;
        let answer = answer.with_context(|| format!("no metrics at {door}"))?;
        Ok(Self::parse(&String::from_utf8_lossy(&answer.body)))
    }

    fn parse(page: &str) -> Self {
        let mut counters = BTreeMap::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.rsplit_once(' ') {
                let name = name.split_once('{').map_or(name, |(name, _)| name);
                *counters.entry(name.to_owned()).or_insert(0.0) += value.parse().unwrap_or(0.0);
            }
        }
        Self(counters)
    }

    /// 0 where the server does not count it.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// Transactions that were waited for on disk: the fsyncs of the store.
    pub(crate) fn commits(&self) -> f64 {
        self.get("postrider_store_commit_seconds_count")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_a_name_with_brackets_and_spaces() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 12 34 5 6 20 0 9 0 99";
        assert_eq!(cpu_micros(stat), Some((460_000, 110_000)));
        assert_eq!(cpu_micros(""), None);
    }

    #[test]
    fn this_process_has_used_memory_and_time() {
        let used = Used::by(std::process::id());
        assert!(
            used.rss_kb > 0 && used.rss_peak_kb >= used.rss_kb,
            "{used:?}"
        );
        assert_eq!(used.since(used).cpu_micros, 0);
    }

    #[test]
    fn syncs_are_the_sum_of_both_calls_or_unknown() {
        let said =
            "3;;syscalls:sys_enter_fsync;100;100.00;;\n40;;syscalls:sys_enter_fdatasync;9;1;;\n";
        assert_eq!(syncs(said), Some(43.0));
        let refused = "<not supported>;;syscalls:sys_enter_fsync;0;100.00;;\n";
        assert_eq!(syncs(refused), None);
    }

    #[test]
    fn counters_are_summed_over_their_labels() {
        let page = "# HELP a b\n# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\nb 1.5\n";
        let counters = Counters::parse(page);
        for (name, want) in [("a", 5.0), ("b", 1.5), ("c", 0.0)] {
            assert!((counters.get(name) - want).abs() < 1e-9, "{name}");
        }
    }
}
