//! What stands behind the door.

use std::sync::Arc;
use std::time::Duration;

use postrider_gate::{
    Access, Budget, EnrolConfig, EnrolPorts, Enroller, Gate, Provision, RampConfig,
};
use postrider_ingest::{Ports, Suspension, Suspensions};
use postrider_model::{Limits, MessageId, TenantId};
use postrider_store::{Roster, StoreError};
use postrider_store_sqlite::SqliteStore;
use postrider_telemetry::Registry;

use super::OVERLAP;

pub(super) fn ports(
    gate: &Arc<Gate>,
    store: &SqliteStore,
    roster: &Roster,
    provision: &Provision,
) -> Ports {
    let (clock, rng) = (provision.clock.clone(), provision.rng.clone());
    Ports {
        gate: Arc::clone(gate),
        access: Arc::new(Access::new(roster.clone(), clock.clone())),
        enroller: Arc::new(enroller(store, gate, roster, provision)),
        budget: Budget::new(256 * 1024 * 1024, Duration::from_secs(30)),
        mail: Arc::new(store.clone()),
        suspensions: Arc::new(NothingSuspended),
        upkeep: Arc::new(store.clone()),
        sessions: Arc::new(store.clone()),
        suppressions: Arc::new(store.clone()),
        clock,
        rng,
        metrics: Registry::new(),
    }
}

fn enroller(
    store: &SqliteStore,
    gate: &Arc<Gate>,
    roster: &Roster,
    provision: &Provision,
) -> Enroller {
    let ports = EnrolPorts {
        provision: provision.clone(),
        vendors: Arc::new(store.clone()),
        enrolments: Arc::new(store.clone()),
        audit: Arc::new(store.clone()),
        gate: Arc::clone(gate),
        roster: roster.clone(),
    };
    let config = EnrolConfig {
        limits: Limits::default(),
        ramp: RampConfig::default(),
        overlap: OVERLAP,
    };
    Enroller::new(ports, config)
}

/// No operator is here.
struct NothingSuspended;

#[async_trait::async_trait]
impl Suspensions for NothingSuspended {
    async fn concerning(&self, _: TenantId, _: MessageId) -> Result<Vec<Suspension>, StoreError> {
        Ok(Vec::new())
    }
}
