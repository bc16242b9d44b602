//! The one way a message comes into being, for every door and for the mail we write ourselves:
//! `admit` → stamp → sign → commit.
//!
//! ```text
//! Access::identify     a key becomes a Caller (tenant, rate)
//! Budget::reserve      room in memory, before the body is read
//! Gate::accept         admit → seal → Intake::commit → the promise
//! Gate::accept_all     the same for several of one request, together
//! Gate::reseal         the same message, signed anew
//! Gate::reschedule     and with another time
//! Provision            tenants, keys and signing keys: what the directory is filled with
//! ```
//!
//! No sockets, no JSON, no SQL: the doors listen, the store keeps, policy stands here once.

mod accept;
mod access;
mod admit;
mod budget;
mod claim;
mod group;
mod identity;
mod ids;
mod instruments;
mod name;
mod provision;
mod quota;
mod rate;
mod reschedule;
mod reseal;
mod return_path;
mod seal;
mod sealing;
mod secret;
mod signing;
mod token;

pub use accept::{AcceptError, Accepted, Gate, GateConfig, GatePorts};
pub use access::{Access, Caller, Denied};
pub use admit::{ClaimRequest, Submission};
pub use budget::{Budget, BudgetBusy, Reservation};
pub use group::{AcceptedGroup, Group, GroupError};
pub use identity::Service;
pub use instruments::Door;
pub use provision::{Provision, ProvisionError, Provisioned, TenantDefaults};
pub use quota::QuotaExceeded;
pub use rate::RateState;
pub use reschedule::RescheduleError;
pub use reseal::ResealError;
pub use secret::{MasterKey, SecretError};
