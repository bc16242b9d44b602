//! Reply addresses that were confirmed once are looked at again: does their domain still take mail?

use std::sync::Arc;
use std::time::Duration;

use postrider_dns::{Failure, MxName, Resolver};
use postrider_gate::Gate;
use postrider_model::Domain;
use postrider_runtime::Shutdown;

/// Not at once: a machine that just started may have no network yet.
const FIRST_AFTER: Duration = Duration::from_mins(10);
const EVERY: Duration = Duration::from_hours(12);

/// Looks at them until shutdown.
pub(crate) async fn keep_looking(gate: Arc<Gate>, resolver: Resolver, shutdown: Shutdown) {
    let mut pause = FIRST_AFTER;
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = EVERY;
        let looked = gate.recheck(|domain| {
            let resolver = resolver.clone();
            async move { takes_mail(&resolver, &domain).await }
        });
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            looked = looked => {
                if let Err(fault) = looked {
                    tracing::warn!(error = &fault as &dyn std::error::Error, "reply addresses cannot be looked at");
                }
            }
        }
    }
}

/// Whether mail can be sent there at all; `None` where DNS gives no answer.
async fn takes_mail(resolver: &Resolver, domain: &Domain) -> Option<bool> {
    match resolver.confirm_mx(domain).await {
        Ok(exchangers) => Some(exchangers.iter().any(|mx| mx.host != MxName::Root)),
        Err(Failure::NoSuchName) => Some(false),
        // RFC 5321 §5.1: the domain itself is its exchanger.
        Err(Failure::NoRecords) => match resolver.confirm_addresses(domain.as_str()).await {
            Ok(_) => Some(true),
            Err(Failure::NoSuchName | Failure::NoRecords) => Some(false),
            Err(Failure::Temporary(_)) => None,
        },
        Err(Failure::Temporary(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use postrider_dns::DnsConfig;
    use postrider_fakenet::{FakeInternet, Options};
    use postrider_telemetry::Registry;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_domain_takes_mail_unless_dns_says_for_good_that_it_does_not() {
        let net = FakeInternet::start(Options::default()).await.unwrap();
        let config = DnsConfig {
            servers: vec![net.dns_addr()],
            timeout: Duration::from_secs(2),
            attempts: 1,
        };
        let resolver = Resolver::new(config, &Registry::new()).unwrap();
        for (domain, want) in [
            ("example.org", Some(true)),
            ("nxdomain.test", Some(false)),
            ("nullmx.test", Some(false)),
            ("servfail.test", None),
        ] {
            let domain = Domain::parse(domain).unwrap();
            assert_eq!(takes_mail(&resolver, &domain).await, want, "{domain}");
        }
        net.shutdown().await;
    }
}
