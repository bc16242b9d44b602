//! The questions, and the library behind them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
    ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as LibraryError, NetError};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use postrider_model::Domain;
use tokio::time::Instant;

use crate::recent::RecentFailures;
use crate::{DnsFailure, MxAnswer, MxRecord};

/// Answers in memory.
const CACHE_ENTRIES: u64 = 50_000;

/// Records are believed for at least and at most so long, whatever their TTL says.
const POSITIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_hours(1));

/// NXDOMAIN and NODATA are believed for at most so long (RFC 2308 §5 allows hours; a domain
/// that has just been repaired should not wait for them).
const NEGATIVE_MOST: Duration = Duration::from_mins(5);

/// Which servers are asked, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// Recursive resolvers; none means those of the system (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
    /// For one try, over all servers.
    pub timeout: Duration,
    /// Tries after the first.
    pub attempts: usize,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(5),
            attempts: 2,
        }
    }
}

/// Why no resolver could be made.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    #[error("the system's resolver configuration cannot be used")]
    System(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the resolver cannot be set up")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Asks names. Cheap to clone; clones share one cache.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    cached: TokioResolver,
    /// Remembers nothing and begins with the other end of the list of servers.
    uncached: TokioResolver,
    recent: RecentFailures,
}

impl Resolver {
    /// Reads the system's configuration where no servers are given. Asks nothing yet.
    pub fn new(config: &DnsConfig) -> Result<Self, DnsError> {
        let servers = if config.servers.is_empty() {
            system_servers()?
        } else {
            config.servers.iter().map(|at| server(*at)).collect()
        };
        let mut turned = servers.clone();
        turned.reverse();
        Ok(Self(Arc::new(Inner {
            cached: build(servers, options(config, CACHE_ENTRIES))?,
            uncached: build(turned, options(config, 0))?,
            recent: RecentFailures::default(),
        })))
    }

    /// The MX records, sorted by preference. A CNAME at the domain is followed (RFC 5321 §5.1),
    /// over eight hops at most.
    pub async fn mx(&self, domain: &Domain) -> Result<MxAnswer, DnsFailure> {
        let records = self.look_up(domain.as_str(), RecordType::MX).await?;
        mx_answer(&records)
    }

    /// The MX records once more, past every cache, from another server where there is one: what
    /// is asked before mail is returned because a name does not exist.
    pub async fn confirm_mx(&self, domain: &Domain) -> Result<MxAnswer, DnsFailure> {
        let name = absolute(domain.as_str())?;
        let records = ask(&self.0.uncached, &name, RecordType::MX).await?;
        mx_answer(&records)
    }

    /// The addresses of a host, IPv6 and IPv4 by turns. Both families are asked at once: one
    /// that fails does not hide the other's addresses, but hides that there are none.
    pub async fn addresses(&self, host: &Domain) -> Result<Vec<IpAddr>, DnsFailure> {
        let (v6, v4) = tokio::join!(
            self.look_up(host.as_str(), RecordType::AAAA),
            self.look_up(host.as_str(), RecordType::A),
        );
        both_families(v6, v4)
    }

    /// As `addresses`, past every cache.
    pub async fn confirm_addresses(&self, host: &Domain) -> Result<Vec<IpAddr>, DnsFailure> {
        let name = absolute(host.as_str())?;
        let (v6, v4) = tokio::join!(
            ask(&self.0.uncached, &name, RecordType::AAAA),
            ask(&self.0.uncached, &name, RecordType::A),
        );
        both_families(v6, v4)
    }

    /// The TXT records of a name, each with its strings joined (RFC 7208 §3.3 and RFC 6376
    /// §3.6.2.2 join them without a space). Bytes that are no UTF-8 are replaced.
    pub async fn txt(&self, name: &str) -> Result<Vec<String>, DnsFailure> {
        let records = self.look_up(name, RecordType::TXT).await?;
        let texts = records.iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        });
        Ok(texts
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect())
    }

    async fn look_up(&self, name: &str, kind: RecordType) -> Result<Vec<Record>, DnsFailure> {
        let name = absolute(name)?;
        if let Some(failure) = self.0.recent.get(&name, kind, Instant::now()) {
            return Err(failure);
        }
        let asked = ask(&self.0.cached, &name, kind).await;
        if let Err(failure @ DnsFailure::Temporary(_)) = &asked {
            let failure = failure.clone();
            self.0.recent.put(name, kind, failure, Instant::now());
        }
        asked
    }
}

