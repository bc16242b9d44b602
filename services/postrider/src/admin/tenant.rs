//! Verbs about tenants: who they are, their limits; and mail sent in their name.

use anyhow::{Context, bail};
use postrider_gate::{Door, Submission, TenantDefaults};
use postrider_message::{Draft, compose};
use postrider_model::{
    Authority, EmailAddress, Language, Licence, Mailbox, Plan, Ramp, ReplyStatus, Tenant, TenantId,
    TenantStatus, Vendor,
};
use postrider_store::{NewLimits, Scope, TenantChange};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Office, Refused, reply, show};
use crate::holds::named;

/// Tenants that are read at a time.
const PAGE: u32 = 1_000;

/// A tenant to make: who it is, whose it is, and what its vendor calls it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedTenant {
    pub name: String,
    pub reply_to: EmailAddress,
    #[serde(default)]
    pub language: Option<Language>,
    /// As `tenants.vouched`, for this one.
    #[serde(default)]
    pub vouched: bool,
    /// Who vouches for it: a vendor's slug or id; none is the operator.
    #[serde(default)]
    pub vendor: Option<String>,
    /// Its vendor's own id of it.
    #[serde(default)]
    pub licence: Option<Licence>,
    #[serde(default)]
    pub plan: Option<Plan>,
}

impl Office {
    pub(super) async fn add_tenant(&self, add: AddedTenant) -> anyhow::Result<Value> {
        let vendor = self.vendor_of_new(add.vendor.as_deref()).await?;
        self.gate
            .check_reply_to(&add.reply_to)
            .map_err(|why| Refused::argument("--reply-to", "reply_to", &why.to_string()))?;
        let is_known = add.vouched || self.newcomers.vouched;
        let fresh = self.defaults_for(&vendor);
        let defaults = TenantDefaults {
            language: add.language.unwrap_or(vendor.language()),
            ramp: if is_known { Ramp::PAST } else { fresh.ramp },
            is_confirmed: is_known,
            licence: add.licence,
            plan: add.plan,
            ..fresh
        };
        let made = self
            .provision
            .tenant(&add.name, add.reply_to, defaults)
            .await?;
        Ok(json!({
            "id": made.tenant.id,
            "name": made.tenant.name,
            "slug": made.tenant.slug,
            "from": made.tenant.from,
            "reply_to": made.tenant.reply_to,
            "reply_to_status": reply_status(is_known),
            "vendor": vendor.slug,
            "api_key": made.token.expose(),
        }))
    }

    async fn vendor_of_new(&self, vendor: Option<&str>) -> anyhow::Result<Vendor> {
        match vendor {
            Some(vendor) => self.find_vendor(vendor).await,
            None => self.find_vendor(&Vendor::OPERATOR.to_string()).await,
        }
    }

    /// What a new tenant of this vendor begins with: its limits, and of the operator's those of
    /// the configuration.
    pub(super) fn defaults_for(&self, vendor: &Vendor) -> TenantDefaults {
        TenantDefaults {
            limits: vendor.limits_of_new(self.newcomers.limits),
            ramp: if self.newcomers.vouched {
                Ramp::PAST
            } else {
                self.newcomers.ramp.begin(self.provision.clock.now())
            },
            language: vendor.language(),
            vendor: vendor.id,
            ..TenantDefaults::default()
        }
    }

    pub(super) async fn list_tenants(&self, vendor: Option<String>) -> anyhow::Result<Value> {
        let vendor = match vendor {
            Some(vendor) => Some(self.find_vendor(&vendor).await?.id),
            None => None,
        };
        self.directory().await?;
        let (mut shown, mut after) = (Vec::new(), None);
        loop {
            let vendors = &self.database.vendors;
            let page = vendors.tenants(vendor, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(shown.into());
            };
            after = Some(last.id);
            let one = |tenant: &Tenant| {
                let default = self.roster.reply_address(tenant.id, &tenant.reply_to);
                let standing = show::standing(tenant, default.as_deref());
                let shown = show::tenant(tenant, &self.vendor_slug(tenant));
                show::joined(shown, json!({"standing": standing}))
            };
            shown.extend(page.iter().map(one));
        }
    }

