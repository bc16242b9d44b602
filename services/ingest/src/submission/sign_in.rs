//! Signing in: a password becomes a caller, or waits for its refusal.

use postrider_model::EnhancedCode;
use postrider_smtp::{Reply, SignIn};
use tokio::time::Instant;

use crate::instruments::SignInOutcome;
use crate::submission::replies;
use crate::submission::visit::Visit;

impl Visit<'_> {
    /// The user name opens nothing: the password is the key. Where that fails, it tells whose session it is
    /// to look up.
    pub(crate) async fn sign_in(&mut self, given: &SignIn) -> Reply {
        let (door, ip) = (self.door, self.guest.peer.ip());
        let password = given.password.expose();
        match door.ports.access.sign_in(password, ip) {
            Ok(caller) => {
                door.instruments.sign_ins.add(SignInOutcome::Taken, 1);
                self.seat.keep();
                self.record.signed_in(&caller);
                self.caller = Some(caller);
                Reply::new(235, EnhancedCode(2, 7, 0), "Authentication successful")
            }
            Err(denied) => {
                door.instruments.sign_ins.add(SignInOutcome::Refused, 1);
                let claimed = door.ports.access.claimed(&given.user, password);
                self.record.claimed(claimed);
                let told = replies::of_denied(&denied);
                if !denied.is_suspension() {
                    let wait = door.tarpit.failed(ip, password, Instant::now());
                    self.flush().await;
                    tokio::time::sleep(wait).await;
                }
                self.no(&told)
            }
        }
    }
}
