//! Idempotency in the process: equal requests that run at the same time are joined here, before
//! they cost a signature; the claim inside the commit decides between processes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_store::ClaimScope;
use tokio::sync::watch;

/// How long an equal request waits for the first one to end.
const JOIN_WAIT: Duration = Duration::from_secs(5);

/// The claims that are being worked on now.
#[derive(Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<HashMap<ClaimScope, Running>>>);

struct Running {
    request: [u8; 32],
    ended: watch::Receiver<()>,
}

/// What a request finds under its key.
pub(crate) enum Entry {
    /// Nobody works on it: this request does, until the turn is dropped.
    Mine(Turn),
    /// An equal request was under way and has ended: look for its answer.
    Ended,
    /// Another request under this key is under way.
    OtherRequest,
    /// An equal request is still under way after `JOIN_WAIT`.
    StillRunning,
}

/// The right to work on a claim. Dropping it lets the others go on.
pub(crate) struct Turn {
    claims: Claims,
    scope: ClaimScope,
    _ended: watch::Sender<()>,
}

impl Claims {
    /// Takes the turn under a key or waits for who has it. May be cancelled at any point.
    pub(crate) async fn enter(&self, scope: &ClaimScope, request: [u8; 32]) -> Entry {
        let mut ended = {
            let mut running = self.0.lock();
            match running.get(scope) {
                None => {
                    let (sender, receiver) = watch::channel(());
                    running.insert(
                        scope.clone(),
                        Running {
                            request,
                            ended: receiver,
                        },
                    );
                    let (claims, scope) = (self.clone(), scope.clone());
                    return Entry::Mine(Turn {
                        claims,
                        scope,
                        _ended: sender,
                    });
                }
                Some(other) if other.request != request => return Entry::OtherRequest,
                Some(equal) => equal.ended.clone(),
            }
        };
        // The sender is only ever dropped, so that `changed` ends with an error: that is the sign.
        match tokio::time::timeout(JOIN_WAIT, ended.changed()).await {
            Ok(_) => Entry::Ended,
            Err(_) => Entry::StillRunning,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.claims.0.lock().remove(&self.scope);
    }
}

#[cfg(test)]
mod tests {
    use postrider_model::{IdempotencyKey, TenantId};

    use super::*;

    fn scope(key: &str) -> ClaimScope {
        let key = IdempotencyKey::parse(key).unwrap();
        ClaimScope {
            tenant: TenantId::from_bytes([1; 16]),
            endpoint: "POST /emails",
            key,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_equal_request_waits_for_the_first_and_another_is_told_at_once() {
        let claims = Claims::default();
        let Entry::Mine(turn) = claims.enter(&scope("a"), [1; 32]).await else {
            panic!()
        };
        assert!(matches!(
            claims.enter(&scope("a"), [2; 32]).await,
            Entry::OtherRequest
        ));
        assert!(matches!(
            claims.enter(&scope("a"), [1; 32]).await,
            Entry::StillRunning
        ));
        assert!(matches!(
            claims.enter(&scope("b"), [1; 32]).await,
            Entry::Mine(_)
        ));
        let same = scope("a");
        let equal = claims.enter(&same, [1; 32]);
        let (entry, ()) = tokio::join!(equal, async { drop(turn) });
        assert!(matches!(entry, Entry::Ended));
        assert!(matches!(
            claims.enter(&scope("a"), [1; 32]).await,
            Entry::Mine(_)
        ));
    }
}
