//! The admin API, `/admin/v1` on a listener of its own: what vendors and operators do by program
//! what `postrider tenant`, `key`, `vendor` and the others do by hand. A door before the `Office`,
//! whose verbs are carried out and written into the audit with the token's id.
//!
//! A token has a role; a vendor's token sees its own tenants, and of all else that it is not there.

mod caller;
mod endpoint;
mod fields;
mod keys;
mod lists;
mod messages;
mod missing;
mod once;
mod pace;
mod replies;
mod report;
mod suppressions;
mod tenants;
mod values;
mod vendors;

use std::sync::Arc;

use async_trait::async_trait;
use postrider_gate::ProvisionError;
use postrider_http::{Answer, Door, Problem, Request, RequestId};
use postrider_model::Tenant;
use postrider_store::StoreError;
use serde_json::Value;

use crate::admin::{Office, Refused, Verb};
use caller::Caller;
use endpoint::{Act, TenantAct, VendorAct};
use fields::Fields;
use missing::{gone, nowhere};
use pace::Paces;

/// The API as an `OpenAPI` 3.1 document.
pub const CONTRACT: &str = include_str!("admin_api/admin-openapi.json");

/// Bytes of a request's body at most.
const REQUEST_MOST: u64 = 64 * 1024;

/// The door.
pub(crate) struct AdminDoor {
    office: Arc<Office>,
    paces: Paces,
}

/// What an endpoint gives, or why it does not.
type Outcome = Result<Answer, Fault>;

/// Why a request got nothing.
enum Fault {
    /// The caller's.
    Refused(Box<Problem>),
    /// What a verb or the store said.
    Office(anyhow::Error),
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl From<anyhow::Error> for Fault {
    fn from(fault: anyhow::Error) -> Self {
        Self::Office(fault)
    }
}

impl From<StoreError> for Fault {
    fn from(fault: StoreError) -> Self {
        Self::Office(fault.into())
    }
}

#[async_trait]
impl Door for AdminDoor {
    async fn answer(&self, request: Request) -> Answer {
        let id = request.request_id.clone();
        match self.asked(request).await {
            Ok(answer) => answer,
            Err(fault) => problem(fault, &id).into(),
        }
    }
}

impl AdminDoor {
    pub(crate) fn new(office: Arc<Office>) -> Self {
        Self {
            office,
            paces: Paces::default(),
        }
    }

    async fn asked(&self, mut request: Request) -> Outcome {
        let act = endpoint::of(&request)?;
        if matches!(act, Act::Contract) {
            return Ok(Answer::json_text(200, CONTRACT));
        }
        let caller = self.identify(&request)?;
        // First: to a vendor, another's tenant and what only operators have are not there.
        if act.is_operators() && caller.vendor.is_some() {
            return Err(nowhere().into());
        }
        let tenant = match &act {
            Act::Tenant(which, _) => Some(self.tenant(&caller, which)?),
            _ => None,
        };
        caller.may(act.role())?;
        let fields = if act.takes_body() {
            Fields::read(&mut request, REQUEST_MOST).await?
        } else {
            Fields::default()
        };
        match (act, tenant) {
            (Act::Tenant(_, act), Some(tenant)) => {
                self.of_tenant(&caller, &tenant, act, (fields, &request))
                    .await
            }
            (Act::Vendor(act), _) => self.of_vendors(&caller, act, fields).await,
            (Act::Tenants, _) => self.list_tenants(&caller, &request.query).await,
            (Act::AddTenant, _) => self.add_tenant(&caller, fields).await,
            (Act::Messages, _) => self.find_messages(&caller, &request.query).await,
            (Act::Message(id), _) => self.message(&caller, id).await,
            (Act::Session(code), _) => self.session(&caller, code).await,
            (Act::Audit, _) => self.audit(&caller, &request.query).await,
            (Act::Report, _) => self.report(&caller, &request.query).await,
            (Act::Contract | Act::Tenant(..), _) => Err(nowhere().into()),
        }
    }

    async fn of_tenant(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        act: TenantAct,
        (fields, request): (Fields, &Request),
    ) -> Outcome {
        let query = &request.query;
        match act {
            TenantAct::Show => self.show_tenant(caller, tenant).await,
            TenantAct::Change => self.change_tenant(caller, tenant, fields).await,
            TenantAct::Suspend | TenantAct::Resume => {
                self.stop_tenant(caller, tenant, act == TenantAct::Suspend)
                    .await
            }
            TenantAct::Keys => self.list_keys(caller, tenant).await,
            TenantAct::AddKey => self.add_key(caller, tenant, fields).await,
            TenantAct::Key(id, act) => self.key(caller, tenant, (id, act), fields).await,
            TenantAct::Replies => self.list_replies(caller, tenant).await,
            TenantAct::AddReply => self.add_reply(caller, tenant, fields).await,
            TenantAct::Reply(address, act) => self.reply(caller, tenant, address, act).await,
            TenantAct::Messages => self.list_messages(tenant, query).await,
            TenantAct::Suppressions => self.list_suppressions(caller, tenant, query).await,
            TenantAct::Suppress => self.suppress(caller, tenant, fields).await,
            TenantAct::Lift(address) => self.lift(caller, tenant, address).await,
        }
    }

