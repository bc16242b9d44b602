//! Arithmetic over what was measured. Pure.

/// The value below which `share` (0..=1) of the values lie, by the nearest rank; `None` of nothing.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> Option<u64> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among at most a few million values"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// The middle of some measurements.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Jain's index: 1 where all got the same, 1/n where one got all. 1 of nothing.
pub(crate) fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares == 0.0 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of tenants")]
    let count = shares.len() as f64;
    sum * sum / (count * squares)
}

/// The most events within any window of this width; an event at its very end is outside.
pub(crate) fn window_most(sorted: &[u64], width: u64) -> usize {
    let (mut most, mut first) = (0, 0);
    for (last, at) in sorted.iter().enumerate() {
        while sorted.get(first).is_some_and(|from| from + width <= *at) {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

/// How a set of spans lies, in milliseconds.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Spread {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of spans in microseconds.
    pub(crate) fn of(mut micros: Vec<u64>) -> Self {
        micros.sort_unstable();
        let at = |share| {
            let micros = percentile(&micros, share).unwrap_or(0);
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52 µs")]
            let millis = micros as f64 / 1_000.0;
            millis
        };
        Self {
            count: micros.len(),
            p50: at(0.50),
            p90: at(0.90),
            p99: at(0.99),
            most: at(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=100).collect();
        for (share, want) in [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)] {
            assert_eq!(percentile(&values, share), Some(want), "{share}");
        }
        assert_eq!(percentile(&[7], 0.99), Some(7));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn jains_index_is_one_for_equals_and_one_nth_where_one_has_all() {
        for (shares, want) in [
            (vec![3.0, 3.0, 3.0], 1.0),
            (vec![9.0, 0.0, 0.0], 1.0 / 3.0),
            (vec![1.0, 2.0], 0.9),
            (vec![0.0, 0.0], 1.0),
            (vec![], 1.0),
        ] {
            assert!((jain(&shares) - want).abs() < 1e-9, "{shares:?}");
        }
    }

    #[test]
    fn the_fullest_window_is_found_wherever_it_begins() {
        for (times, want) in [
            (vec![], 0),
            (vec![5], 1),
            (vec![0, 9, 10, 19], 2),
            (vec![0, 1, 2, 50, 51, 52, 53, 100], 4),
            (vec![0, 10, 20], 1),
        ] {
            assert_eq!(window_most(&times, 10), want, "{times:?}");
        }
    }

    #[test]
    fn a_median_is_not_moved_by_one_bad_run() {
        assert_eq!(median(vec![1.0, 900.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
    }
}
