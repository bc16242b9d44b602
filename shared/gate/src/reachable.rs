//! Where replies cannot go, whoever wishes it: no letter can be answered there.

use postrider_model::{Domain, EmailAddress};

use crate::accept::Gate;
use crate::identity::Service;

/// Why replies cannot go to an address. The sentence names it and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// One of the relay's own names, by the records of its zone.
    #[error(
        "replies cannot go to {address}: mail to {} comes to this relay itself, which puts it off until a later release reads it. Give a mailbox elsewhere that somebody reads",
        address.domain()
    )]
    Own { address: EmailAddress },
    #[error(
        "replies cannot go to {address}: {} is the simulator's, and mail to it goes nowhere. Give a mailbox that somebody reads",
        address.domain()
    )]
    Simulator { address: EmailAddress },
    /// A host of one network, such as `localhost`.
    #[error(
        "replies cannot go to {address}: {} has no dot, so no other network knows it. Give the whole address, such as joe@garage.example",
        address.domain()
    )]
    NoDot { address: EmailAddress },
}

impl Gate {
    /// Whether an address may be wished as one for replies. What a tenant has already stays.
    pub fn check_reply_to(&self, address: &EmailAddress) -> Result<(), Unreachable> {
        let rules = &self.rules;
        check((&rules.service, rules.simulator.as_ref()), address)
    }
}

fn check(
    (service, simulator): (&Service, Option<&Domain>),
    address: &EmailAddress,
) -> Result<(), Unreachable> {
    let (domain, address) = (address.domain(), address.clone());
    let own = [&service.host, &service.send_domain, &service.bounce_domain];
    let name = domain.as_str();
    let bare = name.strip_prefix("mta-sts.").unwrap_or(name);
    if own.iter().any(|own| own.as_str() == bare) {
        return Err(Unreachable::Own { address });
    }
    if simulator == Some(domain) {
        return Err(Unreachable::Simulator { address });
    }
    if name.contains('.') {
        Ok(())
    } else {
        Err(Unreachable::NoDot { address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_go_to_mailboxes_that_are_elsewhere_and_everywhere_known() {
        let domain = |text: &str| Domain::parse(text).unwrap();
        let service = Service {
            send_domain: domain("send.relay.example"),
            bounce_domain: domain("bounce.relay.example"),
            host: domain("relay.example"),
        };
        let simulator = domain("simulator.relay.example");
        let says = |text: &str| {
            let address = EmailAddress::parse(text).unwrap();
            let said = check((&service, Some(&simulator)), &address);
            said.map_err(|why| why.to_string())
        };
        for (text, want) in [
            ("joe@Relay.Example", "mail to relay.example comes to this"),
            ("joe@send.relay.example", "mail to send.relay.example comes"),
            ("b@bounce.relay.example", "mail to bounce.relay.example"),
            ("a@mta-sts.send.relay.example", "to mta-sts.send.relay."),
            ("full@simulator.relay.example", "is the simulator's"),
            ("joe@localhost", "localhost has no dot"),
        ] {
            let said = says(text).unwrap_err();
            assert!(said.contains(want), "{text}: {said}");
            assert!(said.contains("Give "), "{text}: {said}");
        }
        for text in ["joe@garage.example", "joe@office.relay.example"] {
            assert_eq!(says(text), Ok(()), "{text}");
        }
    }
}
