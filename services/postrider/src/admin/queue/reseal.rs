//! Before a release: what is held near the end of its signatures, or under a revoked key, is
//! signed anew. Delivery does the same for what it opens; here it is done for all of it at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use postrider_store::{HeldMessage, Scope, StoreError};
use tokio::task::JoinSet;

use super::Office;

/// Nothing leaves within this of its signatures' end.
const ENDS_SOON: Duration = Duration::from_hours(1);
const PAGE: u32 = 500;
/// Bodies in memory at once: each may have 40 MB.
const AT_ONCE: usize = 4;

impl Office {
    /// How many messages were sealed again, and how many could not be.
    pub(super) async fn reseal_held(&self, scope: &Scope) -> Result<(u64, u64), StoreError> {
        let (mut resealed, mut failed) = (0, 0);
        let mut after = None;
        loop {
            let page = self.database.controls.held(scope, after, PAGE).await?;
            let Some(last) = page.last().map(|message| message.id) else {
                return Ok((resealed, failed));
            };
            after = Some(last);
            let (sealed, unsealed) = self.reseal_page(page).await;
            resealed += sealed;
            failed += unsealed;
        }
    }

    async fn reseal_page(&self, page: Vec<HeldMessage>) -> (u64, u64) {
        let soon = self.provision.clock.now().after(ENDS_SOON);
        let keys = self.roster.dkim_keys();
        let active: HashSet<&str> = keys.iter().map(|key| key.selector.as_str()).collect();
        let is_good = |message: &HeldMessage| {
            let mut selectors = message.selectors.iter();
            message.sealed_until >= soon && selectors.all(|name| active.contains(name.as_str()))
        };
        let (mut sealed, mut unsealed) = (0, 0);
        let mut count = |ended: Option<Result<bool, tokio::task::JoinError>>| match ended {
            Some(Ok(true)) => sealed += 1,
            Some(_) => unsealed += 1,
            None => {}
        };
        let mut work = JoinSet::new();
        for message in page.into_iter().filter(|message| !is_good(message)) {
            if work.len() >= AT_ONCE {
                count(work.join_next().await);
            }
            let gate = Arc::clone(&self.gate);
            work.spawn(async move {
                let (tenant, id) = (message.tenant, message.id);
                let done = gate.reseal(tenant, id, message.sealed_until).await;
                // False: somebody else sealed it meanwhile, or its bytes are gone. Delivery sees.
                done.inspect_err(|fault| {
                    tracing::error!(message.id = %id, error = fault as &dyn std::error::Error, "a held message cannot be sealed again; it rests in the queue until it can");
                })
                .is_ok()
            });
        }
        while let Some(ended) = work.join_next().await {
            count(Some(ended));
        }
        (sealed, unsealed)
    }
}
