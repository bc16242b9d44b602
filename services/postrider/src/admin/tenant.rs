//! Verbs about tenants: who they are, their limits; and mail sent in their name.

use anyhow::Context;
use postrider_gate::{Door, Submission, TenantDefaults};
use postrider_message::{Draft, compose};
use postrider_model::{EmailAddress, Language, Mailbox, Ramp, ReplyStatus, Tenant, TenantStatus};
use postrider_store::TenantChange;
use serde_json::{Value, json};

use super::{NewLimits, Office, show};

impl Office {
    pub(super) async fn add_tenant(
        &self,
        name: &str,
        reply_to: EmailAddress,
        language: Language,
        vouched: bool,
    ) -> anyhow::Result<Value> {
        let is_known = vouched || self.newcomers.vouched;
        let defaults = TenantDefaults {
            limits: self.newcomers.limits,
            language,
            ramp: if is_known {
                Ramp::PAST
            } else {
                self.newcomers.ramp.begin(self.provision.clock.now())
            },
            is_confirmed: is_known,
            ..TenantDefaults::default()
        };
        let made = self.provision.tenant(name, reply_to, defaults).await?;
        Ok(json!({
            "id": made.tenant.id,
            "name": made.tenant.name,
            "slug": made.tenant.slug,
            "from": made.tenant.from,
            "reply_to": made.tenant.reply_to,
            "reply_to_status": reply_status(is_known),
            "api_key": made.token.expose(),
        }))
    }

    pub(super) async fn list_tenants(&self) -> anyhow::Result<Value> {
        let snapshot = self.database.directory.snapshot().await?;
        let customers = snapshot.tenants.iter().filter(|tenant| !tenant.is_house);
        Ok(customers.map(show::tenant).collect())
    }

    pub(super) async fn show_tenant(&self, tenant: &str) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        let usage = self.usage(&tenant).await?;
        Ok(show::tenant_in_full(&tenant, &snapshot, &usage))
    }

    pub(super) async fn set_status(
        &self,
        tenant: &str,
        status: TenantStatus,
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        self.database
            .directory
            .set_status(tenant.id, status)
            .await?;
        Ok(show::tenant(&Tenant { status, ..tenant }))
    }

    pub(super) async fn limit(&self, tenant: &str, limits: NewLimits) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        let limits = limits.over(tenant.limits);
        if limits != tenant.limits {
            self.database
                .directory
                .set_limits(tenant.id, limits)
                .await?;
        }
        let tenant = Tenant { limits, ..tenant };
        let usage = self.usage(&tenant).await?;
        Ok(show::joined(
            json!({"id": tenant.id, "slug": tenant.slug}),
            json!({"limits": show::limits(limits), "usage": usage}),
        ))
    }

    /// Changes what is named; what an operator vouches for is confirmed and past its ramp.
    pub(super) async fn set_tenant(
        &self,
        tenant: &str,
        change: TenantChange,
        vouched: bool,
    ) -> anyhow::Result<Value> {
        let (_, was) = self.find(tenant).await?;
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
        (subject, text): (String, String),
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        let draft = Draft {
            from: None,
            to: to.iter().cloned().map(Mailbox::from).collect(),
            cc: Vec::new(),
            reply_to: Vec::new(),
            subject,
            text: Some(text),
            html: None,
            headers: Vec::new(),
            attachments: Vec::new(),
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
        let caller = self.access.vouch(tenant.id)?;
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
