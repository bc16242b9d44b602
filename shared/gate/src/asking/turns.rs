//! Whose turn it is: of one tenant's messages that name the same new colleague the first tells it,
//! and the others wait; those of all other tenants do not.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use postrider_model::TenantId;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// A turn for each tenant, as long as somebody has it or waits for it.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<TenantId, Weak<Turn<()>>>>);

impl Turns {
    /// Waits until no other message of this tenant has it.
    pub(crate) async fn of(&self, tenant: TenantId) -> OwnedMutexGuard<()> {
        let turn = self.turn(tenant);
        turn.lock_owned().await
    }

    fn turn(&self, tenant: TenantId) -> Arc<Turn<()>> {
        let mut turns = self.0.lock();
        if let Some(turn) = turns.get(&tenant).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(tenant, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_tenant_waits_for_itself_alone() {
        let turns = Turns::default();
        let tenant = |byte| TenantId::from_bytes([byte; 16]);
        let first = turns.of(tenant(1)).await;
        let again = turns.turn(tenant(1)).try_lock_owned();
        assert!(again.is_err(), "it waits for the first");
        let other = turns.turn(tenant(2)).try_lock_owned();
        assert!(other.is_ok(), "another tenant's message goes on");
        drop((first, other));
        assert!(turns.turn(tenant(1)).try_lock_owned().is_ok());
        drop(turns.of(tenant(3)).await);
        assert_eq!(turns.0.lock().len(), 1, "those that ended are forgotten");
    }
}
