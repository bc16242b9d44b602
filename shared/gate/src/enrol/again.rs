//! A licence that has its tenant already: told again, or changed by a newer token.

use postrider_model::{EmailAddress, ReplyAddress, ReplyStatus, Tenant, TenantStatus};
use postrider_store::{StoreError, TenantChange, TenantUpdate};
use serde_json::json;

use super::{EnrolError, EnrolWish, Enrolled, Enroller, Spoken};
use crate::access::Denied;
use crate::provision::ProvisionError;

impl Enroller {
    pub(super) async fn again(
        &self,
        spoken: &Spoken,
        tenant: Tenant,
        wish: EnrolWish,
    ) -> Result<Enrolled, EnrolError> {
        if tenant.status == TenantStatus::Suspended {
            return Err(Denied::Suspended.into());
        }
        let (issued, reply_to) = (spoken.claims.issued_at, &wish.reply_to);
        let enrolments = &self.ports.enrolments;
        if enrolments.use_token(tenant.id, issued, reply_to).await? {
            let tenant = self.changed(spoken, tenant, wish).await?;
            return Ok(self.told(tenant, None));
        }
        let stands = |address: &EmailAddress| address.folded() == reply_to.folded();
        if stands(&tenant.reply_to) || tenant.next_reply_to.as_ref().is_some_and(stands) {
            return Ok(self.told(tenant, None));
        }
        Err(EnrolError::Replayed)
    }

    /// What a newer token says otherwise. The From address stays as it is.
    async fn changed(
        &self,
        spoken: &Spoken,
        was: Tenant,
        wish: EnrolWish,
    ) -> Result<Tenant, EnrolError> {
        let directory = &self.ports.provision.directory;
        let (update, own_domain) = self.difference(spoken, &was, &wish)?;
        if let Some(update) = &update {
            let updated = directory.update_tenant(update.clone()).await;
            updated.map_err(|fault| match fault {
                StoreError::Rejected { .. } => EnrolError::Disowned {
                    address: wish.reply_to.clone(),
                },
                fault => fault.into(),
            })?;
        }
        if own_domain.is_some() {
            let change = TenantChange {
                own_domain,
                ..TenantChange::default()
            };
            directory.change_tenant(was.id, change).await?;
        }
        if update.is_none() && own_domain.is_none() {
            return Ok(was);
        }
        let detail = json!({
            "name": wish.name,
            "reply_to": wish.reply_to,
            "language": wish.language,
            "plan": spoken.claims.plan,
            "own_domain": own_domain,
        });
        self.note(spoken, "enrol_change", &was, detail).await;
        Ok(self.seen(was).await)
    }

    fn difference(
        &self,
        spoken: &Spoken,
        was: &Tenant,
        wish: &EnrolWish,
    ) -> Result<(Option<TenantUpdate>, Option<bool>), EnrolError> {
        let name = wish.name.trim();
        if !crate::name::is_acceptable(name) {
            return Err(ProvisionError::BadName.into());
        }
        let plan = spoken.claims.plan.clone();
        let attested = spoken.claims.attested.is_some();
        let is_default = was.reply_to.folded() == wish.reply_to.folded();
        let is_confirmed = self.ports.roster.is_confirmed(was.id, &wish.reply_to);
        let is_settled = is_default && was.next_reply_to.is_none();
        let is_news = !is_settled || (attested && !is_confirmed);
        let reply_to = is_news.then(|| self.entry(spoken, was, &wish.reply_to));
        let update = TenantUpdate {
            tenant: was.id,
            name: (name != was.name).then(|| name.to_owned()),
            language: wish.language.filter(|language| *language != was.language),
            plan: plan.filter(|plan| Some(plan) != was.plan.as_ref()),
            reply_to,
        };
        let own_domain = wish.own_domain.filter(|wish| *wish != was.own_domain);
        let is_other = update.name.is_some()
            || update.language.is_some()
            || update.plan.is_some()
            || update.reply_to.is_some();
        Ok((is_other.then_some(update), own_domain))
    }

    fn entry(&self, spoken: &Spoken, tenant: &Tenant, address: &EmailAddress) -> ReplyAddress {
        let attested_by = spoken.claims.attested.as_ref().map(|_| spoken.by());
        let status = match attested_by {
            Some(_) => ReplyStatus::Confirmed,
            None => ReplyStatus::Unconfirmed,
        };
        let provision = &self.ports.provision;
        let entry = provision.new_reply_address(tenant.id, address.clone(), status);
        ReplyAddress {
            attested_by,
            ..entry
        }
    }
}
