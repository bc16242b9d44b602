//! `/admin/v1/tenants/{tenant}/reply-addresses`: who may be named in Reply-To.

use postrider_http::{Answer, Problem};
use postrider_model::{EmailAddress, ReplyStatus, Tenant};
use serde_json::json;

use super::caller::Caller;
use super::endpoint::ReplyAct;
use super::fields::{Fields, given};
use super::lists::list;
use super::missing::no_such;
use super::{AdminDoor, Fault, Outcome};
use crate::admin::{Reader, Verb};

impl AdminDoor {
    /// `GET …/reply-addresses`, the default first.
    pub(super) async fn list_replies(&self, caller: &Caller, tenant: &Tenant) -> Outcome {
        let tenant = tenant.id.to_string();
        let found = self.execute(caller, Verb::ReplyToList { tenant }).await?;
        Ok(list(found.as_array().cloned().unwrap_or_default(), false))
    }

    /// `POST …/reply-addresses`: entered, and its owner asked.
    pub(super) async fn add_reply(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        mut fields: Fields,
    ) -> Outcome {
        let address: Option<EmailAddress> = fields.need("address");
        let attested: Option<bool> = fields.take("attested");
        fields.done()?;
        let address = given(address)?;
        // The operator is told by the verb.
        if caller.vendor.is_some() {
            self.not_disowned(caller, tenant, &address)?;
        }
        let verb = Verb::ReplyToAdd {
            tenant: tenant.id.to_string(),
            address: address.clone(),
        };
        self.execute(caller, verb).await?;
        if attested == Some(true) {
            self.attest(caller, tenant, &address).await?;
        }
        self.reply_shown(tenant, &address, 201)
    }

    /// What is done to one of them.
    pub(super) async fn reply(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        address: EmailAddress,
        act: ReplyAct,
    ) -> Outcome {
        let known = self.office.roster.reply_address(tenant.id, &address);
        let known = known.ok_or_else(|| no_such("reply address", &address))?;
        let address = known.address.clone();
        let which = tenant.id.to_string();
        match act {
            ReplyAct::Ask => {
                if caller.vendor.is_some() {
                    self.not_disowned(caller, tenant, &address)?;
                }
                let (tenant, address) = (which, address.clone());
                self.execute(caller, Verb::ReplyToAsk { tenant, address })
                    .await?;
            }
            // A vendor's word is written down as such; the operator's needs none.
            ReplyAct::Confirm if caller.vendor.is_some() => {
                self.attest(caller, tenant, &address).await?;
            }
            ReplyAct::Confirm => {
                let (tenant, address) = (which, address.clone());
                self.execute(caller, Verb::ReplyToConfirm { tenant, address })
                    .await?;
            }
            ReplyAct::Remove => {
                let verb = Verb::ReplyToRemove {
                    tenant: which,
                    address: address.clone(),
                };
                self.execute(caller, verb).await?;
                let gone = json!({"object": "reply_address", "address": address, "deleted": true});
                return Ok(Answer::json(200, &gone));
            }
        }
        self.reply_shown(tenant, &address, 200)
    }

    /// Confirms an address because whose token it is vouches for it.
    pub(super) async fn attest(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        address: &EmailAddress,
    ) -> Result<(), Fault> {
        self.not_disowned(caller, tenant, address)?;
        let whom = match &caller.vendor {
            Some(vendor) => format!("vendor {}", vendor.slug),
            None => "the operator".to_owned(),
        };
        let by = format!("{whom} by {}", caller.actor());
        let at = self.office.provision.clock.now();
        let directory = &self.office.database.directory;
        directory
            .attest_reply_address(tenant.id, address, &by, at)
            .await?;
        let detail = json!({"address": address, "by": by});
        self.note(caller, "reply_to_attest", tenant, detail).await;
        Ok(())
    }

    /// An address whose owner has said no is nobody's to enter again: the refusal says what the caller can do.
    pub(super) fn not_disowned(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        address: &EmailAddress,
    ) -> Result<(), Problem> {
        let known = self.office.roster.reply_address(tenant.id, address);
        let Some(known) = known.filter(|known| known.status == ReplyStatus::Refused) else {
            return Ok(());
        };
        let (address, slug) = (&known.address, &tenant.slug);
        let way = self.reader(caller).way(slug, address);
        let message = format!(
            "The owner of {address} has said that they do not know {slug}: give another reply address; if that was a mistake, {way}."
        );
        Err(Problem::new(409, "validation_error", message))
    }

    /// Who is told, and so what they can do.
    pub(super) fn reader(&self, caller: &Caller) -> Reader<'_> {
        match caller.vendor {
            Some(_) => Reader::Vendor(self.office.contact.as_ref()),
            None => Reader::Operator,
        }
    }

    fn reply_shown(&self, tenant: &Tenant, address: &EmailAddress, status: u16) -> Outcome {
        let known = self.office.roster.reply_address(tenant.id, address);
        let entry = known.ok_or_else(|| no_such("reply address", address))?;
        let tenant = self.office.roster.tenant(tenant.id);
        let is_default = tenant.is_some_and(|tenant| tenant.reply_to.folded() == address.folded());
        Ok(Answer::json(
            status,
            &json!({
                "address": entry.address,
                "status": entry.status,
                "source": entry.source,
                "confirmed_at": entry.confirmed_at,
                "asked_at": entry.asked_at,
                "refused_at": entry.refused_at,
                "attested_by": entry.attested_by,
                "created_at": entry.created_at,
                "default": is_default,
            }),
        ))
    }
}
