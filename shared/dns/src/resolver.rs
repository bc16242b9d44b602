//! The resolver: what is asked, of whom, and what is remembered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer, RetryDnsHandle};
use hickory_resolver::proto::op::{DnsRequestOptions, Query};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig, system_conf};
use parking_lot::Mutex;
use postrider_model::Domain;
use postrider_telemetry::Registry;
use tokio::time::Instant;

use crate::answer::host_name;
use crate::cache::Cache;
use crate::chase::{Known, Servers, chase};
use crate::instruments::{Asked, Instruments, Outcome};
use crate::{Failure, Mx, MxName};

/// How many answers are remembered; one takes some hundred bytes.
const REMEMBERED_MOST: usize = 16_384;
/// How many servers a confirmation asks at most.
const CONFIRMERS_MOST: usize = 3;

/// Whom to ask, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// Recursive name servers; empty means those of the system (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
    /// How long one attempt at one question may take, over all servers.
    pub timeout: Duration,
    /// How often a question is asked at most; at least 1.
    pub attempts: usize,
}

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    #[error("cannot read the system's name servers")]
    System(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no name server is configured")]
    NoServers,
    #[error("cannot set up the resolver")]
    SetUp(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Asks DNS. Cheap to clone; clones share connections and what they remember.
#[derive(Clone)]
pub struct Resolver(Arc<Shared>);

struct Shared {
    /// All servers, the quickest first.
    all: Servers,
    /// Each alone, for a second opinion.
    each: Vec<Servers>,
    options: DnsRequestOptions,
    /// How long one question with its aliases may take.
    deadline: Duration,
    remembered: Mutex<Cache<Question, Result<Vec<RData>, Failure>>>,
    instruments: Instruments,
}

type Question = (Name, RecordType);

impl Resolver {
    /// A resolver for these servers, which counts in `metrics`. Asks nothing yet; may be called
    /// outside a runtime.
    pub fn new(config: DnsConfig, metrics: &Registry) -> Result<Self, DnsError> {
        let DnsConfig {
            servers,
            timeout,
            attempts,
        } = config;
        let servers = if servers.is_empty() {
            system_servers()?
        } else {
            servers.into_iter().map(name_server).collect()
        };
        if servers.is_empty() {
            return Err(DnsError::NoServers);
        }
        let attempts = attempts.max(1);
        // No server is asked over TLS, and hickory's own settings fail where no authorities are
        // installed.
        let config = postrider_tls::trusting_nobody();
        let tls = TlsConfig {
            config: config.map_err(|error| DnsError::SetUp(Box::new(error)))?,
        };
        let options = library_options(timeout);
        let request = request_options(&options);
        let context = Arc::new(PoolContext::new(options, tls));
        let pool = |servers: Vec<NameServerConfig>| {
            let provider = TokioRuntimeProvider::default();
            let pool = NameServerPool::from_config(servers, Arc::clone(&context), provider);
            RetryDnsHandle::new(pool, attempts - 1)
        };
        let patience = u32::try_from(attempts)
            .unwrap_or(u32::MAX)
            .saturating_mul(2);
        Ok(Self(Arc::new(Shared {
            each: servers
                .iter()
                .take(CONFIRMERS_MOST)
                .map(|server| pool(vec![server.clone()]))
                .collect(),
            all: pool(servers),
            options: request,
            deadline: timeout.saturating_mul(patience),
            remembered: Mutex::new(Cache::new(REMEMBERED_MOST)),
            instruments: Instruments::new(metrics),
        })))
    }

    /// The mail exchangers of a domain in the order of the answer; aliases are followed. What is
    /// not a host name is left out, and so is `.` beside other records (RFC 7505 §3 knows it
    /// alone only): the list may be empty, and a `Root` in it is all there is. May be cancelled at any point, as
    /// all questions here.
    pub async fn mx(&self, domain: &Domain) -> Result<Vec<Mx>, Failure> {
        let records = self.ask(domain.as_str(), RecordType::MX).await?;
        Ok(exchangers(&records))
    }

    /// The addresses of a host, AAAA before A, each in the order of the answer. Where only one
    /// family answers, its addresses are the answer.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        let (v6, v4) = tokio::join!(
            self.ask(host, RecordType::AAAA),
            self.ask(host, RecordType::A)
        );
        both_families(v6, v4)
    }

    /// The TXT records of a name, each with its strings joined (RFC 7208 §3.3, RFC 6376
    /// §3.6.2.2); what is not UTF-8 is replaced.
    pub async fn txt(&self, name: &str) -> Result<Vec<String>, Failure> {
        let records = self.ask(name, RecordType::TXT).await?;
        Ok(records.iter().filter_map(text).collect())
    }

    /// `mx` asked anew of every server by itself; nothing remembered is used. A server that
    /// finds something outweighs one that does not.
    pub async fn confirm_mx(&self, domain: &Domain) -> Result<Vec<Mx>, Failure> {
        let records = self.confirm(domain.as_str(), RecordType::MX).await?;
        Ok(exchangers(&records))
    }

    /// `txt` asked anew of every server by itself, as `confirm_mx`.
    pub async fn confirm_txt(&self, name: &str) -> Result<Vec<String>, Failure> {
        let records = self.confirm(name, RecordType::TXT).await?;
        Ok(records.iter().filter_map(text).collect())
    }

    /// The names that an address's reverse name (`1.2.0.192.in-addr.arpa`) points to, lowercase and
    /// without a dot at their end; asked anew of every server by itself, as `confirm_mx`.
    pub async fn confirm_names(&self, reverse: &str) -> Result<Vec<String>, Failure> {
        let records = self.confirm(reverse, RecordType::PTR).await?;
        let names = records.iter().filter_map(|data| match data {
            RData::PTR(name) => host_name(&name.0.to_ascii()),
            _ => None,
        });
        Ok(names.collect())
    }

    /// Whether a server checks signatures (DNSSEC): whether it says so of the root's own record
    /// (the AD bit, RFC 4035 §3.2.3). False where one of them does not.
    pub async fn validates(&self) -> bool {
        let mut options = self.0.options;
        options.edns_set_dnssec_ok = true;
        let asked = self.0.each.iter().map(|one| {
            let answer = is_validated(one, options);
            tokio::time::timeout(self.0.deadline, answer)
        });
        let answers = join_all(asked).await;
        answers.iter().all(|answer| matches!(answer, Ok(true)))
    }

    /// `addresses` asked anew of every server by itself, as `confirm_mx`.
    pub async fn confirm_addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        let (v6, v4) = tokio::join!(
            self.confirm(host, RecordType::AAAA),
            self.confirm(host, RecordType::A)
        );
        both_families(v6, v4)
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, Failure> {
        let question = (absolute(name)?, kind);
        if let Some(known) = special(&question) {
            return known;
        }
        let remembered = self.0.remembered.lock().get(&question, Instant::now());
        if let Some(known) = remembered {
            self.0.count(kind, Outcome::Remembered);
            return known;
        }
        let known = self.0.put_to(&self.0.all, &question).await;
        let mut cache = self.0.remembered.lock();
        cache.put(question, known.found.clone(), Instant::now(), known.keep);
        known.found
    }

    async fn confirm(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, Failure> {
        let question = (absolute(name)?, kind);
        if let Some(known) = special(&question) {
            return known;
        }
        let opinions = self.0.each.iter().map(|one| self.0.put_to(one, &question));
        let best = join_all(opinions)
            .await
            .into_iter()
            .max_by_key(|known| weight(&known.found))
            .unwrap_or_else(|| Known::temporary("no server was asked", Duration::ZERO));
        let mut cache = self.0.remembered.lock();
        cache.put(question, best.found.clone(), Instant::now(), best.keep);
        best.found
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resolver({} servers)", self.0.each.len())
    }
}

impl Shared {
    async fn put_to(&self, servers: &Servers, (name, kind): &Question) -> Known {
        let start = Instant::now();
        let asked = chase(servers, name, *kind, self.options);
        let known = tokio::time::timeout(self.deadline, asked)
            .await
            .unwrap_or_else(|_| Known::temporary("the time for an answer ran out", Duration::ZERO));
        self.instruments.seconds.span(start.elapsed());
        self.count(*kind, Outcome::of(&known.found));
        known
    }

    fn count(&self, kind: RecordType, outcome: Outcome) {
        if let Some(asked) = Asked::of(kind) {
            self.instruments.lookups.add(asked, outcome, 1);
        }
    }
}

async fn is_validated(server: &Servers, options: DnsRequestOptions) -> bool {
    let query = Query::query(Name::root(), RecordType::SOA);
    let answer = server.lookup(query, options).first_answer().await;
    answer.is_ok_and(|answer| answer.authentic_data)
}

/// Whom to believe where servers are at odds: who found something, then who knows the name, then
/// who knows anything at all.
fn weight<T>(found: &Result<T, Failure>) -> u8 {
    match found {
        Ok(_) => 3,
        Err(Failure::NoRecords) => 2,
        Err(Failure::NoSuchName) => 1,
        Err(Failure::Temporary(_)) => 0,
    }
}

fn both_families(
    v6: Result<Vec<RData>, Failure>,
    v4: Result<Vec<RData>, Failure>,
) -> Result<Vec<IpAddr>, Failure> {
    match (v6, v4) {
        (Err(failure @ Failure::Temporary(_)), Err(_))
        | (Err(_), Err(failure @ Failure::Temporary(_))) => Err(failure),
        (Err(Failure::NoSuchName), Err(Failure::NoSuchName)) => Err(Failure::NoSuchName),
        (Err(_), Err(_)) => Err(Failure::NoRecords),
        (v6, v4) => Ok(v6
            .into_iter()
            .chain(v4)
            .flatten()
            .filter_map(|data| data.ip_addr())
            .collect()),
    }
}

fn exchangers(records: &[RData]) -> Vec<Mx> {
    let all = records.iter().filter_map(exchanger);
    all.filter(|mx| mx.host != MxName::Root || records.len() == 1)
        .collect()
}

fn exchanger(data: &RData) -> Option<Mx> {
    let RData::MX(mx) = data else { return None };
    let host = if mx.exchange.is_root() {
        MxName::Root
    } else {
        MxName::Host(host_name(&mx.exchange.to_ascii())?)
    };
    Some(Mx {
        preference: mx.preference,
        host,
    })
}

fn text(data: &RData) -> Option<String> {
    let RData::TXT(txt) = data else { return None };
    Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned())
}

