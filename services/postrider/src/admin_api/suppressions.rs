//! `/admin/v1/tenants/{tenant}/suppressions`: whom a tenant's mail does not go to.

use postrider_http::{Answer, Query};
use postrider_model::{EmailAddress, Stream, SuppressionId, Tenant};
use serde_json::{Value, json};

use super::caller::Caller;
use super::fields::{Fields, given};
use super::lists::{cursor, list, page, parameter};
use super::missing::no_such;
use super::{AdminDoor, Outcome};
use crate::admin::{SuppressionAct, Verb};

impl AdminDoor {
    /// `GET …/suppressions`, newest first; or those of one address.
    pub(super) async fn list_suppressions(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        query: &Query,
    ) -> Outcome {
        let page = page(query, &["address"])?;
        let act = SuppressionAct::List {
            stream: None,
            address: parameter(query, "address", "ann@example.org")?,
            after: cursor::<SuppressionId>(&page)?,
        };
        let found = self.suppression(caller, tenant, act).await?;
        let member = |name| found.get(name);
        let data = member("suppressions").and_then(Value::as_array).cloned();
        let has_more = member("more").and_then(Value::as_bool);
        Ok(list(data.unwrap_or_default(), has_more.unwrap_or(false)))
    }

    /// `POST …/suppressions`.
    pub(super) async fn suppress(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        mut fields: Fields,
    ) -> Outcome {
        let address: Option<EmailAddress> = fields.need("address");
        let stream: Option<Stream> = fields.take("stream");
        let note = fields.take_note();
        fields.done()?;
        let act = SuppressionAct::Add {
            address: given(address)?,
            stream,
            note: note.unwrap_or_else(|| caller.actor()),
        };
        let stands = self.suppression(caller, tenant, act).await?;
        Ok(Answer::json(201, &stands))
    }

    /// `DELETE …/suppressions/{address}`: all of them.
    pub(super) async fn lift(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        address: EmailAddress,
    ) -> Outcome {
        let act = SuppressionAct::List {
            stream: None,
            address: Some(address.clone()),
            after: None,
        };
        let found = self.suppression(caller, tenant, act).await?;
        let found = found.get("suppressions").and_then(Value::as_array);
        if found.is_none_or(Vec::is_empty) {
            return Err(no_such("suppression of", address).into());
        }
        let act = SuppressionAct::Lift {
            address: address.clone(),
        };
        self.suppression(caller, tenant, act).await?;
        let gone = json!({"object": "suppression", "address": address, "deleted": true});
        Ok(Answer::json(200, &gone))
    }

    async fn suppression(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        act: SuppressionAct,
    ) -> Result<Value, super::Fault> {
        let tenant = tenant.id.to_string();
        self.execute(caller, Verb::Suppression { tenant, act })
            .await
    }
}
