//! What a test says about one domain: its exchangers and what the DNS answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use postrider_model::Domain;

use crate::dns::{Answer, Answers, Kind, fold};
use crate::exchanger::Exchanger;
use crate::script::Script;
use crate::world::World;

/// One domain. What is said here replaces what was said about the same thing before.
#[derive(Clone)]
pub struct Zone {
    name: String,
    world: Arc<World>,
}

impl Zone {
    pub(crate) fn new(name: &str, world: &Arc<World>) -> Self {
        Self {
            name: a_labels(name),
            world: Arc::clone(world),
        }
    }

    /// One exchanger, `mx.<domain>`, with this script.
    pub fn mx(&self, script: Script) -> Exchanger {
        self.forget();
        self.exchanger(&self.host(), script)
    }

    /// One more exchanger with this preference, name and script. The first call replaces what the
    /// domain had.
    pub fn add_mx(&self, preference: u16, host: &str, script: Script) -> Exchanger {
        let mut hosts = match self.world.book.current(&self.name, Kind::Mx) {
            Answer::Exchangers(hosts) => hosts,
            _ => Vec::new(),
        };
        hosts.push((preference, fold(host)));
        self.mx_answers(Answer::Exchangers(hosts));
        self.exchanger(host, script)
    }

    /// These MX records and no others. Hosts that have no exchanger by `add_mx` and no answer of
    /// their own have an address only if they are called `mx.<something>`.
    pub fn mx_records(&self, hosts: &[(u16, &str)]) -> &Self {
        let hosts = hosts
            .iter()
            .map(|(preference, host)| (*preference, (*host).to_owned()));
        self.mx_answers(Answer::Exchangers(hosts.collect()))
    }

    /// No MX record; the domain itself has the address of this exchanger (RFC 5321 §5.1).
    pub fn address_only(&self, script: Script) -> Exchanger {
        self.forget();
        self.mx_answers(Answer::NoData);
        self.exchanger(&self.name, script)
    }

    /// The MX record is `mx.<domain>`, and that host has these addresses, of either family.
    /// Nobody is made to listen there.
    pub fn addresses(&self, addresses: &[IpAddr]) -> &Self {
        self.forget();
        self.host_addresses(&self.host(), addresses)
    }

    /// Any host has these addresses.
    pub fn host_addresses(&self, host: &str, addresses: &[IpAddr]) -> &Self {
        for kind in [Kind::A, Kind::Aaaa] {
            let answer = Answer::Addresses(addresses.to_vec());
            self.world.book.set(host, Some(kind), answer.into());
        }
        self
    }

    /// The domain accepts no mail (RFC 7505).
    pub fn null_mx(&self) -> &Self {
        self.forget();
        self.mx_answers(Answer::Exchangers(vec![(0, ".".to_owned())]))
    }

    /// Neither the domain nor `mx.<domain>` exists.
    pub fn nxdomain(&self) -> &Self {
        self.everything(&Answer::NxDomain)
    }

    pub fn servfail(&self) -> &Self {
        self.everything(&Answer::ServFail)
    }

    pub fn refused(&self) -> &Self {
        self.everything(&Answer::Refused)
    }

    /// Questions about the domain and about `mx.<domain>` get no answer.
    pub fn silent(&self) -> &Self {
        self.everything(&Answer::Silence)
    }

    /// Questions about the domain and about `mx.<domain>` get bytes that are no message.
    pub fn garbage(&self) -> &Self {
        self.everything(&Answer::Garbage)
    }

    /// The domain is an alias of another one.
    pub fn cname(&self, target: &str) -> &Self {
        self.forget();
        self.set_all(&self.name, &Answer::Alias(fold(target)));
        self
    }

    /// The question for MX is answered after so long.
    pub fn slow(&self, span: Duration) -> &Self {
        self.mx_answers(Answer::Slow(span, self.current().into()))
    }

    /// The question for MX is answered over TCP only.
    pub fn truncated(&self) -> &Self {
        self.mx_answers(Answer::Truncated(self.current().into()))
    }

    /// The question for MX is answered under a wrong message id.
    pub fn wrong_id(&self) -> &Self {
        self.mx_answers(Answer::WrongId(self.current().into()))
    }

    /// The question for MX is answered as if another had been asked.
    pub fn wrong_question(&self) -> &Self {
        self.mx_answers(Answer::WrongQuestion(self.current().into()))
    }

    /// The question for MX is answered by these.
    pub fn mx_answers(&self, answers: impl Into<Answers>) -> &Self {
        let kind = Some(Kind::Mx);
        self.world.book.set(&self.name, kind, answers.into());
        self
    }

    /// How long answers about the domain and `mx.<domain>` may be kept, in seconds; 1 unless said.
    pub fn ttl(&self, seconds: u32) -> &Self {
        self.world.book.set_ttl(&self.name, seconds);
        self.world.book.set_ttl(&self.host(), seconds);
        self
    }

    /// Forgets all that was said about the DNS of the domain and of `mx.<domain>`.
    pub fn forget(&self) -> &Self {
        self.world.book.forget(&self.name);
        self.world.book.forget(&self.host());
        self
    }

    fn everything(&self, answer: &Answer) -> &Self {
        self.forget();
        self.set_all(&self.host(), answer);
        self.set_all(&self.name, answer);
        self
    }

    fn set_all(&self, name: &str, answer: &Answer) {
        self.world.book.set(name, None, answer.clone().into());
    }

    fn current(&self) -> Answer {
        self.world.book.current(&self.name, Kind::Mx)
    }

    fn host(&self) -> String {
        format!("mx.{}", self.name)
    }

    #[expect(
        clippy::panic,
        reason = "only tests give scripts, and a test cannot go on without its exchanger"
    )]
    fn exchanger(&self, host: &str, script: Script) -> Exchanger {
        let host = fold(host);
        let settled = {
            let mut town = self.world.town.lock();
            town.settle(&host, script.clone(), &self.world.ground)
        };
        match settled {
            Ok(exchanger) => {
                exchanger.set_script(script);
                exchanger
            }
            Err(error) => panic!("no listener for {host}: {error}"),
        }
    }
}

/// A domain as the DNS knows it; what is no domain of mail is only folded.
pub(crate) fn a_labels(name: &str) -> String {
    match Domain::parse(name) {
        Ok(domain) => domain.as_str().to_owned(),
        Err(_) => fold(name),
    }
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}
