//! What the certificates of the doors say, told to the operator before clients notice: as gauges,
//! and in the log at the start, when they are renewed, when one is late or ends, and each day.

use std::time::Duration;

use postrider_model::Timestamp;
use postrider_runtime::{Clock, Shutdown};
use postrider_telemetry::{GaugeBy, Registry};
use postrider_tls::{Acceptor, Certificate, IdentityFiles, keep_current};
use tokio::sync::Notify;

/// How soon a renewed certificate is shown.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often what is wrong with one is said again.
const SAY_EVERY: Duration = Duration::from_hours(24);
/// How long before its end one that nobody has renewed is told of: half of what Let's Encrypt leaves
/// of 90 days.
const SOON: Duration = Duration::from_hours(14 * 24);

/// How long before its end a late one is somebody's work at any hour.
const URGENT: Duration = Duration::from_hours(2 * 24);

postrider_telemetry::label! {
    /// Where mail comes in.
    pub(crate) DoorWord is "door" { Http = "http", Smtp = "smtp" }
}

/// From when on it is late to renew a certificate: so long before its end, and not before half of what
/// is left is over when whoever renews by itself does it. One of six days has a day then.
pub(crate) fn late_from(certificate: &Certificate, most: Duration) -> Timestamp {
    let life = certificate.ends_at.since(certificate.starts_at);
    certificate.ends_at.before(most.min(life / 6))
}

/// When the certificates of each door end, and are to be renewed at the latest. Each is the first of
/// all, maybe of another certificate: what is to be known of one certificate is a gauge of its own.
#[derive(Clone)]
pub(crate) struct Ends {
    over: GaugeBy<DoorWord>,
    late: GaugeBy<DoorWord>,
    urgent: GaugeBy<DoorWord>,
}

pub(crate) fn show_ends(metrics: &Registry) -> Ends {
    Ends {
        over: metrics.gauge_by(
            "postrider_tls_certificate_expiry_timestamp_seconds",
            "When the first of a door's certificates ends, in seconds since 1970; 0 where it has none.",
        ),
        late: metrics.gauge_by(
            "postrider_tls_certificate_late_timestamp_seconds",
            "From when on the first of a door's certificates should have been renewed, in seconds since 1970; 0 where it has none.",
        ),
        urgent: metrics.gauge_by(
            "postrider_tls_certificate_urgent_timestamp_seconds",
            "From when on the first of a door's certificates is late and ends within two days, in seconds since 1970; 0 where it has none.",
        ),
    }
}

impl Ends {
    fn show(&self, door: DoorWord, all: &[Certificate]) {
        let first = |times: &mut dyn Iterator<Item = Timestamp>| {
            times.min().map_or(0, Timestamp::as_seconds)
        };
        let ends = first(&mut all.iter().map(|one| one.ends_at));
        let late = |most| first(&mut all.iter().map(|one| late_from(one, most)));
        self.over.set(door, ends);
        self.late.set(door, late(SOON));
        self.urgent.set(door, late(URGENT));
    }
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
        let others = Notify::new();
        let renewed = || {
            self.look();
            others.notify_one();
        };
        let kept = keep_current(acceptor, files, LOOK_EVERY, shutdown, renewed);
        let said = async {
            loop {
                let wait = until_next(&self.acceptor.certificates(), self.clock.now());
                tokio::select! {
                    () = others.notified() => {}
                    () = tokio::time::sleep(wait) => self.look(),
                }
            }
        };
        tokio::select! {
            () = kept => {}
            () = said => {}
        }
    }

    fn look(&self) {
        let all = self.acceptor.certificates();
        self.ends.show(self.door, &all);
        // A door with several names shows each client the certificate of the name it asks for.
        let is_for_host = all.iter().any(|one| one.is_for(&self.host));
        for certificate in &all {
            let (key, ends_at) = (self.key, certificate.ends_at);
            if let Some(wrong) = wrong_with(is_for_host, certificate, self.clock.now()) {
                tracing::warn!(key, host = self.host, %ends_at, "{wrong}");
            }
        }
    }
}

/// How long until there is something to say: a day, or less where one is late or ends before that.
fn until_next(all: &[Certificate], now: Timestamp) -> Duration {
    let moments = all
        .iter()
        .flat_map(|one| [late_from(one, SOON), one.ends_at]);
    let ahead = moments.filter(|moment| now < *moment);
    let next = ahead.map(|moment| moment.since(now)).min();
    // Not short of the moment by what two clocks differ.
    next.map_or(SAY_EVERY, |wait| SAY_EVERY.min(wait + LOOK_EVERY))
}

/// What clients will not accept, or soon.
fn wrong_with(
    is_for_host: bool,
    certificate: &Certificate,
    now: Timestamp,
) -> Option<&'static str> {
    if certificate.ends_at <= now {
        return Some("a certificate has ended: programs refuse it; put a renewed one in its place");
    }
    if !is_for_host {
        return Some(
            "no certificate names the host that programs connect to: have one made that does",
        );
    }
    let is_late = late_from(certificate, SOON) <= now;
    is_late.then_some(
        "a certificate ends soon and was not renewed: renew it; it is taken without a restart",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str = "2026-01-31T08:00:00Z";

    fn hours(hours: u64) -> Duration {
        Duration::from_hours(hours)
    }

    /// One of so long a life that ends at `END`.
    fn ending(life: Duration) -> Certificate {
        let names = ["relay.example".to_owned()];
        let made = postrider_tls::self_signed(&names, postrider_tls::KeyKind::Ecdsa).unwrap();
        let mut read = Certificate::from_pem("", made.certificate_pem.as_bytes()).unwrap();
        read.ends_at = Timestamp::parse(END).unwrap();
        read.starts_at = read.ends_at.before(life);
        read
    }

    #[test]
    fn a_short_certificate_is_told_of_when_it_is_late_and_when_it_ends() {
        let all = [ending(hours(24)), ending(hours(24 * 90))];
        let end = all[0].ends_at;
        for (left, want) in [
            (24 * 80, hours(24)),
            (24 * 14 + 1, hours(1) + LOOK_EVERY),
            (24, hours(20) + LOOK_EVERY),
            (4, hours(4) + LOOK_EVERY),
            (0, hours(24)),
        ] {
            let now = end.before(hours(left));
            assert_eq!(until_next(&all, now), want, "{left}");
        }
        assert_eq!(until_next(&[], end), hours(24));
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_while_it_can_be_mended() {
        let end = Timestamp::parse(END).unwrap();
        for (is_for_host, days, left, want) in [
            (true, 90, 24 * 14 + 1, None),
            (true, 90, 24 * 14, Some("ends soon")),
            (true, 45, 181, None),
            (true, 45, 180, Some("ends soon")),
            (true, 6, 25, None),
            (true, 6, 24, Some("ends soon")),
            (true, 90, 0, Some("has ended")),
            (false, 90, 24 * 80, Some("names the host")),
            (false, 90, 24, Some("names the host")),
            (false, 90, 0, Some("has ended")),
        ] {
            let certificate = ending(hours(24 * days));
            match (
                wrong_with(is_for_host, &certificate, end.before(hours(left))),
                want,
            ) {
                (Some(said), Some(want)) => assert!(said.contains(want), "{said}"),
                (said, want) => assert_eq!(said, want, "{is_for_host} {days} {left}"),
            }
        }
    }
}
