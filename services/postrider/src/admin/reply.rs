//! Verbs about reply addresses.

use anyhow::bail;
use postrider_gate::AskOutcome;
use postrider_model::{EmailAddress, ReplyAddress, ReplyStatus, Tenant};
use postrider_store::DirectorySnapshot;
use serde_json::{Value, json};

use super::{Office, Refused, show};

impl Office {
    pub(super) async fn list_reply_to(&self, tenant: &str) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        Ok(show::reply_addresses(&tenant, &snapshot).into())
    }

    pub(super) async fn add_reply_to(
        &self,
        tenant: &str,
        address: EmailAddress,
    ) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        if let Some(known) = known(&snapshot, &tenant, &address) {
            let said = |standing| {
                format!(
                    "{} is a reply address of {} already: {standing}",
                    known.address, tenant.slug
                )
            };
            bail!(refused(known, &tenant, said));
        }
        self.gate
            .check_reply_to(&address)
            .map_err(|why| Refused::argument("ADDRESS", "address", &why.to_string()))?;
        let new = self
            .provision
            .reply_address(tenant.id, address, ReplyStatus::Unconfirmed)
            .await?;
        Ok(show::reply_address(&new))
    }

    pub(super) async fn ask_reply_to(
        &self,
        tenant: &str,
        address: &EmailAddress,
    ) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        let Some(known) = known(&snapshot, &tenant, address) else {
            bail!(
                "{address} is no reply address of {slug}: `postrider reply add {slug} {address}` enters and asks it",
                slug = tenant.slug
            );
        };
        // The gate asks in the name of tenants as it knows them: others may have changed since.
        self.roster.refresh(&*self.database.directory).await?;
        let address = &known.address;
        match self.gate.ask_again(tenant.id, address).await? {
            AskOutcome::Asked => Ok(json!({"address": address, "status": "asked"})),
            AskOutcome::Lately if known.status == ReplyStatus::Broken => {
                let said = |standing| {
                    format!(
                        "{address} was written to less than ten minutes ago, for this tenant or another: ask again then. {standing}"
                    )
                };
                bail!(refused(known, &tenant, said))
            }
            AskOutcome::Lately => bail!(
                "{address} was written to less than ten minutes ago, for this tenant or another: look whether that mail arrives, and ask again then"
            ),
            AskOutcome::Settled(ReplyStatus::Refused) if known.status != ReplyStatus::Refused => {
                bail!("{address} is at a domain of this service: no reply address can be there")
            }
            AskOutcome::Settled(_) => {
                let said = |standing| format!("{address} is not asked: {standing}");
                bail!(refused(known, &tenant, said))
            }
            AskOutcome::TooManyToday => {
                bail!("{address} was removed meanwhile: add it again tomorrow, UTC")
            }
            AskOutcome::NoHouse => bail!(
                "there is nobody to write as: the tenant \"postrider\", which our own mail comes from, is made when the relay first serves, and must not be suspended"
            ),
            AskOutcome::Suspended => {
                let slug = &tenant.slug;
                let said = |way: &str| {
                    format!("{slug} is suspended, and nobody is asked for it: {way} first")
                };
                let endpoint = format!("POST /tenants/{slug}/resume");
                bail!(Refused::verb(
                    said,
                    &format!("tenant resume {slug}"),
                    &endpoint
                ))
            }
        }
    }

    pub(super) async fn confirm(
        &self,
        tenant: &str,
        address: &EmailAddress,
    ) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        let now = self.provision.clock.now();
        self.database
            .directory
            .set_reply_status(tenant.id, address, ReplyStatus::Confirmed, now)
            .await?;
        let mut done = json!({"address": address, "status": ReplyStatus::Confirmed});
        let was = known(&snapshot, &tenant, address).map(|known| known.status);
        if let (Some(ReplyStatus::Refused), Value::Object(fields)) = (was, &mut done) {
            let goes = "what waited for this goes on now; what is past its time expires";
            fields.insert("mail".to_owned(), goes.into());
        }
        Ok(done)
    }

    pub(super) async fn remove(
        &self,
        tenant: &str,
        address: &EmailAddress,
    ) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        if tenant.reply_to == *address {
            bail!(
                "{address} is where replies to {} go by default; it stays",
                tenant.slug
            );
        }
        if let Some(no) = known(&snapshot, &tenant, address).and_then(|one| said_no(one, &tenant)) {
            bail!("{address} stays: {no}");
        }
        self.database
            .directory
            .remove_reply_address(tenant.id, address)
            .await?;
        Ok(json!({"address": address, "status": "removed"}))
    }
}

/// The owner of an address has said no: what only an operator does about it.
pub(super) fn said_no(known: &ReplyAddress, tenant: &Tenant) -> Option<String> {
    let (address, slug) = (&known.address, &tenant.slug);
    (known.status == ReplyStatus::Refused).then(|| {
        format!(
            "its owner has said that they do not know {slug}, and that word stands; if it was a mistake, the operator takes it back with `postrider reply confirm {slug} {address}`"
        )
    })
}

pub(super) fn known<'a>(
    snapshot: &'a DirectorySnapshot,
    tenant: &Tenant,
    address: &EmailAddress,
) -> Option<&'a ReplyAddress> {
    let mut all = snapshot.reply_addresses.iter();
    all.find(|one| one.tenant == tenant.id && one.address.folded() == address.folded())
}

/// A refusal that says how an address stands, with the ways on.
fn refused(known: &ReplyAddress, tenant: &Tenant, said: impl Fn(String) -> String) -> Refused {
    let (address, slug) = (&known.address, &tenant.slug);
    let command = |verb| format!("`postrider reply {verb} {slug} {address}`");
    let endpoint = |verb| format!("POST /tenants/{slug}/reply-addresses/{address}/{verb}");
    let [by_command, by_api] = [
        [command("ask"), command("confirm")],
        [endpoint("ask"), endpoint("confirm")],
    ]
    .map(|ways| said(standing(known, tenant, &ways)));
    Refused::both(by_command, by_api)
}

/// How an address stands, and what can be done about it: how it is asked, and how confirmed.
pub(super) fn standing(
    known: &ReplyAddress,
    tenant: &Tenant,
    [ask, confirm]: &[String; 2],
) -> String {
    let slug = &tenant.slug;
    match (known.status, known.asked_at) {
        (ReplyStatus::Confirmed, _) => "it is confirmed, and there is nothing to do".to_owned(),
        (ReplyStatus::Unconfirmed, Some(at)) => format!(
            "it was asked at {at} and has not answered; {ask} writes to it again, {confirm} does without its answer"
        ),
        (ReplyStatus::Unconfirmed, None) => {
            "it is asked as soon as the relay serves, and counts once it says yes".to_owned()
        }
        (ReplyStatus::Refused, _) => {
            let at = known.refused_at;
            let at = at.map_or_else(String::new, |at| format!(" at {at}"));
            format!(
                "its owner has said{at} that they do not know {slug}; if that was a mistake, {confirm}"
            )
        }
        (ReplyStatus::Broken, _) if known.confirmed_at.is_none() => format!(
            "the mail that asks it came back: look at its spelling; if it is right and takes mail by now, {ask}"
        ),
        (ReplyStatus::Broken, _) => {
            format!("it took no mail when it was last tried; once it does, {ask}")
        }
    }
}
