//! The ports to the database, as traits: what the line needs kept, never how.
//!
//! Each method is a use case and owns its transaction. The dialects stand in `store-sqlite`
//! and `store-postgres`, in the same files and order; one conformance suite
//! (feature `conformance`) runs on each. `Fresh` is what both keep in memory of new mail. No SQL here,
//! no I/O, no policy.

mod changes;
#[cfg(feature = "conformance")]
pub mod conformance;
mod controls;
mod directory;
mod enrolments;
mod error;
mod failures;
mod fresh;
mod intake;
mod limits;
mod mail;
mod nodes;
mod queue;
mod queued;
mod quota;
mod refusal_text;
mod reports;
mod roster;
mod sessions;
mod shard;
mod stands;
mod suppressions;
mod tally;
mod trace;
mod upkeep;
mod vendors;
mod warmups;

pub use changes::{DirectoryChanges, Steps};
pub use controls::{
    Acknowledged, Control, ControlVerb, Controls, Enacted, HeldMessage, NewControl, Scope,
};
pub use directory::{
    AskCaps, Directory, DirectorySnapshot, Imported, LICENCE, NewTenant, Observed, TenantChange,
    TenantImport, TenantUpdate,
};
pub use enrolments::{Enrolment, Enrolments, Letters, TokenStands, UsedToken};
pub use error::StoreError;
pub use failures::{Failure, Failures, Untold};
pub use fresh::Fresh;
pub use intake::{
    Answer, Claim, ClaimScope, Committed, Intake, NewMessage, NewRecipient, Rescheduled,
    Rescheduling, Resealed, Summary,
};
pub use limits::{Beyond, NewLimits, TenantLimits};
pub use mail::{
    Cancelled, ListedEmail, Listing, Mail, MailFilter, MailPage, Note, PageStart, StoredEmail,
    StoredEvent, StoredRecipient, Usage,
};
pub use nodes::{Beat, Level, NewNode, NodeReport, NodeStanding, Nodes, Taken};
pub use queue::{
    Changes, Cursor, LaneKey, LanePage, News, OpenMessage, OpenRecipient, Outcome, Place, Queue,
    QueueRow, Settled, Settlement,
};
pub use queued::{Apart, Queued, QueuedCount, QueuedQuery};
pub use quota::{OverQuota, Period, Quota, VendorQuota};
pub use refusal_text::refusal_text;
pub use reports::{Counts, DAILY_LIFE, HOURLY_LIFE, Refused, Reports, Times, Traffic, Whose};
pub use roster::{Disowned, Roster};
pub use sessions::Sessions;
pub use shard::{Epoch, Lease, Shard};
pub use stands::Stands;
pub use suppressions::{
    Suppressed, SuppressionFilter, SuppressionList, SuppressionPage, SuppressionStart, Suppressions,
};
pub use tally::{
    Axis, Pending, Periods, RefusalKey, RefusalTexts, Tally, TallyKey, first_hour, hour,
};
pub use trace::{LastEvent, Senders, Suppressing, Trace, Traced};
pub use upkeep::{AUDIT_LIFE, FAILURE_LIFE, NOTE_LIFE, Removed, SESSION_LIFE, Upkeep};
pub use vendors::{Audit, AuditFilter, Vendors};
pub use warmups::{Allowance, Granted, Warmups};
