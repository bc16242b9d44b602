//! The tenant that Postrider writes its own mail as: questions to reply addresses, notices.

use postrider_gate::ProvisionError;
use postrider_model::{EmailAddress, ReplyAddress, ReplyStatus, Tenant};
use postrider_store::{StoreError, TenantUpdate};

use super::Office;
use super::audit::Done;

/// Who says that replies to our own mail may go where they go.
const ATTESTED_BY: &str = "operator.contact";

impl Office {
    /// Makes it where there is none.
    pub(crate) async fn ensure_house(&self) -> anyhow::Result<()> {
        if self.roster.house().is_some() {
            return Ok(());
        }
        self.make_house().await?;
        self.roster.refresh(&*self.database.directory).await?;
        Ok(())
    }

    /// Has replies to our own mail go to the service's contact, which may be another than at the last
    /// start. That they cannot is no reason not to serve: it is told, and they go where they went.
    pub(crate) async fn follow_contact(&self) {
        let (Some(house), Some(contact)) = (self.roster.house(), &self.contact) else {
            return;
        };
        if house.reply_to.folded() == contact.folded() {
            return;
        }
        let before = &house.reply_to;
        if let Err(fault) = self.move_replies(&house, contact.clone()).await {
            tracing::warn!(
                fault = format!("{fault:#}"),
                %contact,
                "replies to our own mail still go to {before}, and not to operator.contact: if its owner once said that they do not know this service, `postrider reply confirm {slug} {contact}` takes that back; then start again",
                slug = house.slug,
            );
            return;
        }
        tracing::info!(
            %before,
            %contact,
            "replies to our own mail go to operator.contact from here on: it must be the same in the configuration of each machine"
        );
        let detail = [
            ("reply_to", contact.to_string()),
            ("before", before.to_string()),
        ];
        let done = Done::by_itself("house_reply_to", &house.slug, &detail);
        self.note_done(ATTESTED_BY, done).await;
    }

    async fn make_house(&self) -> anyhow::Result<()> {
        let contact = match &self.contact {
            Some(contact) => contact.clone(),
            // `serve` does not start without one; a command does.
            None => format!("postmaster@{}", self.provision.service.host).parse()?,
        };
        match self.provision.house("Postrider", contact).await {
            // Another process was quicker.
            Ok(_) | Err(ProvisionError::Store(StoreError::Taken { .. })) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    async fn move_replies(&self, house: &Tenant, contact: EmailAddress) -> anyhow::Result<()> {
        let entry = ReplyAddress {
            attested_by: Some(ATTESTED_BY.to_owned()),
            ..self
                .provision
                .new_reply_address(house.id, contact, ReplyStatus::Confirmed)
        };
        let update = TenantUpdate {
            tenant: house.id,
            name: None,
            language: None,
            plan: None,
            reply_to: Some(entry),
        };
        self.database.directory.update_tenant(update).await?;
        self.roster.refresh(&*self.database.directory).await?;
        Ok(())
    }
}
