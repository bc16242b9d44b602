//! What can be asked of a relay, as it goes over the socket.

use postrider_model::{
    Authority, Domain, EmailAddress, Language, MessageId, SessionCode, Stream, SuppressionId,
};
use postrider_store::NewLimits;
use serde::{Deserialize, Serialize};

use super::{
    AddedTenant, FindRequest, ImportRow, NewKey, ReportRequest, Since, TokenAct, TraceAct,
    VendorAct,
};

/// What can be asked of a relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Verb {
    TenantAdd(AddedTenant),
    /// At most a thousand rows, of different licences.
    TenantImport {
        vendor: String,
        rows: Vec<ImportRow>,
    },
    Vendor {
        act: VendorAct,
    },
    Token {
        act: TokenAct,
    },
    /// What was done, newest first, a thousand entries at most.
    Audit {
        since: Option<Since>,
        vendor: Option<String>,
    },
    TenantList {
        #[serde(default)]
        vendor: Option<String>,
    },
    TenantShow {
        tenant: String,
    },
    TenantSuspend {
        tenant: String,
        #[serde(default = "operator")]
        by: Authority,
    },
    TenantResume {
        tenant: String,
        #[serde(default = "operator")]
        by: Authority,
    },
    TenantLimit {
        tenant: String,
        limits: NewLimits,
        #[serde(default = "operator")]
        by: Authority,
    },
    TenantSet {
        tenant: String,
        language: Option<Language>,
        own_domain: Option<bool>,
        #[serde(default)]
        notices: Option<bool>,
        #[serde(default)]
        without_plan: bool,
        vouched: bool,
    },
    ReplyToList {
        tenant: String,
    },
    ReplyToAdd {
        tenant: String,
        address: EmailAddress,
    },
    ReplyToAsk {
        tenant: String,
        address: EmailAddress,
    },
    ReplyToConfirm {
        tenant: String,
        address: EmailAddress,
    },
    ReplyToRemove {
        tenant: String,
        address: EmailAddress,
    },
    KeyCreate {
        tenant: String,
        #[serde(flatten)]
        key: NewKey,
    },
    KeyList {
        tenant: String,
    },
    KeyRevoke {
        id: String,
    },
    KeySuspend {
        id: String,
        #[serde(default = "operator")]
        by: Authority,
    },
    KeyResume {
        id: String,
        #[serde(default = "operator")]
        by: Authority,
    },
    Suppression {
        tenant: String,
        act: SuppressionAct,
    },
    /// What keeps mail of a vendor's tenants back, newest first, a hundred at a time.
    VendorSuppressions(SuppressionsOf),
    Session {
        code: SessionCode,
    },
    Report {
        #[serde(flatten)]
        report: ReportRequest,
    },
    Find {
        #[serde(flatten)]
        find: FindRequest,
    },
    DkimShow,
    DkimAdd,
    DkimRevoke {
        selector: String,
    },
    Send {
        tenant: String,
        to: Vec<EmailAddress>,
        subject: String,
        text: String,
    },
    Trace {
        act: TraceAct,
    },
    Nodes,
    Queue {
        act: QueueAct,
        about: About,
    },
    QueueList {
        #[serde(default)]
        vendor: Option<String>,
    },
}

impl Verb {
    /// Whether nothing changes by it.
    pub fn only_reads(&self) -> bool {
        let reads = matches!(
            self,
            Self::TenantList { .. }
                | Self::Audit { .. }
                | Self::Token {
                    act: TokenAct::List { .. },
                }
                | Self::TenantShow { .. }
                | Self::KeyList { .. }
                | Self::ReplyToList { .. }
                | Self::Suppression {
                    act: SuppressionAct::List { .. },
                    ..
                }
                | Self::VendorSuppressions(_)
                | Self::Session { .. }
                | Self::Report { .. }
                | Self::Find { .. }
                | Self::DkimShow
                | Self::Nodes
                | Self::QueueList { .. }
        );
        let of_act = match self {
            Self::Vendor { act } => act.only_reads(),
            Self::Trace { act } => act.only_reads(),
            _ => false,
        };
        reads || of_act
    }

    /// Whether the directory changes by it, which every process keeps a copy of.
    pub fn changes_directory(&self) -> bool {
        let beside = matches!(
            self,
            Self::Queue { .. } | Self::Send { .. } | Self::Trace { .. } | Self::Suppression { .. }
        );
        !self.only_reads() && !beside
    }
}

/// Which suppressions of a vendor's tenants are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressionsOf {
    /// A vendor's slug or id.
    pub vendor: String,
    pub stream: Option<Stream>,
    pub address: Option<EmailAddress>,
    /// Older than this one.
    pub after: Option<SuppressionId>,
}

/// What is done with a tenant's suppressions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionAct {
    List {
        stream: Option<Stream>,
        address: Option<EmailAddress>,
        after: Option<SuppressionId>,
    },
    Add {
        address: EmailAddress,
        stream: Option<Stream>,
        note: String,
    },
    Lift {
        address: EmailAddress,
    },
}

/// What an operator does to what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueAct {
    Hold,
    Release,
    Cancel,
    Suspend,
    Resume,
    RetryNow,
}

impl QueueAct {
    /// The command's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::RetryNow => "retry-now",
        }
    }
}

/// What it is done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A tenant's id or slug.
    Tenant(String),
    /// All tenants of a vendor: its slug or id.
    Vendor(String),
    Domain(Domain),
    Message(MessageId),
}

// A command's line says nothing of it.
fn operator() -> Authority {
    Authority::Operator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_comes_back_from_its_line() {
        let domain = Domain::parse("example.org").unwrap();
        let verb = Verb::Queue {
            act: QueueAct::RetryNow,
            about: About::Domain(domain),
        };
        let line = serde_json::to_string(&verb).unwrap();
        let want = r#"{"verb":"queue","act":"retry-now","about":{"domain":"example.org"}}"#;
        assert_eq!(line, want);
        assert_eq!(serde_json::from_str::<Verb>(&line).unwrap(), verb);
    }
}
