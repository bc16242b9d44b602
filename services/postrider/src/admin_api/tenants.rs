//! `/admin/v1/tenants`: who may send, within which limits.

use postrider_http::{Answer, Query};
use postrider_model::{
    Authority, EmailAddress, Language, Licence, Plan, ReplyAddress, ReplyStatus, Tenant, TenantId,
};
use postrider_store::{NewLimits, TenantUpdate};
use serde_json::{Value, json};

use super::caller::Caller;
use super::fields::{Change, Fields, given};
use super::lists::{cursor, cut, list, page};
use super::missing::no_such;
use super::{AdminDoor, Fault, Outcome};
use crate::admin::{AddedTenant, Verb, disowned, next_reply_to};

impl AdminDoor {
    /// `GET /tenants`, oldest first.
    pub(super) async fn list_tenants(&self, caller: &Caller, query: &Query) -> Outcome {
        let page = page(query, &["vendor"])?;
        let vendor = self.wanted_vendor(caller, query)?;
        let after = cursor::<TenantId>(&page)?;
        let vendors = &self.office.database.vendors;
        let found = vendors.tenants(vendor, after, page.limit + 1).await?;
        let (tenants, has_more) = cut(found, page.limit);
        let data = tenants.iter().map(|tenant| self.tenant_shown(tenant));
        Ok(list(data, has_more))
    }

    /// `POST /tenants`. Its first key is in the answer, this one time.
    pub(super) async fn add_tenant(&self, caller: &Caller, mut fields: Fields) -> Outcome {
        let name: Option<String> = fields.need("name");
        let reply_to: Option<EmailAddress> = fields.need("reply_to");
        let language: Option<Language> = fields.take("language");
        let vendor: Option<String> = fields.take("vendor");
        let licence: Option<Licence> = fields.take("licence");
        let plan: Option<Plan> = fields.take("plan");
        let attested: Option<bool> = fields.take("attested");
        let vouched: Option<bool> = fields.take("vouched");
        if vouched == Some(true) && caller.vendor.is_some() {
            let message = "is the operator's to say; a vendor says attested of a reply address.";
            fields.complain("vouched", message.to_owned());
        }
        spoken(caller, language, &mut fields);
        fields.done()?;
        let reply_to = given(reply_to)?;
        let vendor = match (vendor, &caller.vendor) {
            (None, None) => None,
            (None, Some(own)) => Some(own.id.to_string()),
            (Some(which), _) => {
                let vendor = self.vendor(&which)?;
                if !caller.sees(vendor.id) {
                    return Err(no_such("vendor", which).into());
                }
                Some(vendor.id.to_string())
            }
        };
        let verb = Verb::TenantAdd(AddedTenant {
            name: given(name)?,
            reply_to: reply_to.clone(),
            language,
            vouched: vouched.unwrap_or(false),
            vendor,
            licence,
            plan,
        });
        let made = self.execute(caller, verb).await?;
        let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
        let tenant = self.tenant(caller, id)?;
        if attested == Some(true) {
            self.attest(caller, &tenant, &reply_to).await?;
        }
        let mut shown = self.tenant_in_full(caller, &tenant).await?;
        if let (Value::Object(shown), Some(key)) = (&mut shown, made.get("api_key")) {
            shown.insert("api_key".to_owned(), key.clone());
        }
        Ok(Answer::json(201, &shown))
    }

    /// `GET /tenants/{tenant}`.
    pub(super) async fn show_tenant(&self, caller: &Caller, tenant: &Tenant) -> Outcome {
        Ok(Answer::json(
            200,
            &self.tenant_in_full(caller, tenant).await?,
        ))
    }

    /// `PATCH /tenants/{tenant}`: what is named is changed.
    pub(super) async fn change_tenant(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        mut fields: Fields,
    ) -> Outcome {
        let wish = TenantWish::taken(caller, &mut fields);
        if let Some(address) = &wish.reply_to
            && address.folded() != tenant.reply_to.folded()
            && let Err(why) = self.office.gate.check_reply_to(address)
        {
            fields.complain("reply_to", format!("{why}."));
        }
        if let Some(limits) = wish.limits
            && caller.authority() == Authority::Vendor
        {
            let stands = self.office.database.vendors.limits_of(tenant.id).await?;
            for beyond in stands.beyond(limits) {
                let name = format!("limits.{}", beyond.name);
                fields.complain(&name, format!("{beyond}."));
            }
        }
        fields.done()?;
        self.enact(caller, tenant, wish).await?;
        self.show_tenant(caller, tenant).await
    }

    async fn enact(&self, caller: &Caller, tenant: &Tenant, wish: TenantWish) -> Result<(), Fault> {
        let TenantWish {
            language,
            own_domain,
            notices,
            ..
        } = wish;
        let without_plan = wish.plan == Change::Ends;
        let plan = wish.plan.over(None);
        if wish.name.is_some() || plan.is_some() || wish.reply_to.is_some() {
            let reply_to = wish.reply_to;
            if let Some(address) = &reply_to {
                self.not_disowned(caller, tenant, address)?;
            }
            let update = TenantUpdate {
                tenant: tenant.id,
                name: wish.name.map(|name| name.trim().to_owned()),
                language: None,
                plan,
                reply_to: reply_to.map(|address| self.entry_of(tenant, address)),
            };
            self.update(caller, tenant, update).await?;
        }
        if language.is_some() || own_domain.is_some() || notices.is_some() || without_plan {
            let verb = Verb::TenantSet {
                tenant: tenant.id.to_string(),
                language,
                own_domain,
                notices,
                without_plan,
                vouched: false,
            };
            self.execute(caller, verb).await?;
        }
        if let Some(limits) = wish.limits {
            let verb = Verb::TenantLimit {
                tenant: tenant.id.to_string(),
                limits,
                by: caller.authority(),
            };
            self.execute(caller, verb).await?;
        }
        Ok(())
    }

