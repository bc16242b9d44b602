//! `GET /usage`: what a tenant has used of its quotas, as they are now.

use postrider_gate::Caller;
use postrider_http::{Answer, Problem, RequestId};
use postrider_model::Timestamp;
use serde::Serialize;

use crate::http::{HttpDoor, fault};

#[derive(Serialize)]
struct Usage {
    object: &'static str,
    emails: Emails,
    /// Ours on top: what holds for a tenant that is new or not confirmed.
    standing: Standing,
}

#[derive(Serialize)]
struct Standing {
    /// Whether the tenant may write to others than its own reply address.
    confirmed: bool,
    /// Messages to its own reply address before that is confirmed, over all time; none once it is.
    unconfirmed: Option<Unconfirmed>,
    /// Whether its daily limit is that of its ramp, below its plan.
    ramping: bool,
    /// Recipients that it never wrote to before, in the last hour.
    new_recipients: NewRecipients,
}

#[derive(Serialize)]
struct Unconfirmed {
    used: u64,
    limit: u32,
}

#[derive(Serialize)]
struct NewRecipients {
    used: u64,
    /// None where there is no limit (any more).
    limit: Option<u32>,
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
        let effective = self.ports.gate.quota_of(tenant);
        let quota = effective.quota;
        let count = |(used, limit), sent, resets_at| Count {
            used,
            limit: (limit > 0).then_some(limit),
            sent,
            received: 0,
            resets_at,
        };
        let (today, month) = (quota.daily(&usage), (usage.month, quota.per_month));
        let object = Usage {
            object: "usage",
            emails: Emails {
                daily: count(today, usage.day, now.next_day()),
                monthly: count(month, usage.month, now.next_month()),
            },
            standing: Standing {
                confirmed: effective.is_confirmed,
                unconfirmed: (quota.unconfirmed > 0).then_some(Unconfirmed {
                    used: usage.unconfirmed,
                    limit: quota.unconfirmed,
                }),
                ramping: !tenant.ramp.is_past(),
                new_recipients: NewRecipients {
                    used: usage.new_in_hour,
                    limit: (quota.new_per_hour > 0).then_some(quota.new_per_hour),
                },
            },
        };
        Ok(Answer::json(200, &object))
    }
}
