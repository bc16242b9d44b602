//! `GET /usage`: what a tenant has used of its quotas.

use postrider_gate::Caller;
use postrider_http::{Answer, Problem, RequestId};
use postrider_model::Timestamp;
use serde::Serialize;

use crate::http::{HttpDoor, fault};

#[derive(Serialize)]
struct Usage {
    object: &'static str,
    emails: Emails,
}

#[derive(Serialize)]
struct Emails {
    daily: Count,
    monthly: Count,
}

#[derive(Serialize)]
struct Count {
    /// Recipients that were accepted in the period, after removing doubles.
    used: u64,
    /// None where the tenant has no quota.
    limit: Option<u32>,
    sent: u64,
    /// There is no door for incoming mail.
    received: u64,
    resets_at: Timestamp,
}

impl HttpDoor {
    /// Recipients accepted on this UTC day and in this month.
    pub(crate) async fn usage(&self, caller: &Caller, id: &RequestId) -> Result<Answer, Problem> {
        let (tenant, now) = (&caller.tenant, self.ports.clock.now());
        let usage = self.ports.mail.usage(tenant.id, now).await;
        let usage = usage.map_err(|error| fault(id, &error))?;
        let count = |used, limit, resets_at| Count {
            used,
            limit: (limit > 0).then_some(limit),
            sent: used,
            received: 0,
            resets_at,
        };
        let object = Usage {
            object: "usage",
            emails: Emails {
                daily: count(usage.day, tenant.limits.per_day, now.next_day()),
                monthly: count(usage.month, tenant.limits.per_month, now.next_month()),
            },
        };
        Ok(Answer::json(200, &object))
    }
}
