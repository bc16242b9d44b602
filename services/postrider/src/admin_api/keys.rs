//! `/admin/v1/tenants/{tenant}/keys`: what opens the doors for a tenant's programs.

use postrider_http::Answer;
use postrider_model::{Credential, CredentialId, Network, Tenant, Timestamp};
use serde_json::{Value, json};

use super::caller::Caller;
use super::endpoint::KeyAct;
use super::fields::{Change, Fields};
use super::lists::list;
use super::missing::no_such;
use super::{AdminDoor, Outcome};
use crate::admin::{NewKey, Verb};

impl AdminDoor {
    /// `GET …/keys`.
    pub(super) async fn list_keys(&self, caller: &Caller, tenant: &Tenant) -> Outcome {
        let tenant = tenant.id.to_string();
        let keys = self.execute(caller, Verb::KeyList { tenant }).await?;
        let keys = keys.as_array().cloned().unwrap_or_default();
        Ok(list(keys, false))
    }

    /// `POST …/keys`. The secret is in the answer, this one time.
    pub(super) async fn add_key(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        mut fields: Fields,
    ) -> Outcome {
        let usual = NewKey::default();
        let key = NewKey {
            kind: fields.take("kind").unwrap_or(usual.kind),
            note: fields.take_note().unwrap_or_default(),
            user: fields.take("user"),
            networks: fields.take("networks").unwrap_or_default(),
            per_day: fields.take("per_day").unwrap_or_default(),
            expires_at: fields.take("expires_at"),
            unknown_reply_to: fields
                .take("unknown_reply_to")
                .unwrap_or(usual.unknown_reply_to),
            skips_duplicates: fields
                .take("skips_duplicates")
                .unwrap_or(usual.skips_duplicates),
            test: fields.take("test").unwrap_or_default(),
            defaults: usual.defaults,
        };
        self.check_end(key.expires_at, &mut fields);
        fields.done()?;
        let tenant = tenant.id.to_string();
        let made = self
            .execute(caller, Verb::KeyCreate { tenant, key })
            .await?;
        Ok(Answer::json(201, &made))
    }

    /// What is done to one of them.
    pub(super) async fn key(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        (id, act): (CredentialId, KeyAct),
        fields: Fields,
    ) -> Outcome {
        let keys = self.office.roster.credentials_of(tenant.id);
        let Some(key) = keys.into_iter().find(|key| key.id == id) else {
            return Err(no_such("key", id).into());
        };
        let (id, by) = (id.to_string(), caller.authority());
        let verb = match act {
            KeyAct::Change => {
                return self
                    .change_key(caller, tenant, (*key).clone(), fields)
                    .await;
            }
            KeyAct::Suspend => Verb::KeySuspend { id, by },
            KeyAct::Resume => Verb::KeyResume { id, by },
            KeyAct::Revoke => Verb::KeyRevoke { id },
        };
        let done = self.execute(caller, verb).await?;
        Ok(Answer::json(200, &done))
    }

    async fn change_key(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        was: Credential,
        mut fields: Fields,
    ) -> Outcome {
        let note = fields.take_note();
        let networks: Option<Vec<Network>> = fields.wish("networks");
        let per_day = fields.limit("per_day");
        let expires_at: Change<Timestamp> = fields.change("expires_at");
        if let Change::Becomes(ends) = expires_at {
            self.check_end(Some(ends), &mut fields);
        }
        fields.done()?;
        let key = Credential {
            note: note.unwrap_or(was.note),
            networks: networks.unwrap_or(was.networks),
            per_day: per_day.unwrap_or(was.per_day),
            expires_at: expires_at.over(was.expires_at),
            ..was
        };
        let shown = json!({
            "id": key.id,
            "note": key.note,
            "networks": key.networks,
            "per_day": (key.per_day > 0).then_some(key.per_day),
            "expires_at": key.expires_at,
        });
        self.office
            .database
            .directory
            .change_credential(key)
            .await?;
        self.note(caller, "key_set", tenant, shown.clone()).await;
        self.listed_key(caller, tenant, &shown).await
    }

    // As the list shows it.
    async fn listed_key(&self, caller: &Caller, tenant: &Tenant, key: &Value) -> Outcome {
        let tenant = tenant.id.to_string();
        let keys = self.execute(caller, Verb::KeyList { tenant }).await?;
        let mut keys = keys.as_array().into_iter().flatten();
        let found = keys.find(|one| one.get("id") == key.get("id"));
        Ok(Answer::json(200, found.unwrap_or(key)))
    }

    fn check_end(&self, ends: Option<Timestamp>, fields: &mut Fields) {
        let now = self.office.provision.clock.now();
        if ends.is_some_and(|ends| ends <= now) {
            let message = "is past: the key would open no door; give a later time.";
            fields.complain("expires_at", message.to_owned());
        }
    }
}