/// The name as written from the root, so that no search list can turn it into another.
fn absolute(name: &str) -> Result<Name, Failure> {
    // What cannot be put into a question cannot exist.
    let mut name = Name::from_ascii(name).map_err(|_| Failure::NoSuchName)?;
    name.set_fqdn(true);
    Ok(name)
}

/// Names that are never asked for: RFC 6761 §6.3 (localhost) and §6.4 (invalid), RFC 7686 §2
/// (onion).
fn special((name, kind): &Question) -> Option<Result<Vec<RData>, Failure>> {
    let top = name.iter().next_back()?.to_ascii_lowercase();
    match (top.as_slice(), kind) {
        (b"invalid" | b"onion", _) => Some(Err(Failure::NoSuchName)),
        (b"localhost", RecordType::A) => Some(Ok(vec![RData::A(Ipv4Addr::LOCALHOST.into())])),
        (b"localhost", RecordType::AAAA) => Some(Ok(vec![RData::AAAA(Ipv6Addr::LOCALHOST.into())])),
        (b"localhost", _) => Some(Err(Failure::NoRecords)),
        _ => None,
    }
}

fn system_servers() -> Result<Vec<NameServerConfig>, DnsError> {
    let (config, _) =
        system_conf::read_system_conf().map_err(|error| DnsError::System(boxed(error)))?;
    let (_domain, _search, servers) = config.into_parts();
    Ok(servers)
}

/// A server asked by UDP, and by TCP where the answer was cut off (RFC 7766 §5).
fn name_server(address: SocketAddr) -> NameServerConfig {
    let connection = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    };
    let both = vec![
        connection(ProtocolConfig::Udp),
        connection(ProtocolConfig::Tcp),
    ];
    NameServerConfig::new(address.ip(), true, both)
}

fn library_options(timeout: Duration) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = timeout;
    options.edns0 = true;
    options.case_randomization = true;
    options
}

fn request_options(options: &ResolverOpts) -> DnsRequestOptions {
    let mut request = DnsRequestOptions::default();
    request.recursion_desired = true;
    request.use_edns = options.edns0;
    request.edns_payload_len = options.edns_payload_len;
    request.case_randomization = options.case_randomization;
    request
}

fn boxed(error: NetError) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(error)
}
