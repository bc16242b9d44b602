//! Which endpoint a request is for, who may call it, and whether it has a body.

use http::Method;
use postrider_http::{Problem, Request};
use postrider_model::{AdminRole, CredentialId, EmailAddress, MessageId, SessionCode};

use super::missing::{no_such, nowhere};

/// What can be asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Contract,
    Vendor(VendorAct),
    Tenants,
    AddTenant,
    /// Of a tenant by its id or slug.
    Tenant(String, TenantAct),
    Messages,
    Message(MessageId),
    Session(SessionCode),
    Audit,
    Report,
}

/// Of vendors, by their slug or id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum VendorAct {
    List,
    Add,
    Show(String),
    Change(String),
    Suspend(String),
    Resume(String),
    Keys(String),
    AddKey(String),
    RevokeKey(String, String),
}

/// Of one tenant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TenantAct {
    Show,
    Change,
    Suspend,
    Resume,
    Keys,
    AddKey,
    Key(CredentialId, KeyAct),
    Replies,
    AddReply,
    Reply(EmailAddress, ReplyAct),
    Messages,
    Suppressions,
    Suppress,
    Lift(EmailAddress),
}

/// Of one key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyAct {
    Change,
    Suspend,
    Resume,
    Revoke,
}

/// Of one reply address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyAct {
    Ask,
    Confirm,
    Remove,
}

impl Act {
    /// Whether only the operator's tokens find it.
    pub(super) fn is_operators(&self) -> bool {
        matches!(self, Self::Vendor(_))
    }

    /// The least role that may.
    pub(super) fn role(&self) -> AdminRole {
        match self {
            Self::Contract | Self::Tenants | Self::Messages | Self::Message(_) => AdminRole::Read,
            Self::Session(_) | Self::Audit | Self::Report => AdminRole::Read,
            Self::AddTenant => AdminRole::Admin,
            Self::Vendor(act) => match act {
                VendorAct::List | VendorAct::Show(_) | VendorAct::Keys(_) => AdminRole::Read,
                VendorAct::Suspend(_) | VendorAct::Resume(_) => AdminRole::Operate,
                VendorAct::Add
                | VendorAct::Change(_)
                | VendorAct::AddKey(_)
                | VendorAct::RevokeKey(..) => AdminRole::Admin,
            },
            Self::Tenant(_, act) => match act {
                TenantAct::Show | TenantAct::Keys | TenantAct::Replies => AdminRole::Read,
                TenantAct::Messages | TenantAct::Suppressions => AdminRole::Read,
                TenantAct::Change
                | TenantAct::Suspend
                | TenantAct::Resume
                | TenantAct::AddKey
                | TenantAct::Key(..)
                | TenantAct::AddReply
                | TenantAct::Reply(..)
                | TenantAct::Suppress
                | TenantAct::Lift(_) => AdminRole::Operate,
            },
        }
    }

    pub(super) fn takes_body(&self) -> bool {
        match self {
            Self::AddTenant => true,
            Self::Vendor(act) => matches!(
                act,
                VendorAct::Add | VendorAct::Change(_) | VendorAct::AddKey(_)
            ),
            Self::Tenant(_, act) => matches!(
                act,
                TenantAct::Change
                    | TenantAct::AddKey
                    | TenantAct::Key(_, KeyAct::Change)
                    | TenantAct::AddReply
                    | TenantAct::Suppress
            ),
            Self::Contract | Self::Tenants | Self::Messages | Self::Message(_) => false,
            Self::Session(_) | Self::Audit | Self::Report => false,
        }
    }
}

/// Finds it by path and method.
pub(super) fn of(request: &Request) -> Result<Act, Problem> {
    let segments: Vec<_> = request.path.segments().iter().map(String::as_str).collect();
    let ["admin", "v1", below @ ..] = segments.as_slice() else {
        return Err(nowhere());
    };
    let method = match request.method {
        Method::HEAD => &Method::GET,
        ref other => other,
    };
    routes(method, below)
}

/// What stands below `/admin/v1`.
fn routes(method: &Method, below: &[&str]) -> Result<Act, Problem> {
    match below {
        ["openapi.json"] => one(method, &Method::GET, Act::Contract),
        ["audit"] => one(method, &Method::GET, Act::Audit),
        ["report"] => one(method, &Method::GET, Act::Report),
        ["messages"] => one(method, &Method::GET, Act::Messages),
        ["messages", id] => {
            let id = id.parse().map_err(|_| no_such("message", id))?;
            one(method, &Method::GET, Act::Message(id))
        }
        ["sessions", code] => {
            let code = SessionCode::parse(code).map_err(|_| no_such("session", code))?;
            one(method, &Method::GET, Act::Session(code))
        }
        ["tenants"] => match *method {
            Method::GET => Ok(Act::Tenants),
            Method::POST => Ok(Act::AddTenant),
            _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
        },
        ["tenants", which, below @ ..] => {
            let act = of_tenant(method, below)?;
            Ok(Act::Tenant((*which).to_owned(), act))
        }
        ["vendors", below @ ..] => of_vendors(method, below).map(Act::Vendor),
        _ => Err(nowhere()),
    }
}

