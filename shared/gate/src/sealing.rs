//! Admission and sealing, one submission after another, on whatever thread there is time for it.

use std::sync::Arc;
use std::time::Instant;

use postrider_model::{Tenant, Timestamp};
use postrider_runtime::Rng;
use postrider_store::{NewMessage, Roster};
use postrider_telemetry::Histogram;

use crate::accept::{AcceptError, Gate};
use crate::access::Caller;
use crate::admit::{Rules, Submission, admit};
use crate::identity::Identity;
use crate::ids::MessageIds;
use crate::quota::{self, QuotaExceeded, Quotas};
use crate::seal::{Seal, seal};
use crate::secret::MasterKey;
use crate::signing::Signers;

/// All that one tenant's submissions are admitted and sealed with.
pub(crate) struct Sealing {
    tenant: Arc<Tenant>,
    rules: Rules,
    roster: Roster,
    master: Arc<MasterKey>,
    signers: Signers,
    rng: Rng,
    ids: Arc<MessageIds>,
    quotas: Arc<Quotas>,
    size_most: usize,
    seconds: Histogram,
}

impl Gate {
    /// With the keys and the directory of this moment.
    pub(crate) fn sealing(&self, caller: &Caller) -> Sealing {
        let identity = Identity::of(&caller.tenant, &self.rules.service);
        Sealing {
            tenant: Arc::clone(&caller.tenant),
            rules: self.rules.clone(),
            roster: self.roster.clone(),
            master: Arc::clone(&self.master),
            signers: self.keys.signers(&identity.signing_domain),
            rng: self.rng.clone(),
            ids: Arc::clone(&self.ids),
            quotas: Arc::clone(&self.quotas),
            size_most: self.size_most,
            seconds: self.instruments.seal_seconds.clone(),
        }
    }
}

impl Sealing {
    /// Admits and seals one. What a tenant is refused whose quota is known to be used up costs no
    /// signature.
    pub(crate) fn seal(
        &self,
        submission: Submission,
        now: Timestamp,
    ) -> Result<NewMessage, AcceptError> {
        let (tenant, begun) = (Arc::clone(&self.tenant), Instant::now());
        let admitted = admit(&self.rules, &self.roster, tenant, submission, now)?;
        self.has_quota(admitted.recipients.len(), now)?;
        let with = Seal {
            id: self.ids.next(now, &self.rng),
            service: &self.rules.service,
            master: &self.master,
            signers: Arc::clone(&self.signers),
            rng: &self.rng,
            now,
            size_most: self.size_most,
        };
        let sealed = seal(admitted, &with)?;
        self.seconds.span(begun.elapsed());
        Ok(sealed)
    }

    // As far as is known here: the commit decides.
    fn has_quota(&self, recipients: usize, now: Timestamp) -> Result<(), QuotaExceeded> {
        let quota = quota::of(&self.tenant.limits);
        match self.quotas.used_up(self.tenant.id, quota, now) {
            Some(over) => Err(QuotaExceeded::new(&over, recipients, now)),
            None => Ok(()),
        }
    }
}
