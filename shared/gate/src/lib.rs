//! The one way a message comes into being, for every door and for the mail we write ourselves:
//! `admit` → stamp → sign → commit.
//!
//! ```text
//! Access::identify     a key becomes a Caller (tenant, rate); sign_in: so does a password
//! Budget::reserve      room in memory, before the body is read
//! Gate::accept         admit → seal → Intake::commit → the promise
//! Gate::accept_all     the same for several of one request, together
//! Gate::run            letters to reply addresses, notices of failures, ramps; confirm, disown: the
//!                      answers
//! Gate::message_link   a message behind the link in a notice
//! Gate::unsubscribe    the answer to a link in bulk mail
//! Gate::reseal         the same message, signed anew
//! Gate::reschedule     and with another time
//! Enroller             what a vendor's program calls: a signed licence becomes a tenant
//! Provision            tenants, keys and signing keys: what the directory is filled with
//! ```
//!
//! No sockets, no JSON, no SQL: the doors listen, the store keeps, policy stands here once.

mod accept;
mod access;
mod admin_token;
mod admit;
mod asking;
mod base32;
mod budget;
mod claim;
mod config;
mod enrol;
mod first;
mod group;
mod identity;
mod ids;
mod instruments;
mod letter;
mod link;
mod make;
mod moment;
mod name;
mod notice;
mod once;
mod options;
mod order;
mod pages;
mod password;
mod provision;
mod quota;
mod ramp;
mod rate;
mod reachable;
mod remedy;
mod reply;
mod reschedule;
mod reseal;
mod return_path;
mod seal;
mod sealing;
mod secret;
mod seen;
mod signing;
mod tend;
mod token;
mod vendor_key;

pub use accept::{AcceptError, Accepted, Gate, GateConfig, GatePorts};
pub use access::{Access, Caller, Denied};
pub use admin_token::AdminSecret;
pub use admit::{ClaimRequest, Submission};
pub use asking::{AskError, AskOutcome};
pub use budget::{Budget, BudgetBusy, Reservation};
pub use config::{IdentityConfig, NoticeConfig, ReplyConfig};
pub use enrol::token::TokenFault;
pub use enrol::{
    EnrolConfig, EnrolError, EnrolPorts, EnrolWish, Enrolled, Enroller, Secrets, ShopLetter,
    ShopStatus, VendorSigner,
};
pub use group::{AcceptedGroup, Group, GroupError};
pub use identity::Service;
pub use instruments::Door;
pub use moment::read as read_moment;
pub use name::{NameConfig, NameFault, NamePolicy, is_acceptable as is_acceptable_name};
pub use options::Options;
pub use pages::{LinkError, ReplyLink, UnsubscribeLink};
pub use password::SmtpPassword;
pub use provision::{KeyWishes, Provision, ProvisionError, Provisioned, TenantDefaults};
pub use quota::{EffectiveQuota, QuotaExceeded, QuotaOf};
pub use ramp::RampConfig;
pub use rate::RateState;
pub use reachable::Unreachable;
pub use remedy::Remedy;
pub use reschedule::RescheduleError;
pub use reseal::ResealError;
pub use secret::{MasterKey, SecretError};
pub use seen::{Said, SeenMessage, SeenRecipient};
pub use vendor_key::{VendorKeyError, vendor_key};
