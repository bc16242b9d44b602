//! Verbs about the tokens of the admin API.

use anyhow::{Context, bail};
use postrider_model::{AdminRole, AdminTokenId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Office, show};

/// What is done about tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAct {
    Create {
        role: AdminRole,
        /// Whose tenants it is for; none: the operator's, for all.
        vendor: Option<String>,
        note: String,
        expires_at: Option<Timestamp>,
    },
    List {
        vendor: Option<String>,
    },
    Revoke {
        id: AdminTokenId,
    },
}

impl Office {
    pub(super) async fn token(&self, act: TokenAct) -> anyhow::Result<Value> {
        match act {
            TokenAct::Create {
                role,
                vendor,
                note,
                expires_at,
            } => {
                self.create_admin_token(role, vendor, (note, expires_at))
                    .await
            }
            TokenAct::List { vendor } => self.list_tokens(vendor).await,
            TokenAct::Revoke { id } => {
                let revoked = self.database.vendors.revoke_admin_token(id).await;
                revoked.with_context(|| {
                    format!("no token {id}: `postrider token list` shows all of them")
                })?;
                Ok(json!({"id": id, "status": "revoked"}))
            }
        }
    }

    async fn create_admin_token(
        &self,
        role: AdminRole,
        vendor: Option<String>,
        (note, expires_at): (String, Option<Timestamp>),
    ) -> anyhow::Result<Value> {
        if expires_at.is_some_and(|at| at <= self.provision.clock.now()) {
            bail!("--expires is past: the token would open nothing");
        }
        let vendor = match vendor {
            Some(vendor) => Some(self.find_vendor(&vendor).await?.id),
            None => None,
        };
        let (token, secret) = self.provision.admin_token(role, vendor, (note, expires_at));
        self.database.vendors.add_admin_token(token.clone()).await?;
        let shown = self.shown(&token);
        Ok(show::joined(shown, json!({"token": secret.expose()})))
    }

    async fn list_tokens(&self, vendor: Option<String>) -> anyhow::Result<Value> {
        let vendor = match vendor {
            Some(vendor) => Some(self.find_vendor(&vendor).await?.id),
            None => None,
        };
        let snapshot = self.database.directory.snapshot().await?;
        let tokens = snapshot.admin_tokens.iter();
        let tokens = tokens.filter(|token| vendor.is_none() || token.vendor == vendor);
        Ok(tokens.map(|token| self.shown(token)).collect())
    }

    fn shown(&self, token: &postrider_model::AdminToken) -> Value {
        let vendor = token.vendor.and_then(|id| self.roster.vendor(id));
        json!({
            "id": token.id,
            "role": token.role,
            "vendor": vendor.map(|vendor| vendor.slug.clone()),
            "note": token.note,
            "status": token.status,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        })
    }
}
