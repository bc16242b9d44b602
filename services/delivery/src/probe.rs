//! Whether a domain's exchangers can be reached from here: asked by who wants to know whether the
//! way out is open. No mail is sent.

use std::net::SocketAddr;
use std::time::Duration;

use postrider_dns::Resolver;
use postrider_model::Domain;
use postrider_runtime::Rng;
use tokio::time::timeout;

use crate::Config;
use crate::dial::Dialer;
use crate::filter::Filter;
use crate::route::{self, OwnNames, Route, Router};
use crate::session::{Peer, Session};

/// How long one host is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Addresses that are tried at most.
const ADDRESSES_MOST: usize = 4;

/// What came of asking one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// An exchanger greeted us.
    Greeted(SocketAddr),
    /// A connection stood, and no welcome came: port 25 is open all the same.
    Refused(SocketAddr, String),
    /// None could be connected to; the last address and its fault.
    Closed(SocketAddr, String),
    /// No exchanger was found that might be asked.
    NoRoute(String),
}

/// Connects to a domain's exchangers until one answers, and says QUIT. May be cancelled at any
/// point.
pub async fn probe(
    resolver: &Resolver,
    dialer: &Dialer,
    config: &Config,
    domain: &Domain,
) -> Probe {
    let router = Router {
        resolver: resolver.clone(),
        filter: Filter::new(
            config.allow_destinations.clone(),
            config.own_addresses.clone(),
        )
        .within(config.families),
        own: OwnNames {
            hosts: vec![config.hello.to_ascii_lowercase()],
            addresses: config.own_addresses.clone(),
        },
        simulator: None,
        rng: Rng::system(),
    };
    let hosts = match route::route(&router, domain, Duration::ZERO).await {
        Route::Hosts(hosts) => hosts,
        Route::Never(why) | Route::NotNow(why) | Route::Shut(why) => {
            return Probe::NoRoute(why.note);
        }
        Route::Simulated(_) => {
            return Probe::NoRoute("it is the simulator, on this machine".to_owned());
        }
    };
    let mut last = Probe::NoRoute("its exchangers have no address that may be dialled".to_owned());
    let peers = hosts.iter().flat_map(|host| {
        host.addresses.iter().map(|ip| Peer {
            host: host.name.clone(),
            address: SocketAddr::new(*ip, config.port),
        })
    });
    for peer in peers.take(ADDRESSES_MOST) {
        last = one(dialer, config, peer).await;
        if !matches!(last, Probe::Closed(..)) {
            break;
        }
    }
    last
}

async fn one(dialer: &Dialer, config: &Config, peer: Peer) -> Probe {
    let address = peer.address;
    let tcp = match dialer.dial(address, PATIENCE).await {
        Ok(tcp) => tcp,
        Err(fault) => return Probe::Closed(address, words(&fault)),
    };
    let greeted = Session::greeted(tcp, peer, config.timeouts.clone());
    match timeout(PATIENCE, greeted).await {
        Ok(Ok(session)) => {
            session.quit().await;
            Probe::Greeted(address)
        }
        Ok(Err(failure)) => {
            let said = failure.reply.map(|reply| reply.text);
            let said = said.unwrap_or_else(|| words(&failure.cause));
            Probe::Refused(address, said)
        }
        Err(_) => Probe::Refused(address, format!("no greeting in {} s", PATIENCE.as_secs())),
    }
}

fn words(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut below = fault.source();
    while let Some(cause) = below {
        text = format!("{text}: {cause}");
        below = cause.source();
    }
    text
}
