//! What holds where nothing was set: every domain has an exchanger `mx.<domain>`, and a few
//! domains are special.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::dns::{Answer, Book, Kind, Usual, fold};
use crate::exchanger::{Exchanger, Ground};
use crate::script::{Certificate, Feature, Script};
use crate::town::Town;
use crate::zone::Zone;

/// The longest name there is (RFC 1035 §3.1, as text without the dot at the end).
const LONGEST_NAME: usize = 253;

pub(crate) struct World {
    pub(crate) book: Arc<Book>,
    pub(crate) ground: Arc<Ground>,
    pub(crate) town: Mutex<Town>,
}

impl World {
    pub(crate) fn new(ground: Ground, town: Town) -> Arc<Self> {
        let world = Arc::new(Self {
            book: Arc::default(),
            ground: Arc::new(ground),
            town: Mutex::new(town),
        });
        furnish(&world);
        world
    }

    /// The exchanger of this name, made if it was not.
    pub(crate) fn exchanger(&self, host: &str) -> std::io::Result<Exchanger> {
        let host = fold(host);
        let mut town = self.town.lock();
        town.settle(&host, usual_script(&host), &self.ground)
    }

    fn address(&self, host: &str) -> Answer {
        let known = self.town.lock().find(host).map(Exchanger::address);
        let of_domain = host.strip_prefix("mx.").filter(|domain| is_domain(domain));
        let address = match (known, of_domain) {
            (Some(address), _) => address,
            (None, None) => return Answer::NoData,
            (None, Some(_)) => match self.exchanger(host) {
                Ok(exchanger) => exchanger.address(),
                Err(error) => {
                    tracing::error!(%error, host, "no listener for an exchanger");
                    return Answer::ServFail;
                }
            },
        };
        Answer::Addresses(vec![address.ip()])
    }
}

impl Usual for World {
    fn usual(&self, name: &str, kind: Kind) -> Answer {
        match kind {
            Kind::Mx if is_domain(name) => Answer::Exchangers(vec![(10, format!("mx.{name}"))]),
            Kind::A => self.address(name),
            _ => Answer::NoData,
        }
    }
}

// Names with an underscore are keys and policies (RFC 8552), not domains of mail.
fn is_domain(name: &str) -> bool {
    !name.is_empty() && name.len() + 3 <= LONGEST_NAME && !name.contains('_')
}

fn usual_script(host: &str) -> Script {
    let script = Script::by_local_part();
    match host {
        "mx.notls.test" => script.without(Feature::StartTls),
        "mx.badtls.test" => script.certificate(Certificate::SelfSigned),
        _ => script,
    }
}

fn furnish(world: &Arc<World>) {
    let zone = |name| Zone::new(name, world);
    zone("nxdomain.test").nxdomain();
    zone("servfail.test").servfail();
    zone("nullmx.test").null_mx();
    let private = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    zone("private.test").addresses(&[private]);
    // An address of its own where nobody listens: connections are refused.
    let vacant = world.town.lock().address("mx.down.test");
    if let Ok(vacant) = vacant {
        zone("down.test").addresses(&[IpAddr::V4(vacant)]);
    }
}
