//! Verbs about whom a tenant's mail does not go to.

use anyhow::bail;
use postrider_model::{
    EmailAddress, Stream, Suppression, SuppressionId, SuppressionReason, Tenant,
};
use postrider_store::{
    Senders, Suppressed, Suppressing, SuppressionFilter, SuppressionPage, SuppressionStart,
};
use serde_json::{Value, json};

use super::show::joined;
use super::{Office, Refused, SuppressionAct, SuppressionsOf};

const PAGE: u8 = 100;
/// What stands as the source of what an operator put there without a word.
const OPERATOR: &str = "an operator";

impl Office {
    pub(super) async fn suppression(
        &self,
        tenant: &str,
        act: SuppressionAct,
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        match act {
            SuppressionAct::List {
                stream,
                address,
                after,
            } => {
                let listed = self.list_suppressions(&tenant, stream, address, after);
                listed.await
            }
            SuppressionAct::Add {
                address,
                stream,
                note,
            } => self.add_suppression(&tenant, address, stream, &note).await,
            SuppressionAct::Lift { address } => self.lift_suppression(&tenant, &address).await,
        }
    }

    /// A page of them, newest first; or those of one address.
    async fn list_suppressions(
        &self,
        tenant: &Tenant,
        stream: Option<Stream>,
        address: Option<EmailAddress>,
        after: Option<SuppressionId>,
    ) -> anyhow::Result<Value> {
        let port = &self.database.suppressions;
        let now = self.provision.clock.now();
        if let Some(address) = address {
            let which = Suppressed::Address(address);
            let found = port.suppression(tenant.id, &which, now).await?;
            return Ok(json!({"suppressions": shown(&found), "more": false}));
        }
        let page = SuppressionPage {
            limit: PAGE,
            start: after.map_or(SuppressionStart::Newest, SuppressionStart::After),
        };
        let filter = SuppressionFilter { stream };
        let list = port.suppressions(tenant.id, filter, page, now).await?;
        let Some(list) = list else {
            let why = format!("{} has no suppression of that id", tenant.slug);
            bail!(Refused::argument("--after", "after", &why));
        };
        Ok(json!({"suppressions": shown(&list.suppressions), "more": list.more}))
    }

    /// The same over all tenants of a vendor, each with its tenant.
    pub(super) async fn suppressions_of_vendor(
        &self,
        asked: SuppressionsOf,
    ) -> anyhow::Result<Value> {
        let senders = Senders::Vendor(self.find_vendor(&asked.vendor).await?.id);
        let (port, now) = (&self.database.trace, self.provision.clock.now());
        let which = Suppressing {
            stream: asked.stream,
            older_than: asked.after,
        };
        let is_of_one = asked.address.is_some();
        let mut found = match asked.address {
            Some(address) => port.suppressions_of(&address, senders, now).await?,
            // One more tells whether there is more.
            None => port.suppressions_by(senders, which, now, PAGE + 1).await?,
        };
        let more = !is_of_one && found.len() > usize::from(PAGE);
        found.truncate(PAGE.into());
        let with_tenant = found.iter().map(|one| {
            let tenant = self.roster.tenant(one.tenant);
            let slug = tenant.map_or_else(|| one.tenant.to_string(), |known| known.slug.clone());
            joined(json!({"tenant": slug}), show(one))
        });
        Ok(json!({"suppressions": with_tenant.collect::<Vec<_>>(), "more": more}))
    }

    async fn add_suppression(
        &self,
        tenant: &Tenant,
        address: EmailAddress,
        stream: Option<Stream>,
        note: &str,
    ) -> anyhow::Result<Value> {
        let now = self.provision.clock.now();
        let new = Suppression {
            id: SuppressionId::new(now, self.provision.rng.bytes()),
            tenant: tenant.id,
            address,
            stream,
            reason: SuppressionReason::Manual,
            source: if note.is_empty() { OPERATOR } else { note }.to_owned(),
            since: now,
            until: None,
        };
        let port = &self.database.suppressions;
        let stands = port.suppress(tenant.id, vec![new]).await?;
        Ok(stands.first().map(show).unwrap_or_default())
    }

    async fn lift_suppression(
        &self,
        tenant: &Tenant,
        address: &EmailAddress,
    ) -> anyhow::Result<Value> {
        let which = [Suppressed::Address(address.clone())];
        let lifted = self.database.suppressions.lift(tenant.id, &which).await?;
        if lifted.is_empty() {
            bail!("{address} is not suppressed for {}", tenant.slug);
        }
        let done = json!({"address": address, "lifted": shown(&lifted)});
        Ok(match their_own(&lifted) {
            Some(note) => joined(done, json!({"note": note})),
            None => done,
        })
    }
}

/// What is said where somebody asked for no more mail, or called it spam, and gets mail again.
fn their_own(lifted: &[Suppression]) -> Option<&'static str> {
    let has = |reason| lifted.iter().any(|one| one.reason == reason);
    if has(SuppressionReason::Complaint) {
        return Some(
            "they had called this mail spam: lift that only if they asked for the mail again; else `postrider suppression add` stops it again",
        );
    }
    has(SuppressionReason::Unsubscribe).then_some(
        "they had unsubscribed: lift that only if they asked for the mail again; else `postrider suppression add --stream bulk` stops it again",
    )
}

fn shown(suppressions: &[Suppression]) -> Value {
    suppressions.iter().map(show).collect()
}

fn show(one: &Suppression) -> Value {
    json!({
        "id": one.id,
        "address": one.address,
        "stream": one.stream,
        "reason": one.reason,
        "source": one.source,
        "since": one.since,
        "until": one.until,
    })
}
