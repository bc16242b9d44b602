//! What nobody could tell us a moment ago, so that a dead zone is not asked again for each mail.

use std::collections::HashMap;
use std::time::Duration;

use hickory_resolver::proto::rr::{Name, RecordType};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::DnsFailure;

/// RFC 9520 §3.2: failures are kept for at least one second and at most five minutes.
const KEPT: Duration = Duration::from_secs(30);

/// How many are kept at once.
const MOST: usize = 10_000;

#[derive(Default)]
pub(crate) struct RecentFailures(Mutex<HashMap<(Name, RecordType), (Instant, DnsFailure)>>);

impl RecentFailures {
    pub(crate) fn get(&self, name: &Name, kind: RecordType, now: Instant) -> Option<DnsFailure> {
        let failures = self.0.lock();
        let (until, failure) = failures.get(&(name.clone(), kind))?;
        (now < *until).then(|| failure.clone())
    }

    pub(crate) fn put(&self, name: Name, kind: RecordType, failure: DnsFailure, now: Instant) {
        let mut failures = self.0.lock();
        if failures.len() >= MOST {
            failures.retain(|_, (until, _)| now < *until);
        }
        // Full of fresh ones: this one is asked again. Slower, never wrong.
        if failures.len() < MOST {
            failures.insert((name, kind), (now + KEPT, failure));
        }
    }
}
