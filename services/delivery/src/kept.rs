//! A settlement as the journal keeps it while the database is away.

use std::time::Duration;

use postrider_model::{
    Event, EventKind, MessageId, MxHost, Provider, RecipientId, RecipientState, Reply, Timestamp,
    TlsFacts, WaitCause, Waits,
};
use postrider_store::{Epoch, Lease, Outcome, Settlement, Shard};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
struct Kept {
    at: Timestamp,
    outcome: KeptOutcome,
    reply: Option<Reply>,
    events: Vec<KeptEvent>,
    #[serde(default)]
    waits: Waits,
    /// The shard's number and the epoch of its lease.
    #[serde(default)]
    lease: Option<(u16, i64)>,
    #[serde(default)]
    suppress_until: Option<Timestamp>,
    #[serde(default)]
    tell_tenant: bool,
    provider: Option<Provider>,
    #[serde(default)]
    simulated: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptOutcome {
    Final {
        state: RecipientState,
        attempts: u32,
    },
    Retry {
        due_at: Timestamp,
        attempts: u32,
        cause: WaitCause,
    },
    Held {
        attempts: u32,
    },
    Noted,
}

#[derive(Serialize, Deserialize)]
struct KeptEvent {
    at: Timestamp,
    kind: EventKind,
    attempt: u32,
    reply: Option<Reply>,
    mx: Option<MxHost>,
    tls: Option<TlsFacts>,
    duration: Option<Duration>,
    cause: Option<WaitCause>,
    note: Option<String>,
}

/// What the journal is given.
pub(crate) fn to_value(settlement: &Settlement) -> Value {
    let kept = Kept {
        at: settlement.at,
        outcome: match settlement.outcome {
            Outcome::Final { state, attempts } => KeptOutcome::Final { state, attempts },
            Outcome::Retry {
                due_at,
                attempts,
                cause,
            } => KeptOutcome::Retry {
                due_at,
                attempts,
                cause,
            },
            Outcome::Held { attempts } => KeptOutcome::Held { attempts },
            Outcome::Noted => KeptOutcome::Noted,
        },
        reply: settlement.reply.clone(),
        events: settlement.events.iter().map(KeptEvent::of).collect(),
        waits: settlement.waits.clone(),
        lease: settlement
            .lease
            .map(|lease| (lease.shard.number(), lease.epoch.0)),
        suppress_until: settlement.suppress_until,
        tell_tenant: settlement.tell_tenant,
        provider: Some(settlement.provider),
        simulated: settlement.simulated,
    };
    // Structs of strings and numbers: there is nothing in them that JSON has not.
    serde_json::to_value(kept).unwrap_or_default()
}

/// What the journal gave back; `None` where it does not parse.
pub(crate) fn from_value(
    message: MessageId,
    recipient: RecipientId,
    value: Value,
) -> Option<Settlement> {
    let kept: Kept = serde_json::from_value(value).ok()?;
    Some(Settlement {
        message,
        recipient,
        at: kept.at,
        outcome: match kept.outcome {
            KeptOutcome::Final { state, attempts } => Outcome::Final { state, attempts },
            KeptOutcome::Retry {
                due_at,
                attempts,
                cause,
            } => Outcome::Retry {
                due_at,
                attempts,
                cause,
            },
            KeptOutcome::Held { attempts } => Outcome::Held { attempts },
            KeptOutcome::Noted => Outcome::Noted,
        },
        reply: kept.reply,
        events: kept
            .events
            .into_iter()
            .map(|event| event.into_event(recipient))
            .collect(),
        waits: kept.waits,
        lease: kept.lease.and_then(|(shard, epoch)| {
            let (shard, epoch) = (Shard::new(shard)?, Epoch(epoch));
            Some(Lease { shard, epoch })
        }),
        suppress_until: kept.suppress_until,
        tell_tenant: kept.tell_tenant,
        provider: kept.provider.unwrap_or(Provider::None),
        simulated: kept.simulated,
    })
}

impl KeptEvent {
    fn of(event: &Event) -> Self {
        Self {
            at: event.at,
            kind: event.kind,
            attempt: event.attempt,
            reply: event.reply.clone(),
            mx: event.mx.clone(),
            tls: event.tls.clone(),
            duration: event.duration,
            cause: event.cause,
            note: event.note.clone(),
        }
    }

    fn into_event(self, recipient: RecipientId) -> Event {
        Event {
            recipient,
            at: self.at,
            kind: self.kind,
            attempt: self.attempt,
            reply: self.reply,
            mx: self.mx,
            tls: self.tls,
            duration: self.duration,
            cause: self.cause,
            note: self.note,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(recipient: RecipientId, at: Timestamp, reply: &Reply) -> Event {
        Event {
            attempt: 2,
            reply: Some(reply.clone()),
            mx: Some(MxHost {
                host: "mx.example".into(),
                address: "192.0.2.1".parse().unwrap(),
            }),
            tls: Some(TlsFacts {
                version: "TLSv1.3".into(),
                cipher: "X".into(),
                verdict: "unverified".into(),
            }),
            duration: Some(Duration::from_millis(1_234)),
            cause: Some(WaitCause::Retry),
            note: Some("note".into()),
            ..Event::new(recipient, at, EventKind::Deferred)
        }
    }

    #[test]
    fn a_settlement_comes_back_as_it_went() {
        let (message, recipient) = (
            MessageId::from_bytes([1; 16]),
            RecipientId::from_bytes([2; 16]),
        );
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        let reply = Reply::new(451, None, b"later");
        let event = event(recipient, at, &reply);
        let mut waits = Waits::default();
        waits.add(WaitCause::TenantPace, Duration::from_micros(7));
        let lease = Shard::new(1_023).map(|shard| Lease {
            shard,
            epoch: Epoch(9),
        });
        for outcome in [
            Outcome::Final {
                state: RecipientState::Delivered,
                attempts: 1,
            },
            Outcome::Retry {
                due_at: at,
                attempts: 2,
                cause: WaitCause::Greylisting,
            },
            Outcome::Held { attempts: 3 },
            Outcome::Noted,
        ] {
            let given = Settlement {
                message,
                recipient,
                at,
                outcome,
                reply: Some(reply.clone()),
                events: vec![event.clone()],
                waits: waits.clone(),
                lease,
                suppress_until: Some(at),
                tell_tenant: true,
                provider: Provider::Orange,
                simulated: true,
            };
            let back = from_value(message, recipient, to_value(&given)).unwrap();
            assert_eq!(back.outcome, given.outcome);
            assert_eq!(
                (back.at, back.reply, back.events),
                (given.at, given.reply, given.events)
            );
            assert_eq!((back.waits, back.lease), (given.waits, given.lease));
            assert_eq!(
                (back.suppress_until, back.tell_tenant, back.provider),
                (given.suppress_until, given.tell_tenant, given.provider)
            );
            assert!(back.simulated);
        }
        assert!(from_value(message, recipient, Value::Null).is_none());
    }
}
