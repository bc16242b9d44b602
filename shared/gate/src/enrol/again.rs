//! A licence that has its tenant already: told again, or changed by a newer token.

use postrider_model::{EmailAddress, ReplyAddress, ReplySource, ReplyStatus, Tenant, TenantStatus};
use postrider_store::{StoreError, TenantChange, TenantUpdate, TokenStands, UsedToken};
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
            return Err(Denied::suspended(&self.ports.roster, &tenant).into());
        }
        if !is_its(&tenant, &wish.reply_to) {
            self.ports.gate.check_reply_to(&wish.reply_to)?;
        }
        let (update, change) = self.difference(spoken, &tenant, &wish)?;
        let is_changed = update.is_some() || change != TenantChange::default();
        let used = UsedToken {
            tenant: tenant.id,
            enrolment: spoken.enrolment(&wish.reply_to),
            update,
            change,
        };
        let stands = self.used(used, &tenant, &wish.reply_to).await?;
        if stands == TokenStands::Newer && is_changed {
            self.note_change(spoken, &tenant, (&wish, change)).await;
        }
        // One that came by an import or by hand has keys of its own, and none of enrolment's.
        let has_keys = !self.keys_of(&tenant).await?.is_empty();
        let secrets = if has_keys || stands == TokenStands::Older {
            None
        } else {
            Some(self.pair(&tenant, &[]).await?)
        };
        let tenant = self.seen(tenant).await;
        if is_its(&tenant, &wish.reply_to) {
            let gate = &self.ports.gate;
            gate.ask_enrolled(&tenant, &wish.reply_to).await;
        }
        Ok(self.told(tenant, secrets).await)
    }

    /// The token is used; gives how it stands to the last one. An older one brings no other address.
    async fn used(
        &self,
        used: UsedToken,
        tenant: &Tenant,
        reply_to: &EmailAddress,
    ) -> Result<TokenStands, EnrolError> {
        let stands = self.ports.enrolments.use_token(used).await;
        let stands = stands.map_err(|fault| match fault {
            StoreError::Rejected { .. } => EnrolError::Disowned {
                address: reply_to.clone(),
            },
            fault => fault.into(),
        })?;
        if stands == TokenStands::Older && !is_its(tenant, reply_to) {
            return Err(EnrolError::Replayed);
        }
        Ok(stands)
    }

    async fn note_change(
        &self,
        spoken: &Spoken,
        tenant: &Tenant,
        (wish, change): (&EnrolWish, TenantChange),
    ) {
        let detail = json!({
            "name": wish.name,
            "reply_to": wish.reply_to,
            "language": wish.language,
            "plan": spoken.claims.plan,
            "own_domain": change.own_domain,
        });
        self.note(spoken, "enrol_change", tenant, detail).await;
    }

    /// What a newer token says otherwise. The From address stays as it is.
    fn difference(
        &self,
        spoken: &Spoken,
        was: &Tenant,
        wish: &EnrolWish,
    ) -> Result<(Option<TenantUpdate>, TenantChange), EnrolError> {
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
            language: wish
                .language
                .filter(|language| spoken.vendor.speaks(*language) && *language != was.language),
            plan: plan.filter(|plan| Some(plan) != was.plan.as_ref()),
            reply_to,
        };
        let own_domain = wish.own_domain.filter(|wish| *wish != was.own_domain);
        let is_other = update.name.is_some()
            || update.language.is_some()
            || update.plan.is_some()
            || update.reply_to.is_some();
        let change = TenantChange {
            own_domain,
            ..TenantChange::default()
        };
        Ok((is_other.then_some(update), change))
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
            source: ReplySource::Tenant,
            ..entry
        }
    }
}

/// Whether a tenant's replies go there, or will once it is confirmed.
pub(super) fn is_its(tenant: &Tenant, address: &EmailAddress) -> bool {
    let its = [Some(&tenant.reply_to), tenant.next_reply_to.as_ref()];
    let mut its = its.into_iter().flatten();
    its.any(|one| one.folded() == address.folded())
}
