//! What the certificates of the doors say, told to the operator before clients notice: as gauges,
//! and in the log at the start, when they are renewed, and each day.

use std::time::Duration;

use postrider_model::Timestamp;
use postrider_runtime::{Clock, Shutdown};
use postrider_telemetry::{GaugeBy, Registry};
use postrider_tls::{Acceptor, IdentityFiles, keep_current};

/// How soon a renewed certificate is shown.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often what is wrong with one is said again.
const SAY_EVERY: Duration = Duration::from_hours(24);
/// Whoever renews by itself has done it by now: half of what Let's Encrypt leaves.
const SOON: Duration = Duration::from_hours(14 * 24);

postrider_telemetry::label! {
    /// Where mail comes in.
    pub(crate) DoorWord is "door" { Http = "http", Smtp = "smtp" }
}

/// When the certificates of each door end.
pub(crate) type Ends = GaugeBy<DoorWord>;

pub(crate) fn show_ends(metrics: &Registry) -> Ends {
    metrics.gauge_by(
        "postrider_tls_certificate_expiry_timestamp_seconds",
        "When the first of a door's certificates ends, in seconds since 1970; 0 where it has none.",
    )
}

/// The certificates of one door.
pub(crate) struct Watched {
    pub(crate) door: DoorWord,
    /// What names them in the configuration.
    pub(crate) key: &'static str,
    /// What clients are told to connect to.
    pub(crate) host: String,
    pub(crate) acceptor: Acceptor,
    pub(crate) clock: Clock,
    pub(crate) ends: Ends,
}

impl Watched {
    /// Takes renewed ones, and says what is wrong, until shutdown begins.
    pub(crate) async fn keep(self, files: Vec<IdentityFiles>, shutdown: Shutdown) {
        self.look();
        let acceptor = self.acceptor.clone();
        let renewed = || self.look();
        let kept = keep_current(acceptor, files, LOOK_EVERY, shutdown, renewed);
        let said = async {
            loop {
                tokio::time::sleep(SAY_EVERY).await;
                self.look();
            }
        };
        tokio::select! {
            () = kept => {}
            () = said => {}
        }
    }

    fn look(&self) {
        let all = self.acceptor.certificates();
        let first = all.iter().map(|certificate| certificate.ends_at).min();
        let seconds = first.map_or(0, Timestamp::as_seconds);
        self.ends.set(self.door, seconds);
        // A door with several names shows each client the certificate of the name it asks for.
        let is_for_host = all.iter().any(|one| one.is_for(&self.host));
        for certificate in &all {
            let (key, ends_at) = (self.key, certificate.ends_at);
            if let Some(wrong) = wrong_with(is_for_host, ends_at, self.clock.now()) {
                tracing::warn!(key, host = self.host, %ends_at, "{wrong}");
            }
        }
    }
}

/// What clients will not accept, or soon.
fn wrong_with(is_for_host: bool, ends_at: Timestamp, now: Timestamp) -> Option<&'static str> {
    if ends_at <= now {
        return Some("a certificate has ended: programs refuse it; put a renewed one in its place");
    }
    if !is_for_host {
        return Some(
            "no certificate names the host that programs connect to: have one made that does",
        );
    }
    let is_soon = now.after(SOON) >= ends_at;
    is_soon.then_some("a certificate ends within 14 days: renew it; it is taken without a restart")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_while_it_can_be_mended() {
        let now = Timestamp::parse("2026-01-31T08:00:00Z").unwrap();
        let days = |days: u64| now.after(Duration::from_hours(24 * days));
        for (is_for_host, ends_at, want) in [
            (true, days(15), None),
            (true, days(14), Some("ends within 14 days")),
            (true, now, Some("has ended")),
            (false, days(90), Some("names the host")),
            (false, days(1), Some("names the host")),
            (false, now, Some("has ended")),
        ] {
            match (wrong_with(is_for_host, ends_at, now), want) {
                (Some(said), Some(want)) => assert!(said.contains(want), "{said}"),
                (said, want) => assert_eq!(said, want, "{is_for_host} {ends_at}"),
            }
        }
    }
}
