//! `/admin/v1/vendors`: who vouches for tenants. The operator's alone.

use std::sync::Arc;

use postrider_http::{Answer, Problem};
use postrider_model::{EmailAddress, Language, Vendor, VendorId};
use serde_json::Value;

use super::caller::Caller;
use super::fields::{Fields, given};
use super::lists::list;
use super::missing::no_such;
use super::{AdminDoor, Outcome};
use crate::admin::{VendorAct, VendorChange, Verb};

impl AdminDoor {
    /// A vendor by its id or slug.
    pub(super) fn vendor(&self, which: &str) -> Result<Arc<Vendor>, Problem> {
        let roster = &self.office.roster;
        let by_id = which.parse::<VendorId>().ok();
        let found = by_id.and_then(|id| roster.vendor(id));
        let found = found.or_else(|| roster.vendor_named(which));
        found.ok_or_else(|| no_such("vendor", which))
    }

    /// `GET /vendors`.
    pub(super) async fn list_vendors(&self, caller: &Caller) -> Outcome {
        let act = VendorAct::List;
        let found = self.execute(caller, Verb::Vendor { act }).await?;
        Ok(list(found.as_array().cloned().unwrap_or_default(), false))
    }

    /// `POST /vendors`.
    pub(super) async fn add_vendor(&self, caller: &Caller, mut fields: Fields) -> Outcome {
        let slug: Option<String> = fields.need("slug");
        let name: Option<String> = fields.need("name");
        let contact: Option<EmailAddress> = fields.need("contact");
        let change = change(&mut fields);
        fields.done()?;
        let slug = given(slug)?;
        if self.office.roster.vendor_named(&slug).is_some() {
            let message = format!("The slug {slug:?} is taken already; give another one.");
            return Err(Problem::new(409, "validation_error", message).into());
        }
        let act = VendorAct::Add {
            slug,
            name: given(name)?,
            contact: given(contact)?,
            change,
        };
        let made = self.execute(caller, Verb::Vendor { act }).await?;
        Ok(Answer::json(201, &made))
    }

    /// `GET /vendors/{vendor}`.
    pub(super) async fn show_vendor(&self, caller: &Caller, vendor: String) -> Outcome {
        self.of_vendor(caller, vendor, |vendor| VendorAct::Show { vendor })
            .await
    }

    /// `PATCH /vendors/{vendor}`: what is named is changed.
    pub(super) async fn change_vendor(
        &self,
        caller: &Caller,
        vendor: String,
        mut fields: Fields,
    ) -> Outcome {
        self.vendor(&vendor)?;
        let name: Option<String> = fields.wish("name");
        let contact: Option<EmailAddress> = fields.wish("contact");
        let change = change(&mut fields);
        fields.done()?;
        let act = |vendor| VendorAct::Set {
            vendor,
            name,
            contact,
            change,
        };
        self.of_vendor(caller, vendor, act).await
    }

    /// `POST /vendors/{vendor}/suspend`, `…/resume`.
    pub(super) async fn stop_vendor(
        &self,
        caller: &Caller,
        vendor: String,
        stops: bool,
    ) -> Outcome {
        let act = |vendor| {
            if stops {
                VendorAct::Suspend { vendor }
            } else {
                VendorAct::Resume { vendor }
            }
        };
        self.of_vendor(caller, vendor, act).await
    }

    /// `GET /vendors/{vendor}/keys`.
    pub(super) async fn list_vendor_keys(&self, caller: &Caller, vendor: String) -> Outcome {
        let vendor = self.vendor(&vendor)?.id.to_string();
        let act = VendorAct::KeyList { vendor };
        let found = self.execute(caller, Verb::Vendor { act }).await?;
        Ok(list(found.as_array().cloned().unwrap_or_default(), false))
    }

    /// `POST /vendors/{vendor}/keys`, with the public half of an Ed25519 key.
    pub(super) async fn add_vendor_key(
        &self,
        caller: &Caller,
        vendor: String,
        mut fields: Fields,
    ) -> Outcome {
        let vendor = self.vendor(&vendor)?.id.to_string();
        let key: Option<Value> = fields.need("key");
        fields.done()?;
        // PEM or base64 is a text; a JWK may be given as it is.
        let key = match given(key)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let act = VendorAct::KeyAdd { vendor, key };
        let made = self.execute(caller, Verb::Vendor { act }).await?;
        Ok(Answer::json(201, &made))
    }

    /// `DELETE /vendors/{vendor}/keys/{kid}`.
    pub(super) async fn revoke_vendor_key(
        &self,
        caller: &Caller,
        vendor: String,
        kid: String,
    ) -> Outcome {
        let act = |vendor| VendorAct::KeyRevoke { vendor, kid };
        self.of_vendor(caller, vendor, act).await
    }

    async fn of_vendor(
        &self,
        caller: &Caller,
        vendor: String,
        act: impl FnOnce(String) -> VendorAct,
    ) -> Outcome {
        let act = act(self.vendor(&vendor)?.id.to_string());
        let shown = self.execute(caller, Verb::Vendor { act }).await?;
        Ok(Answer::json(200, &shown))
    }
}

fn change(fields: &mut Fields) -> VendorChange {
    let limits = fields.limits("tenant_limits");
    let languages: Option<Vec<Language>> = fields.wish("languages");
    VendorChange {
        per_day: fields.limit("per_day"),
        tenant_limits: limits.unwrap_or_default(),
        languages: languages.unwrap_or_default(),
    }
}