    pub(super) async fn show_tenant(&self, tenant: &str) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        let usage = self.usage(&tenant).await?;
        let stands = self.database.vendors.limits_of(tenant.id).await?;
        let operators = show::named_limits(stands.operators);
        let vendor = self.vendor_slug(&tenant);
        Ok(show::joined(
            show::tenant_in_full((&tenant, &vendor), &snapshot, &usage),
            json!({"operators_limits": operators}),
        ))
    }

    pub(super) async fn suspend_tenant(
        &self,
        tenant: &str,
        by: Authority,
    ) -> anyhow::Result<Value> {
        self.set_status(tenant, TenantStatus::Suspended, by).await
    }

    pub(super) async fn resume_tenant(&self, tenant: &str, by: Authority) -> anyhow::Result<Value> {
        self.set_status(tenant, TenantStatus::Active, by).await
    }

    async fn set_status(
        &self,
        tenant: &str,
        status: TenantStatus,
        by: Authority,
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        let directory = &self.database.directory;
        directory.set_status(tenant.id, status, by).await?;
        let vendor = self.vendor_slug(&tenant);
        Ok(show::tenant(&Tenant { status, ..tenant }, &vendor))
    }

    /// Whose a tenant is, as commands name it.
    fn vendor_slug(&self, tenant: &Tenant) -> String {
        named(&self.roster, &Scope::Vendor(tenant.vendor)).1
    }

    pub(super) async fn limit(
        &self,
        tenant: &str,
        wished: NewLimits,
        by: Authority,
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        if wished != NewLimits::default() {
            let directory = &self.database.directory;
            directory.set_limits(tenant.id, wished, by).await?;
        }
        let stands = self.database.vendors.limits_of(tenant.id).await?;
        let limits = stands.now;
        let tenant = Tenant { limits, ..tenant };
        let usage = self.usage(&tenant).await?;
        Ok(show::joined(
            json!({"id": tenant.id, "slug": tenant.slug, "limits": show::limits(limits)}),
            json!({"operators_limits": show::named_limits(stands.operators), "usage": usage}),
        ))
    }

    /// Changes what is named; what an operator vouches for is confirmed and past its ramp.
    pub(super) async fn set_tenant(
        &self,
        tenant: &str,
        change: TenantChange,
        vouched: bool,
    ) -> anyhow::Result<Value> {
        let (snapshot, was) = self.find(tenant).await?;
        let default = reply::known(&snapshot, &was, &was.reply_to);
        let no = default.and_then(|one| reply::said_no(one, &was));
        if let Some(no) = no.filter(|_| vouched) {
            bail!("{} cannot be vouched for: {no}", was.reply_to);
        }
        let directory = &self.database.directory;
        if change != TenantChange::default() {
            directory.change_tenant(was.id, change).await?;
        }
        if vouched {
            if !self.roster.is_confirmed(was.id, &was.reply_to) {
                self.confirm(tenant, &was.reply_to).await?;
            }
            // Another node may decide the ramp's day at this moment.
            let mut ramp = was.ramp;
            while !directory.change_ramp(was.id, ramp, Ramp::PAST).await? {
                ramp = self.find(tenant).await?.1.ramp;
            }
        }
        // What it may send now is read from there.
        self.roster.refresh(&**directory).await?;
        self.show_tenant(tenant).await
    }

    async fn usage(&self, tenant: &Tenant) -> anyhow::Result<Value> {
        let now = self.provision.clock.now();
        let used = self.database.mail.usage(tenant.id, now).await?;
        Ok(show::usage(&self.gate.quota_of(tenant).quota, used, now))
    }

    pub(super) async fn send(
        &self,
        tenant: &str,
        to: Vec<EmailAddress>,
        words: (String, String),
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        self.submit(tenant.id, to, words).await
    }

    /// A message of a subject and a text, by the gate that all mail passes.
    pub(super) async fn submit(
        &self,
        tenant: TenantId,
        to: Vec<EmailAddress>,
        (subject, text): (String, String),
    ) -> anyhow::Result<Value> {
        let draft = Draft {
            to: to.iter().cloned().map(Mailbox::from).collect(),
            subject,
            text: Some(text),
            ..Draft::default()
        };
        let composed = compose(&draft, self.provision.rng.bytes())?;
        let submission = Submission {
            door: Door::Command,
            raw: composed.bytes,
            envelope: to,
            bcc: Vec::new(),
            stream: None,
            tags: Vec::new(),
            scheduled_at: None,
            expires_at: None,
            claim: None,
            session: None,
        };
        let caller = self.access.vouch(tenant)?;
        let accepted = self.gate.accept(&caller, submission).await?;
        serde_json::from_str(&accepted.answer.body).context("the answer is JSON")
    }
}

fn reply_status(is_confirmed: bool) -> ReplyStatus {
    if is_confirmed {
        ReplyStatus::Confirmed
    } else {
        ReplyStatus::Unconfirmed
    }
}
