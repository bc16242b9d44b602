//! The tenant that Postrider writes its own mail as: questions to reply addresses, notices.

use postrider_gate::ProvisionError;
use postrider_store::StoreError;

use super::Office;

impl Office {
    /// Makes it where there is none.
    pub(crate) async fn ensure_house(&self) -> anyhow::Result<()> {
        if self.roster.house().is_some() {
            return Ok(());
        }
        let postmaster = format!("postmaster@{}", self.provision.service.host);
        let made = self.provision.house("Postrider", postmaster.parse()?).await;
        match made {
            // Another process was quicker.
            Ok(_) | Err(ProvisionError::Store(StoreError::Taken { .. })) => {}
            Err(fault) => return Err(fault.into()),
        }
        self.roster.refresh(&*self.database.directory).await?;
        Ok(())
    }
}