    async fn of_vendors(&self, caller: &Caller, act: VendorAct, fields: Fields) -> Outcome {
        match act {
            VendorAct::List => self.list_vendors(caller).await,
            VendorAct::Add => self.add_vendor(caller, fields).await,
            VendorAct::Show(vendor) => self.show_vendor(caller, vendor).await,
            VendorAct::Change(vendor) => self.change_vendor(caller, vendor, fields).await,
            VendorAct::Suspend(vendor) => self.stop_vendor(caller, vendor, true).await,
            VendorAct::Resume(vendor) => self.stop_vendor(caller, vendor, false).await,
            VendorAct::Keys(vendor) => self.list_vendor_keys(caller, vendor).await,
            VendorAct::AddKey(vendor) => self.add_vendor_key(caller, vendor, fields).await,
            VendorAct::RevokeKey(vendor, kid) => self.revoke_vendor_key(caller, vendor, kid).await,
        }
    }

    /// Carries a verb out in the caller's name.
    async fn execute(&self, caller: &Caller, verb: Verb) -> Result<Value, Fault> {
        Ok(self.office.execute_for(&caller.actor(), verb).await?)
    }
}

/// What is told of a fault: once, here.
fn problem(fault: Fault, id: &RequestId) -> Problem {
    let fault = match fault {
        Fault::Refused(problem) => return *problem,
        Fault::Office(fault) => fault,
    };
    let told = told(&fault);
    if told.status >= 500 {
        tracing::error!(request.id = %id, fault = format!("{fault:#}"), "the admin API failed a request");
    }
    told
}

fn told(fault: &anyhow::Error) -> Problem {
    let in_chain = fault
        .chain()
        .find_map(|one| one.downcast_ref::<StoreError>());
    if let Some(refused) = fault.downcast_ref::<Refused>() {
        let message = sentence(&refused.by_api);
        return match refused.field {
            Some(field) => Problem::field(422, "validation_error", field, message),
            None => Problem::new(422, "validation_error", message),
        };
    }
    let provision = fault.downcast_ref::<ProvisionError>();
    match (in_chain, provision) {
        (_, Some(ProvisionError::BadName)) => Problem::field(
            422,
            "validation_error",
            "name",
            sentence(&ProvisionError::BadName.to_string()),
        ),
        (_, Some(ProvisionError::Store(error))) | (Some(error), _) => of_store(error),
        (None, Some(ProvisionError::Key(_) | ProvisionError::Secret(_))) => Problem::internal(),
        // What a verb refuses to do, with the remedy.
        (None, _) => Problem::new(422, "validation_error", sentence(&format!("{fault:#}"))),
    }
}

fn of_store(error: &StoreError) -> Problem {
    match error {
        StoreError::NotFound { what } => gone(what),
        StoreError::Taken { what } => {
            let message = format!("The {what} is taken already; give another one.");
            Problem::new(409, "validation_error", message)
        }
        StoreError::Rejected { reason } => {
            Problem::new(409, "validation_error", sentence(&reason.clone()))
        }
        StoreError::Unavailable(_) | StoreError::Full(_) => {
            Problem::unavailable("The database cannot be asked for the moment; try again.", 5)
        }
        StoreError::Corrupt { .. } => Problem::internal(),
    }
}

// Our errors begin in lowercase and end without a stop; a client reads a sentence. One that begins with a
// value, an address or a slug, begins with it as it is.
fn sentence(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    let first = first.trim_end_matches([',', ':', ';']);
    if !first.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return format!("{}.", text.trim_end_matches('.'));
    }
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_begins_with_a_value_leaves_it_as_it_is() {
        for (text, want) in [
            ("it is past", "It is past."),
            (
                "coll@shop.example is not asked.",
                "coll@shop.example is not asked.",
            ),
            ("joes-7k2f is suspended", "joes-7k2f is suspended."),
            ("--since: lies ahead", "--since: lies ahead."),
        ] {
            assert_eq!(sentence(text), want);
        }
    }
}
