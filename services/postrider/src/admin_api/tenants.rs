//! `/admin/v1/tenants`: who may send, within which limits.

use postrider_http::{Answer, Problem, Query};
use postrider_model::{EmailAddress, Language, Licence, Limits, Plan, ReplyAddress, ReplyStatus};
use postrider_model::{Tenant, TenantId};
use postrider_store::TenantUpdate;
use serde_json::{Value, json};

use super::caller::Caller;
use super::fields::{Fields, given};
use super::lists::{cursor, cut, list, page};
use super::{AdminDoor, Fault, Outcome};
use crate::admin::{AddedTenant, NewLimits, Verb};

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
        fields.done()?;
        let reply_to = given(reply_to)?;
        let vendor = match (vendor, &caller.vendor) {
            (None, None) => None,
            (None, Some(own)) => Some(own.id.to_string()),
            (Some(which), _) => {
                let vendor = self.vendor(&which)?;
                if !caller.sees(vendor.id) {
                    return Err(Problem::not_found().into());
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
        let name: Option<String> = fields.take("name");
        let language: Option<Language> = fields.take("language");
        let plan: Option<Plan> = fields.take("plan");
        let own_domain: Option<bool> = fields.take("own_domain");
        let notices: Option<bool> = fields.take("notices");
        let reply_to: Option<EmailAddress> = fields.take("reply_to");
        let limits: Option<NewLimits> = fields.take("limits");
        if let Some(name) = &name
            && !postrider_gate::is_acceptable_name(name.trim())
        {
            let message = format!(
                "{name:?} cannot stand before an address: give 1 to 128 characters without @, control or invisible ones."
            );
            fields.complain("name", message);
        }
        if let Some(limits) = limits {
            within(caller, limits, tenant.limits, &mut fields);
        }
        fields.done()?;
        if name.is_some() || plan.is_some() || reply_to.is_some() {
            let update = TenantUpdate {
                tenant: tenant.id,
                name: name.map(|name| name.trim().to_owned()),
                language: None,
                plan,
                reply_to: reply_to.map(|address| self.entry_of(tenant, address)),
            };
            self.update(caller, tenant, update).await?;
        }
        if language.is_some() || own_domain.is_some() || notices.is_some() {
            let verb = Verb::TenantSet {
                tenant: tenant.id.to_string(),
                language,
                own_domain,
                notices,
                vouched: false,
            };
            self.execute(caller, verb).await?;
        }
        if let Some(limits) = limits {
            let tenant = tenant.id.to_string();
            self.execute(caller, Verb::TenantLimit { tenant, limits })
                .await?;
        }
        self.show_tenant(caller, tenant).await
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
            "confirmed": roster.is_confirmed(tenant.id, &tenant.reply_to),
            "status": tenant.status,
            "language": tenant.language,
            "own_domain": tenant.own_domain,
            "notices": tenant.notices,
            "created_at": tenant.created_at,
        })
    }
}

/// Reads one of the limits.
type One = fn(Limits) -> u32;

/// A vendor raises no limit of its tenants over what it has been given for them; 0 is no limit. What
/// is not named, or not raised, is not looked at: the operator may have given more.
fn within(caller: &Caller, wished: NewLimits, now: Limits, fields: &mut Fields) {
    let Some(vendor) = &caller.vendor else {
        return;
    };
    let (most, new) = (vendor.tenant_limits, wished.over(now));
    let rate = |limits: Limits| limits.requests_per_second;
    let all: [(&str, Option<u32>, One); 7] = [
        ("requests_per_second", wished.requests_per_second, rate),
        ("per_minute", wished.per_minute, |limits| limits.per_minute),
        ("burst", wished.burst, burst),
        ("bulk_per_minute", wished.bulk_per_minute, |limits| {
            limits.bulk_per_minute
        }),
        ("connections", wished.connections, |limits| {
            limits.connections
        }),
        ("per_day", wished.per_day, |limits| limits.per_day),
        ("per_month", wished.per_month, |limits| limits.per_month),
    ];
    for (name, named, of) in all {
        let (wished, was, most) = (of(new), of(now), of(most));
        if named.is_some() && is_more(wished, was) && is_more(wished, most) {
            let message = format!(
                "would be {wished}, and {most} is what {} may give: ask the service's operator for more.",
                vendor.name
            );
            fields.complain(&format!("limits.{name}"), message);
        }
    }
}

// As `Limits` has it: without a pace all may start at once, and 0 is ten seconds' worth.
fn burst(limits: Limits) -> u32 {
    match (limits.per_minute, limits.burst) {
        (0, _) => 0,
        (pace, 0) => (pace / 6).max(1),
        (_, burst) => burst,
    }
}

/// 0 is no limit, and so more than any.
fn is_more(one: u32, other: u32) -> bool {
    other > 0 && (one == 0 || one > other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_more_than_any_and_not_than_itself() {
        for (one, other, want) in [(0, 5, true), (6, 5, true), (5, 5, false), (4, 5, false)] {
            assert_eq!(is_more(one, other), want, "{one} {other}");
        }
        assert!(!is_more(0, 0) && !is_more(9, 0));
    }

    #[test]
    fn a_burst_is_compared_as_it_works() {
        for (per_minute, given, want) in [(0, 9, 0), (600, 0, 100), (1, 0, 1), (600, 7, 7)] {
            let limits = Limits {
                per_minute,
                burst: given,
                ..Limits::default()
            };
            assert_eq!(burst(limits), want, "{per_minute} {given}");
        }
    }
}