/// One question. The records are of this kind; there is at least one.
async fn ask(
    resolver: &TokioResolver,
    name: &Name,
    kind: RecordType,
) -> Result<Vec<Record>, DnsFailure> {
    let error = match resolver.lookup(name.clone(), kind).await {
        Ok(found) => {
            let mut records = found.answers().to_vec();
            records.retain(|record| record.record_type() == kind);
            if !records.is_empty() {
                return Ok(records);
            }
            return Err(DnsFailure::Temporary(
                "an answer about another type".to_owned(),
            ));
        }
        Err(error) => error,
    };
    let failure = DnsFailure::of(&error);
    if failure == DnsFailure::NoRecords && chain_goes_on(resolver, &error).await? {
        return Err(DnsFailure::Temporary(
            "a CNAME chain without end".to_owned(),
        ));
    }
    Err(failure)
}

/// The library stops after eight CNAMEs and calls it NODATA. Where the last name it asked is
/// a CNAME still, the chain does not end.
async fn chain_goes_on(resolver: &TokioResolver, error: &NetError) -> Result<bool, DnsFailure> {
    let NetError::Dns(LibraryError::NoRecordsFound(none)) = error else {
        return Ok(false);
    };
    if none.soa.is_some() {
        // RFC 2308 §2.2: with an SOA it is a real NODATA about the end of the chain.
        return Ok(false);
    }
    let last = none.query.name().clone();
    match resolver.lookup(last, RecordType::CNAME).await {
        Ok(_) => Ok(true),
        Err(error) => match DnsFailure::of(&error) {
            failure @ DnsFailure::Temporary(_) => Err(failure),
            _ => Ok(false),
        },
    }
}

fn absolute(name: &str) -> Result<Name, DnsFailure> {
    // A name that DNS cannot even ask for does not exist in it.
    let mut name = Name::from_ascii(name).map_err(|_| DnsFailure::NoSuchName)?;
    // No search list: `example.org` is never `example.org.our.domain`.
    name.set_fqdn(true);
    Ok(name)
}

fn mx_answer(records: &[Record]) -> Result<MxAnswer, DnsFailure> {
    let mut records: Vec<MxRecord> = records
        .iter()
        .filter_map(|record| match &record.data {
            RData::MX(mx) => Some(MxRecord::of(mx)),
            _ => None,
        })
        .collect();
    if records.is_empty() {
        return Err(DnsFailure::NoRecords);
    }
    records.sort();
    records.dedup();
    Ok(MxAnswer { records })
}

fn both_families(
    v6: Result<Vec<Record>, DnsFailure>,
    v4: Result<Vec<Record>, DnsFailure>,
) -> Result<Vec<IpAddr>, DnsFailure> {
    let addresses = match (v6, v4) {
        (Ok(v6), Ok(v4)) => by_turns(&ips(&v6), &ips(&v4)),
        (Ok(records), Err(_)) | (Err(_), Ok(records)) => ips(&records),
        (Err(failure @ DnsFailure::Temporary(_)), Err(_))
        | (Err(_), Err(failure @ DnsFailure::Temporary(_))) => return Err(failure),
        // RFC 8020 §2: NXDOMAIN is about the name, so both should say it. Where they differ,
        // the name exists.
        (Err(DnsFailure::NoSuchName), Err(DnsFailure::NoSuchName)) => {
            return Err(DnsFailure::NoSuchName);
        }
        (Err(_), Err(_)) => return Err(DnsFailure::NoRecords),
    };
    Ok(addresses)
}

fn ips(records: &[Record]) -> Vec<IpAddr> {
    let ip = |record: &Record| record.data.ip_addr();
    records.iter().filter_map(ip).collect()
}

fn by_turns(v6: &[IpAddr], v4: &[IpAddr]) -> Vec<IpAddr> {
    let longest = v6.len().max(v4.len());
    let turn = |at: usize| [v6.get(at), v4.get(at)];
    (0..longest).flat_map(turn).flatten().copied().collect()
}

fn system_servers() -> Result<Vec<NameServerConfig>, DnsError> {
    let (config, _) = read_system_conf().map_err(|error| DnsError::System(Box::new(error)))?;
    Ok(config.name_servers().to_vec())
}

fn server(at: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    (udp.port, tcp.port) = (at.port(), at.port());
    NameServerConfig::new(at.ip(), true, vec![udp, tcp])
}

fn options(config: &DnsConfig, cache_entries: u64) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = config.timeout;
    options.attempts = config.attempts;
    options.edns0 = true;
    options.case_randomization = true;
    // Names of mail exchangers are DNS names; what `/etc/hosts` says of them is for this machine.
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = cache_entries;
    (options.positive_min_ttl, options.positive_max_ttl) = (Some(POSITIVE.0), Some(POSITIVE.1));
    options.negative_max_ttl = Some(NEGATIVE_MOST);
    options.num_concurrent_reqs = 1;
    options.max_active_requests = 1_024;
    if cache_entries == 0 {
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    }
    options
}

fn build(servers: Vec<NameServerConfig>, options: ResolverOpts) -> Result<TokioResolver, DnsError> {
    let config = ResolverConfig::from_name_servers(servers);
    hickory_resolver::Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(|error| DnsError::Setup(Box::new(error)))
}
