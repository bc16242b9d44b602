//! The submission rate: requests per second and tenant, a token bucket that holds one second.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{TenantId, Timestamp};

/// What a client is told of its rate, in whole requests and seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// Requests per second; 0 means no limit.
    pub limit: u32,
    pub remaining: u32,
    /// Seconds until the bucket is full again.
    pub reset: u32,
}

impl RateState {
    /// Where no rate is counted.
    pub(crate) const NONE: Self = Self {
        limit: 0,
        remaining: 0,
        reset: 0,
    };
}

/// The buckets of all tenants that were here lately.
#[derive(Default)]
pub(crate) struct Rates(Mutex<HashMap<TenantId, Bucket>>);

struct Bucket {
    /// In millionths of a request.
    level: u64,
    at: Timestamp,
}

const ONE: u64 = 1_000_000;
/// Above this many buckets those that are full again are dropped.
const BUCKETS_MOST: usize = 20_000;

impl Rates {
    /// Takes one request from a tenant's bucket. `Err` has how long it must wait for the next.
    pub(crate) fn take(
        &self,
        tenant: TenantId,
        per_second: u32,
        now: Timestamp,
    ) -> Result<RateState, (RateState, Duration)> {
        if per_second == 0 {
            return Ok(RateState::NONE);
        }
        let full = u64::from(per_second) * ONE;
        let mut buckets = self.0.lock();
        if buckets.len() > BUCKETS_MOST {
            buckets.retain(|_, bucket| now.since(bucket.at) < Duration::from_secs(1));
        }
        let bucket = buckets.entry(tenant).or_insert(Bucket {
            level: full,
            at: now,
        });
        let micros = u64::try_from(now.since(bucket.at).as_micros()).unwrap_or(u64::MAX);
        bucket.level = bucket
            .level
            .saturating_add(micros.saturating_mul(u64::from(per_second)))
            .min(full);
        bucket.at = now;
        let enough = bucket.level >= ONE;
        bucket.level -= if enough { ONE } else { 0 };
        let state = RateState {
            limit: per_second,
            remaining: u32::try_from(bucket.level / ONE).unwrap_or(u32::MAX),
            reset: u32::from(bucket.level < full),
        };
        let lacking = ONE.saturating_sub(bucket.level);
        let wait = Duration::from_micros(lacking.div_ceil(u64::from(per_second)));
        if enough {
            Ok(state)
        } else {
            Err((state, wait))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_gets_its_rate_and_no_more() {
        let (rates, tenant) = (Rates::default(), TenantId::from_bytes([1; 16]));
        let start = Timestamp::from_micros(1_000_000_000);
        let passed = |span: Duration, now: Timestamp| {
            (0..100)
                .filter(|_| rates.take(tenant, 10, now.after(span)).is_ok())
                .count()
        };
        assert_eq!(passed(Duration::ZERO, start), 10);
        assert_eq!(passed(Duration::from_millis(500), start), 5);
        assert_eq!(passed(Duration::from_hours(1), start), 10);
        let (state, wait) = rates
            .take(tenant, 10, start.after(Duration::from_hours(1)))
            .unwrap_err();
        assert_eq!(
            state,
            RateState {
                limit: 10,
                remaining: 0,
                reset: 1
            }
        );
        assert_eq!(wait, Duration::from_millis(100));
        assert!(rates.take(TenantId::from_bytes([2; 16]), 10, start).is_ok());
        assert!(rates.take(tenant, 0, start).is_ok());
    }
}
