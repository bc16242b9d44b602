//! Randomness as an argument.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use parking_lot::Mutex;

/// A source of random bytes. Cheap to clone; clones draw from the same source.
#[derive(Clone, Debug)]
pub struct Rng(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Seeded(Arc<Mutex<u64>>),
}

impl Rng {
    /// The cryptographic source of the machine.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The same bytes for the same seed. For tests and simulations, never for secrets.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(seed))))
    }

    /// Fills `out` with random bytes.
    pub fn fill(&self, out: &mut [u8]) {
        match &self.0 {
            // aws-lc ends the process itself rather than return unseeded bytes.
            Source::System => SystemRandom::new()
                .fill(out)
                .unwrap_or_else(|_| std::process::abort()),
            Source::Seeded(state) => {
                let mut state = state.lock();
                for chunk in out.chunks_mut(8) {
                    let bytes = split_mix(&mut state).to_le_bytes();
                    chunk
                        .iter_mut()
                        .zip(bytes)
                        .for_each(|(to, from)| *to = from);
                }
            }
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A number in `0..bound`; 0 where `bound` is 0. The bias is below 2⁻³² for small bounds.
    pub fn below(&self, bound: u64) -> u64 {
        u64::from_le_bytes(self.bytes())
            .checked_rem(bound)
            .unwrap_or(0)
    }

    /// A port in 20,000..32,000: outside the range from which systems take ports for outgoing
    /// connections (Linux from 32,768), so that it is still free after a restart.
    pub fn port(&self) -> u16 {
        20_000 + u16::try_from(self.below(12_000)).unwrap_or(0)
    }

    /// `span` less or more by at most `percent` of it.
    pub fn jitter(&self, span: Duration, percent: u32) -> Duration {
        let width = span * percent / 100;
        let width_micros = u64::try_from(width.as_micros()).unwrap_or(u64::MAX / 4);
        span.saturating_sub(width) + Duration::from_micros(self.below(width_micros * 2 + 1))
    }

    /// Puts a slice into a random order (Fisher–Yates).
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            items.swap(last, other);
        }
    }
}

// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough where nobody attacks.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_and_the_machine_does_not() {
        assert_eq!(Rng::seeded(7).bytes::<20>(), Rng::seeded(7).bytes::<20>());
        assert_ne!(Rng::system().bytes::<20>(), Rng::system().bytes::<20>());
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let rng = Rng::seeded(1);
        for _ in 0..1_000 {
            let span = rng.jitter(Duration::from_mins(5), 10);
            assert!((270..=330).contains(&span.as_secs()), "{span:?}");
        }
        assert_eq!(rng.jitter(Duration::ZERO, 10), Duration::ZERO);
    }
}
