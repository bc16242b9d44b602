//! Admission and sealing, one submission after another, on whatever thread there is time for it.

use std::sync::Arc;
use std::time::Instant;

use postrider_model::{EmailAddress, Tenant, Timestamp};
use postrider_runtime::Rng;
use postrider_store::{NewMessage, Period, Roster};
use postrider_telemetry::Histogram;

use crate::accept::{AcceptError, Gate};
use crate::access::Caller;
use crate::admit::{Admitted, Rules, admit};
use crate::asking::Unknown;
use crate::identity::Identity;
use crate::order::Order;
use crate::quota::{QuotaExceeded, Quotas};
use crate::reply::Trust;
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
            quotas: Arc::clone(&self.quotas),
            size_most: self.size_most,
            seconds: self.instruments.seal_seconds.clone(),
        }
    }
}

impl Sealing {
    /// Admits and seals one. What a tenant is refused whose quota is known to be used up costs no
    /// signature.
    pub(crate) fn seal(&self, order: Order, now: Timestamp) -> Result<Sealed, AcceptError> {
        let (tenant, begun) = (Arc::clone(&self.tenant), Instant::now());
        let admitted = admit(
            (&self.rules, &self.roster, Trust::Confirmed),
            tenant,
            order,
            now,
        )?;
        self.has_quota(&admitted, now)?;
        let unknown = unknown_of(&admitted);
        let with = Seal {
            service: &self.rules.service,
            public_url: &self.rules.identity.public_url,
            master: &self.master,
            signers: Arc::clone(&self.signers),
            rng: &self.rng,
            now,
            size_most: self.size_most,
            simulator: self.rules.simulator.as_ref(),
        };
        let message = seal(admitted, &with)?;
        self.seconds.span(begun.elapsed());
        Ok(Sealed { message, unknown })
    }

    /// Whether one would be admitted if whom it names at the tenant's own domain were told.
    pub(crate) fn would_admit(&self, mut order: Order, now: Timestamp) -> bool {
        order.take_shared();
        let with = (&self.rules, &self.roster, Trust::WhoCanBeTold);
        let admitted = admit(with, Arc::clone(&self.tenant), order, now);
        admitted.is_ok_and(|admitted| self.has_quota(&admitted, now).is_ok())
    }

    // As far as is known here: the commit decides.
    fn has_quota(&self, admitted: &Admitted, now: Timestamp) -> Result<(), QuotaExceeded> {
        let simulator = self.rules.simulator.as_ref();
        let is_real = |address: &&EmailAddress| simulator != Some(address.domain());
        let real = admitted.recipients.iter().filter(is_real).count();
        let mut quota = admitted.quota;
        if real == 0 {
            // The simulator's are no part of it.
            quota.ramp = 0;
        }
        match self.quotas.used_up(self.tenant.id, quota, now) {
            Some(over) => {
                let recipients = match over.period {
                    Period::RampDay => real,
                    _ => admitted.recipients.len(),
                };
                let of = (&*self.tenant, &self.rules.identity.ramp);
                Err(QuotaExceeded::new(of, &over, recipients, now))
            }
            None => Ok(()),
        }
    }
}

/// A message that is ready for the commit.
pub(crate) struct Sealed {
    pub(crate) message: NewMessage,
    /// Whom it names as reply address and who is to be written to once it is accepted.
    pub(crate) unknown: Vec<Unknown>,
}

fn unknown_of(admitted: &Admitted) -> Vec<Unknown> {
    // Our own letters ask nobody.
    if admitted.tenant.is_house {
        return Vec::new();
    }
    let tenant = admitted.tenant.id;
    let asked = admitted.replies.to_ask().cloned();
    let asked = asked.map(|address| Unknown::observed(tenant, address));
    asked.collect()
}
