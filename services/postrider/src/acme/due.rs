//! When a certificate is asked for. Pure.

use std::time::Duration;

use postrider_model::Timestamp;
use postrider_runtime::Rng;
use postrider_tls::Certificate;

/// Why another certificate is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// There is none, or no door could show it.
    Missing,
    /// Nobody vouches for it.
    SelfSigned,
    /// It lacks a name.
    OtherNames,
    /// A third of its life is left, or a little more.
    Old,
}

impl Due {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Missing => "there is none that a door can show",
            Self::SelfSigned => "nobody vouches for it",
            Self::OtherNames => "it is not for all names",
            Self::Old => "it is old",
        }
    }
}

/// How much sooner than with a third of its life left this process has a certificate renewed, in
/// thousandths of its life: relays that were set up in one hour do not all ask in one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Early(u32);

impl Early {
    const MOST: u32 = 50;

    pub(crate) fn drawn(rng: &Rng) -> Self {
        let drawn = rng.below(u64::from(Self::MOST) + 1);
        Self(u32::try_from(drawn).unwrap_or(Self::MOST))
    }
}

/// Whether what is shown is to be replaced.
pub(super) fn why(
    shown: Option<&Certificate>,
    names: &[String],
    early: Early,
    now: Timestamp,
) -> Option<Due> {
    let Some(shown) = shown else {
        return Some(Due::Missing);
    };
    if shown.is_self_signed {
        return Some(Due::SelfSigned);
    }
    if !names.iter().all(|name| shown.is_for(name)) {
        return Some(Due::OtherNames);
    }
    // A third of 90 days is what Let's Encrypt asks for; of six days it is still two.
    let life = shown.ends_at.since(shown.starts_at);
    let share = (life / 3 * 2).saturating_sub(life / 1_000 * early.0);
    (now >= shown.starts_at.after(share)).then_some(Due::Old)
}

/// How long to wait after so many failures one after the other: a minute, doubled each time, at most
/// six hours. Not yet spread.
pub(super) fn pause(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_mins(1);
    const MOST: Duration = Duration::from_hours(6);
    let doubled = 2_u32.checked_pow(failures.saturating_sub(1));
    doubled.map_or(MOST, |times| FIRST.saturating_mul(times).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_due_in_the_last_third_of_its_life() {
        let names = ["relay.example".to_owned()];
        let made = postrider_tls::self_signed(&names, postrider_tls::KeyKind::Ecdsa).unwrap();
        let read = Certificate::from_pem("", made.certificate_pem.as_bytes()).unwrap();
        let start = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let days = |days: u64| Duration::from_hours(24 * days);
        let mut shown = read.clone();
        (shown.starts_at, shown.ends_at) = (start, start.after(days(90)));
        shown.is_self_signed = false;
        let other = [
            "relay.example".to_owned(),
            "mta-sts.relay.example".to_owned(),
        ];
        let mut short = shown.clone();
        short.ends_at = start.after(days(6));
        let hours = |hours: u64| start.after(Duration::from_hours(hours));
        for (shown, names, early, now, want) in [
            (None, &names[..], 0, start, Some(Due::Missing)),
            (Some(&read), &names, 0, start, Some(Due::SelfSigned)),
            (Some(&shown), &other, 0, start, Some(Due::OtherNames)),
            (Some(&shown), &names, 50, start, None),
            (Some(&shown), &names, 0, hours(24 * 60 - 1), None),
            (Some(&shown), &names, 0, hours(24 * 60), Some(Due::Old)),
            (Some(&shown), &names, 0, hours(24 * 900), Some(Due::Old)),
            // A twentieth of its life sooner: four and a half days.
            (Some(&shown), &names, 50, hours(24 * 60 - 109), None),
            (
                Some(&shown),
                &names,
                50,
                hours(24 * 60 - 108),
                Some(Due::Old),
            ),
            // Of six days two are left, or seven hours more.
            (Some(&short), &names, 0, hours(95), None),
            (Some(&short), &names, 0, hours(96), Some(Due::Old)),
            (Some(&short), &names, 50, hours(88), None),
            (Some(&short), &names, 50, hours(89), Some(Due::Old)),
        ] {
            assert_eq!(why(shown, names, Early(early), now), want, "{early} {now}");
        }
        let rng = Rng::seeded(1);
        let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| Early::drawn(&rng).0).collect();
        assert!(
            drawn.len() > 40 && drawn.iter().all(|early| *early <= 50),
            "{drawn:?}"
        );
    }

    #[test]
    fn pauses_grow_to_six_hours() {
        for (failures, minutes) in [
            (0, 1),
            (1, 1),
            (2, 2),
            (5, 16),
            (9, 256),
            (10, 360),
            (u32::MAX, 360),
        ] {
            assert_eq!(pause(failures), Duration::from_mins(minutes), "{failures}");
        }
    }
}