    /// `POST /tenants/{tenant}/suspend`, `…/resume`.
    pub(super) async fn stop_tenant(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        stops: bool,
    ) -> Outcome {
        let (which, by) = (tenant.id.to_string(), caller.authority());
        let verb = if stops {
            Verb::TenantSuspend { tenant: which, by }
        } else {
            Verb::TenantResume { tenant: which, by }
        };
        self.execute(caller, verb).await?;
        self.show_tenant(caller, tenant).await
    }

    async fn update(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        update: TenantUpdate,
    ) -> Result<(), Fault> {
        let detail = json!({
            "name": update.name,
            "plan": update.plan,
            "reply_to": update.reply_to.as_ref().map(|entry| &entry.address),
        });
        self.office.database.directory.update_tenant(update).await?;
        self.note(caller, "tenant_update", tenant, detail).await;
        Ok(())
    }

    fn entry_of(&self, tenant: &Tenant, address: EmailAddress) -> ReplyAddress {
        let provision = &self.office.provision;
        provision.new_reply_address(tenant.id, address, ReplyStatus::Unconfirmed)
    }

    async fn tenant_in_full(&self, caller: &Caller, tenant: &Tenant) -> Result<Value, Fault> {
        let which = tenant.id.to_string();
        let shown = self
            .execute(caller, Verb::TenantShow { tenant: which })
            .await?;
        // As it is now: what was asked for may have changed it.
        let now = self.tenant(caller, &tenant.id.to_string())?;
        let mut all = self.tenant_shown(&now);
        let known = self.office.roster.all_of(tenant.id).unwrap_or_default();
        let (addresses, reader) = (&known.reply_addresses, self.reader(caller));
        for told in [
            next_reply_to(&now, addresses, reader),
            disowned(&now, addresses, reader),
        ] {
            if let (Value::Object(all), Value::Object(told)) = (&mut all, told) {
                all.extend(told);
            }
        }
        if let (Value::Object(all), Value::Object(more)) = (&mut all, shown) {
            for (name, value) in more {
                all.entry(name).or_insert(value);
            }
        }
        Ok(all)
    }

    fn tenant_shown(&self, tenant: &Tenant) -> Value {
        let roster = &self.office.roster;
        let vendor = roster.vendor(tenant.vendor);
        let default = roster.reply_address(tenant.id, &tenant.reply_to);
        let next = tenant.next_reply_to.as_ref();
        let next = next.and_then(|next| roster.reply_address(tenant.id, next));
        json!({
            "object": "tenant",
            "id": tenant.id,
            "slug": tenant.slug,
            "name": tenant.name,
            "vendor": vendor.map(|vendor| vendor.slug.clone()),
            "licence": tenant.licence,
            "plan": tenant.plan,
            "from": tenant.from,
            "reply_to": tenant.reply_to,
            "next_reply_to": tenant.next_reply_to,
            "next_reply_to_status": next.map(|entry| entry.status),
            "reply_to_status": default.map(|entry| entry.status),
            "confirmed": roster.is_confirmed(tenant.id, &tenant.reply_to),
            "status": tenant.status,
            "language": tenant.language,
            "own_domain": tenant.own_domain,
            "notices": tenant.notices,
            "created_at": tenant.created_at,
        })
    }
}

/// What of a tenant is to be another.
struct TenantWish {
    name: Option<String>,
    language: Option<Language>,
    plan: Change<Plan>,
    own_domain: Option<bool>,
    notices: Option<bool>,
    reply_to: Option<EmailAddress>,
    limits: Option<NewLimits>,
}

impl TenantWish {
    /// Takes it from the fields, and complains there of what cannot be.
    fn taken(caller: &Caller, fields: &mut Fields) -> Self {
        let wish = Self {
            name: fields.wish("name"),
            language: fields.wish("language"),
            plan: fields.change("plan"),
            own_domain: fields.wish("own_domain"),
            notices: fields.wish("notices"),
            reply_to: fields.wish("reply_to"),
            limits: fields.limits("limits"),
        };
        if let Some(name) = &wish.name
            && !postrider_gate::is_acceptable_name(name.trim())
        {
            let message = format!(
                "{name:?} cannot stand before an address: give 1 to 128 characters without @, control or invisible ones."
            );
            fields.complain("name", message);
        }
        spoken(caller, wish.language, fields);
        wish
    }
}

/// A vendor's tenants speak what the vendor does. The operator may know better.
fn spoken(caller: &Caller, wished: Option<Language>, fields: &mut Fields) {
    if let (Some(vendor), Some(language)) = (&caller.vendor, wished)
        && !vendor.speaks(language)
    {
        let message = format!(
            "{} is none of {}: give {}, or ask the service's operator for it.",
            language.as_str(),
            vendor.name,
            vendor.spoken()
        );
        fields.complain("language", message);
    }
}