fn of_vendors(method: &Method, below: &[&str]) -> Result<VendorAct, Problem> {
    let owned = |text: &&str| (**text).to_owned();
    match below {
        [] => match *method {
            Method::GET => Ok(VendorAct::List),
            Method::POST => Ok(VendorAct::Add),
            _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
        },
        [vendor] => match *method {
            Method::GET => Ok(VendorAct::Show(owned(vendor))),
            Method::PATCH => Ok(VendorAct::Change(owned(vendor))),
            _ => Err(Problem::method_not_allowed("GET, HEAD, PATCH")),
        },
        [vendor, "suspend"] => one(method, &Method::POST, VendorAct::Suspend(owned(vendor))),
        [vendor, "resume"] => one(method, &Method::POST, VendorAct::Resume(owned(vendor))),
        [vendor, "keys"] => match *method {
            Method::GET => Ok(VendorAct::Keys(owned(vendor))),
            Method::POST => Ok(VendorAct::AddKey(owned(vendor))),
            _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
        },
        [vendor, "keys", kid] => {
            let act = VendorAct::RevokeKey(owned(vendor), owned(kid));
            one(method, &Method::DELETE, act)
        }
        _ => Err(nowhere()),
    }
}

fn of_tenant(method: &Method, below: &[&str]) -> Result<TenantAct, Problem> {
    match below {
        [] => match *method {
            Method::GET => Ok(TenantAct::Show),
            Method::PATCH => Ok(TenantAct::Change),
            _ => Err(Problem::method_not_allowed("GET, HEAD, PATCH")),
        },
        ["suspend"] => one(method, &Method::POST, TenantAct::Suspend),
        ["resume"] => one(method, &Method::POST, TenantAct::Resume),
        ["messages"] => one(method, &Method::GET, TenantAct::Messages),
        ["keys"] => match *method {
            Method::GET => Ok(TenantAct::Keys),
            Method::POST => Ok(TenantAct::AddKey),
            _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
        },
        ["keys", id, below @ ..] => {
            let id = id.parse().map_err(|_| no_such("key", id))?;
            of_key(method, below).map(|act| TenantAct::Key(id, act))
        }
        ["reply-addresses"] => match *method {
            Method::GET => Ok(TenantAct::Replies),
            Method::POST => Ok(TenantAct::AddReply),
            _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
        },
        ["reply-addresses", address, below @ ..] => {
            let address = parsed(address)?;
            of_reply(method, below).map(|act| TenantAct::Reply(address, act))
        }
        ["suppressions"] => match *method {
            Method::GET => Ok(TenantAct::Suppressions),
            Method::POST => Ok(TenantAct::Suppress),
            _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
        },
        ["suppressions", address] => {
            let address = parsed(address)?;
            one(method, &Method::DELETE, TenantAct::Lift(address))
        }
        _ => Err(nowhere()),
    }
}

fn of_key(method: &Method, below: &[&str]) -> Result<KeyAct, Problem> {
    match below {
        [] => match *method {
            Method::PATCH => Ok(KeyAct::Change),
            Method::DELETE => Ok(KeyAct::Revoke),
            _ => Err(Problem::method_not_allowed("PATCH, DELETE")),
        },
        ["suspend"] => one(method, &Method::POST, KeyAct::Suspend),
        ["resume"] => one(method, &Method::POST, KeyAct::Resume),
        _ => Err(nowhere()),
    }
}

fn of_reply(method: &Method, below: &[&str]) -> Result<ReplyAct, Problem> {
    match below {
        [] => one(method, &Method::DELETE, ReplyAct::Remove),
        ["ask"] => one(method, &Method::POST, ReplyAct::Ask),
        ["confirm"] => one(method, &Method::POST, ReplyAct::Confirm),
        _ => Err(nowhere()),
    }
}

fn parsed(address: &str) -> Result<EmailAddress, Problem> {
    EmailAddress::parse(address).map_err(|_| no_such("address", address))
}

/// A path that answers to one method.
fn one<T>(method: &Method, wanted: &Method, act: T) -> Result<T, Problem> {
    if method == wanted {
        return Ok(act);
    }
    Err(Problem::method_not_allowed(match *wanted {
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "GET, HEAD",
    }))
}

#[cfg(test)]
mod tests;
