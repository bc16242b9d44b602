//! One order (RFC 8555 §7.4): names, proofs that they are ours, a request, a chain.

use std::time::Duration;

use instant_acme::{
    AuthorizationStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use postrider_runtime::apart;
use postrider_tls::{Acceptor, Certificate, CertificateRequest, Issued, KeyKind};
use tokio::time::timeout;

use crate::answers::Offered;
use crate::caller::Caller;
use crate::{Account, AcmeError, Answers, Refusal};

/// For a whole order: authorities look from several places, and make one wait.
const ORDER: Duration = Duration::from_mins(5);
/// For the proofs of its names: then it is still time to ask which one it waits for.
const PROOFS: Duration = Duration::from_mins(2);
/// How the authority is asked whether it has come further: soon at first, then less often.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5);

/// What the authority says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    Granted(T),
    Refused(Refusal),
}

/// Why a step was the last one.
pub(crate) enum Stop {
    Refused(Refusal),
    Fault(AcmeError),
}

pub(crate) type Step<T> = Result<T, Stop>;

impl From<instant_acme::Error> for Stop {
    fn from(fault: instant_acme::Error) -> Self {
        match fault {
            instant_acme::Error::Api(problem) => Self::Refused(Refusal::of(&problem)),
            other => Self::Fault(AcmeError::of(other)),
        }
    }
}

impl From<AcmeError> for Stop {
    fn from(fault: AcmeError) -> Self {
        Self::Fault(fault)
    }
}

pub(crate) fn verdict<T>(step: Step<T>, caller: &Caller) -> Result<Verdict<T>, AcmeError> {
    match step {
        Ok(granted) => Ok(Verdict::Granted(granted)),
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Refused(refusal)) => Ok(Verdict::Refused(Refusal {
            retry_after: caller.take_retry_after(),
            ..refusal
        })),
    }
}

impl Account {
    /// Has a certificate made for all of these names, with a new key of this kind, while whoever
    /// listens on port 80 of them answers from `answers`. What comes is checked: it is for these
    /// names, and the key belongs to it. May be cancelled at any point: the order expires then.
    pub async fn obtain(
        &self,
        names: &[String],
        kind: KeyKind,
        answers: &Answers,
    ) -> Result<Verdict<Issued>, AcmeError> {
        let ordered = timeout(ORDER, self.order(names, kind, answers)).await;
        let step = ordered.unwrap_or(Err(Stop::Fault(AcmeError::Unfinished(ORDER))));
        verdict(step, &self.caller)
    }

    async fn order(&self, names: &[String], kind: KeyKind, answers: &Answers) -> Step<Issued> {
        // First: what is asked for can then be made.
        let request = new_request(names, kind).await?;
        let identifiers: Vec<_> = names.iter().cloned().map(Identifier::Dns).collect();
        let mut order = self.inner.new_order(&NewOrder::new(&identifiers)).await?;
        let offered = prove(&mut order, answers).await?;
        let ready = order.poll_ready(&POLL.timeout(PROOFS)).await;
        if !matches!(ready, Ok(OrderStatus::Ready)) {
            if let Some(refusal) = refused_name(&mut order).await {
                return Err(Stop::Refused(refusal));
            }
            let status = ready.map_err(|fault| unfinished(fault, PROOFS))?;
            return Err(unexpected(&format!("the order is {status:?}")).into());
        }
        drop(offered);
        order.finalize_csr(&request.der).await?;
        // What is given up here is made all the same, and counted: all the time there is.
        let chain = order.poll_certificate(&POLL.timeout(ORDER)).await;
        let chain = chain.map_err(|fault| unfinished(fault, ORDER))?;
        let issued = Issued {
            certificate_pem: chain,
            key_pem: request.key_pem,
        };
        checked(issued, names).map_err(Stop::Fault)
    }
}

async fn new_request(names: &[String], kind: KeyKind) -> Result<CertificateRequest, AcmeError> {
    let names = names.to_owned();
    // It computes.
    let made = apart(usize::MAX, move || {
        postrider_tls::certificate_request(&names, kind)
    });
    let made = made.await.map_err(|_| AcmeError::Stopped)?;
    made.map_err(AcmeError::NoKey)
}

/// Answers for each name that is not proven already, and tells the authority to look.
async fn prove(order: &mut Order, answers: &Answers) -> Step<Vec<Offered>> {
    let mut offered = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let name = authorization.identifier().to_string();
        // Else it is proven by an order before, or has come to nothing, which the order tells.
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let challenge = authorization.challenge(ChallengeType::Http01);
        let mut challenge = challenge.ok_or_else(|| AcmeError::NoHttp(name.clone()))?;
        let authorized = challenge.key_authorization();
        offered.push(answers.offer(&challenge.token, authorized.as_str()));
        let told = challenge.set_ready().await;
        told.map_err(|fault| named(fault.into(), &name))?;
    }
    Ok(offered)
}

/// Why a name of an order that came to nothing is not ours: it stands in its challenge.
async fn refused_name(order: &mut Order) -> Option<Refusal> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        authorization.refresh().await.ok()?;
        let mut challenges = authorization.challenges.iter();
        if let Some(problem) = challenges.find_map(|challenge| challenge.error.as_ref()) {
            let name = authorization.identifier().to_string();
            return Some(Refusal::of(problem).about(&name));
        }
    }
    None
}

fn named(stop: Stop, name: &str) -> Stop {
    match stop {
        Stop::Refused(refusal) => Stop::Refused(refusal.about(name)),
        fault @ Stop::Fault(_) => fault,
    }
}

fn unfinished(fault: instant_acme::Error, after: Duration) -> Stop {
    match fault {
        instant_acme::Error::Timeout(_) => Stop::Fault(AcmeError::Unfinished(after)),
        other => other.into(),
    }
}

fn unexpected(what: &str) -> AcmeError {
    AcmeError::Unintelligible(what.into())
}

/// What a door could show, for all of the names.
fn checked(issued: Issued, names: &[String]) -> Result<Issued, AcmeError> {
    let (chain, key) = (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
    Acceptor::from_pem(chain, key).map_err(AcmeError::Unusable)?;
    let certificate = Certificate::from_pem("the certificate that came", chain);
    let certificate = certificate.map_err(AcmeError::Unusable)?;
    match names.iter().find(|name| !certificate.is_for(name)) {
        Some(missing) => Err(AcmeError::NotFor(missing.clone())),
        None => Ok(issued),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_checked_before_anybody_shows_it() {
        let names = [
            "relay.example".to_owned(),
            "mta-sts.relay.example".to_owned(),
        ];
        let made = |kind| postrider_tls::self_signed(&names, kind).unwrap();
        let (one, other) = (made(KeyKind::Ecdsa), made(KeyKind::Rsa));
        assert_eq!(checked(one.clone(), &names).unwrap(), one);
        let more = [names.to_vec(), vec!["www.example".to_owned()]].concat();
        let fault = checked(one.clone(), &more).unwrap_err();
        assert!(matches!(fault, AcmeError::NotFor(name) if name == "www.example"));
        let mixed = Issued {
            key_pem: other.key_pem,
            ..one
        };
        let fault = checked(mixed, &names).unwrap_err();
        assert!(matches!(fault, AcmeError::Unusable(_)));
    }
}
