//! Room in memory for bodies: taken before a body is read, given back at the answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::TenantId;
use tokio::sync::Notify;

/// One budget in bytes over all bodies in memory. At most half of it is one tenant's. Waiting for
/// room means not reading: the sender's own connection slows it down.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    most: u64,
    wait: Duration,
    taken: Mutex<Taken>,
    returned: Notify,
}

#[derive(Default)]
struct Taken {
    all: u64,
    by_tenant: HashMap<TenantId, u64>,
    /// Whether somebody has more than there is.
    is_overdrawn: bool,
}

/// No room came free in time: the client should try again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory is free for this message now")]
pub struct BudgetBusy;

/// Room that was taken. Dropping it gives the room back.
pub struct Reservation {
    budget: Budget,
    tenant: TenantId,
    bytes: u64,
    overdraws: bool,
}

impl Budget {
    /// `most` bytes in all; a caller waits for its share at most `wait`.
    pub fn new(most: u64, wait: Duration) -> Self {
        let taken = Mutex::new(Taken::default());
        Self(Arc::new(Inner {
            most,
            wait,
            taken,
            returned: Notify::new(),
        }))
    }

    /// Takes room for `bytes`, waiting for it. May be cancelled at any point.
    pub async fn reserve(&self, tenant: TenantId, bytes: u64) -> Result<Reservation, BudgetBusy> {
        let mut reservation = Reservation {
            budget: self.clone(),
            tenant,
            bytes: 0,
            overdraws: false,
        };
        reservation.grow(bytes).await?;
        Ok(reservation)
    }

    /// Bytes that are taken now.
    pub fn taken(&self) -> u64 {
        self.0.taken.lock().all
    }

    // One message may always pass where nothing else is taken, however large the door lets it be
    // and in however many steps it comes. And of those that have some room and need more, one may
    // have more than there is: else all of them could wait for one another.
    fn try_take(&self, reservation: &mut Reservation, bytes: u64) -> bool {
        let (tenant, held) = (reservation.tenant, reservation.bytes);
        let mut taken = self.0.taken.lock();
        let mine = taken.by_tenant.get(&tenant).copied().unwrap_or(0);
        let fits = taken.all == held || taken.all + bytes <= self.0.most;
        let fair = mine == held || mine + bytes <= self.0.most / 2;
        let may_overdraw = reservation.overdraws || (held > 0 && !taken.is_overdrawn);
        if !(fits && fair) {
            if !may_overdraw {
                return false;
            }
            reservation.overdraws = true;
            taken.is_overdrawn = true;
        }
        taken.all += bytes;
        *taken.by_tenant.entry(tenant).or_insert(0) += bytes;
        reservation.bytes += bytes;
        true
    }

    fn give_back(&self, tenant: TenantId, bytes: u64) {
        let mut taken = self.0.taken.lock();
        taken.all = taken.all.saturating_sub(bytes);
        if let Some(mine) = taken.by_tenant.get_mut(&tenant) {
            *mine = mine.saturating_sub(bytes);
            if *mine == 0 {
                taken.by_tenant.remove(&tenant);
            }
        }
        drop(taken);
        self.0.returned.notify_waiters();
    }
}

impl Reservation {
    /// Takes more room, for a body whose length was not known. What is held stays held.
    pub async fn grow(&mut self, bytes: u64) -> Result<(), BudgetBusy> {
        let budget = self.budget.clone();
        let taken = async {
            loop {
                // Listening begins before looking, so that no return is missed between the two.
                let returned = budget.0.returned.notified();
                if budget.try_take(self, bytes) {
                    break;
                }
                returned.await;
            }
        };
        tokio::time::timeout(budget.0.wait, taken)
            .await
            .map_err(|_| BudgetBusy)
    }

    /// Gives some of the room back before the rest.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.give_back(self.tenant, bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.overdraws {
            self.budget.0.taken.lock().is_overdrawn = false;
        }
        self.budget.give_back(self.tenant, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: u8) -> TenantId {
        TenantId::from_bytes([number; 16])
    }

    #[tokio::test(start_paused = true)]
    async fn one_tenant_has_at_most_half_and_the_others_still_pass() {
        let budget = Budget::new(100, Duration::from_secs(30));
        let first = budget.reserve(tenant(1), 30).await.unwrap();
        assert_eq!(budget.reserve(tenant(1), 30).await.err(), Some(BudgetBusy));
        let _second = budget.reserve(tenant(2), 50).await.unwrap();
        assert_eq!(budget.reserve(tenant(3), 30).await.err(), Some(BudgetBusy));
        drop(first);
        let _third = budget.reserve(tenant(3), 30).await.unwrap();
        assert_eq!(budget.taken(), 80);
    }

    #[tokio::test(start_paused = true)]
    async fn one_message_passes_alone_in_one_step_or_in_many() {
        let budget = Budget::new(100, Duration::from_secs(30));
        drop(budget.reserve(tenant(1), 150).await.unwrap());
        let mut steps = budget.reserve(tenant(1), 40).await.unwrap();
        for _ in 0..3 {
            steps.grow(40).await.unwrap();
        }
        assert_eq!(budget.taken(), 160);
        assert_eq!(budget.reserve(tenant(2), 1).await.err(), Some(BudgetBusy));
        steps.shrink(100);
        assert_eq!(budget.taken(), 60);
        drop(budget.reserve(tenant(2), 40).await.unwrap());
        drop(steps);
        assert_eq!(budget.taken(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_grow_do_not_wait_for_one_another_for_ever() {
        let budget = Budget::new(100, Duration::from_secs(30));
        let mut first = budget.reserve(tenant(1), 50).await.unwrap();
        let mut second = budget.reserve(tenant(2), 50).await.unwrap();
        for _ in 0..2 {
            first.grow(20).await.unwrap();
        }
        assert_eq!(second.grow(20).await.err(), Some(BudgetBusy), "only one");
        let (grown, ()) = tokio::join!(second.grow(50), async { drop(first) });
        grown.unwrap();
        assert_eq!(budget.taken(), 100);
        drop(second);
        drop(budget.reserve(tenant(1), 100).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_when_room_comes_free() {
        let budget = Budget::new(100, Duration::from_secs(30));
        let held = budget.reserve(tenant(1), 100).await.unwrap();
        let (taken, ()) = tokio::join!(budget.reserve(tenant(2), 10), async { drop(held) });
        assert!(taken.is_ok());
    }
}
