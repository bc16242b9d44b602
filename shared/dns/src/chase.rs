//! One question put to name servers, followed through its aliases, judged. Reading an answer is
//! pure; nothing is kept here.

use std::time::Duration;

use hickory_resolver::NameServerPool;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer, RetryDnsHandle};
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{DnsRequestOptions, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, RecordType};

use crate::Failure;
use crate::cache;

/// How many aliases are followed. RFC 1034 §3.6.2 allows chains and gives no bound; a loop shows
/// itself by passing it.
const ALIASES_MOST: usize = 10;

/// Answers of more records are not remembered: whoever owns enough domains could fill the memory
/// with them.
const REMEMBERED_MOST: usize = 32;

/// How long it is remembered that a server could not answer (RFC 9520 §3.2: at most 5 minutes).
const REFUSAL_KEPT: Duration = Duration::from_secs(30);
/// The same where no server was heard at all: our own network may be back any moment.
const SILENCE_KEPT: Duration = Duration::from_secs(5);

/// Name servers, asked again where one does not answer.
pub(crate) type Servers = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// What is known after asking, and for how long it may be remembered.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) found: Result<Vec<RData>, Failure>,
    pub(crate) keep: Duration,
}

impl Known {
    pub(crate) fn temporary(text: impl Into<String>, keep: Duration) -> Self {
        Self {
            found: Err(Failure::Temporary(text.into())),
            keep,
        }
    }
}

/// Asks until records are found or it is known that there are none.
pub(crate) async fn chase(
    servers: &Servers,
    name: &Name,
    kind: RecordType,
    options: DnsRequestOptions,
) -> Known {
    let mut seen = vec![name.clone()];
    let mut ttl = u32::MAX;
    while let Some(name) = seen.last() {
        let query = Query::query(name.clone(), kind);
        let answer = servers.lookup(query, options).first_answer().await;
        let step = match answer {
            Ok(response) => read(&response, kind, &mut seen, ttl),
            Err(error) => Step::End(judge(&error)),
        };
        match step {
            Step::End(known) => return known,
            Step::Alias(least) => ttl = least,
        }
    }
    // Not reached: `seen` never shrinks.
    Known::temporary("no name was asked for", Duration::ZERO)
}

#[derive(Debug)]
enum Step {
    End(Known),
    /// The last name seen is an alias's target that this answer says nothing of; the least TTL
    /// so far.
    Alias(u32),
}

/// Reads an answer that has records. `seen` is the chain of names so far and grows by the
/// aliases in it.
fn read(message: &Message, kind: RecordType, seen: &mut Vec<Name>, mut ttl: u32) -> Step {
    let code = message.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Step::End(Known::temporary(format!("{code}"), REFUSAL_KEPT));
    }
    let first = seen.len();
    while let Some(name) = seen.last() {
        let here = || {
            let mine = message.answers.iter();
            mine.filter(|record| record.dns_class == DNSClass::IN && record.name == *name)
        };
        let found: Vec<_> = here()
            .filter(|record| record.record_type() == kind)
            .collect();
        if !found.is_empty() {
            let least = found.iter().map(|record| record.ttl).min().unwrap_or(0);
            let keep = if found.len() > REMEMBERED_MOST {
                Duration::ZERO
            } else {
                cache::positive(least.min(ttl))
            };
            return Step::End(Known {
                found: Ok(found
                    .into_iter()
                    .map(|record| record.data.clone())
                    .collect()),
                keep,
            });
        }
        let alias = here().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((target.0.clone(), record.ttl)),
            _ => None,
        });
        let Some((target, least)) = alias else { break };
        if seen.contains(&target) || seen.len() > ALIASES_MOST {
            return Step::End(Known::temporary(
                "the aliases (CNAME) make a loop or are too many",
                REFUSAL_KEPT,
            ));
        }
        ttl = ttl.min(least);
        seen.push(target);
    }
    end_of_chain(message, seen.len() > first, ttl)
}

/// Reads an answer whose records do not hold what was asked for.
fn end_of_chain(message: &Message, has_alias: bool, ttl: u32) -> Step {
    let soa = message
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
            _ => None,
        });
    let negative = |failure| {
        Step::End(Known {
            found: Err(failure),
            keep: cache::negative(soa.map(|least| least.min(ttl))),
        })
    };
    match message.response_code {
        // Records, but none of them has to do with the question.
        _ if !has_alias && !message.answers.is_empty() => Step::End(Known::temporary(
            "the answer does not belong to the question",
            REFUSAL_KEPT,
        )),
        // RFC 6604 §3: the code is that of the last name in the chain.
        ResponseCode::NXDomain => negative(Failure::NoSuchName),
        // RFC 2308 §2.2: with the zone's SOA, the last name is known to have none.
        _ if soa.is_some() || !has_alias => negative(Failure::NoRecords),
        _ => Step::Alias(ttl),
    }
}

/// What the library reports as an error is the empty answer as well.
fn judge(error: &NetError) -> Known {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => judge_empty(none),
        NetError::Dns(DnsError::ResponseCode(code)) => {
            Known::temporary(format!("{code}"), REFUSAL_KEPT)
        }
        NetError::Timeout | NetError::Io(_) | NetError::NoConnections | NetError::Busy => {
            Known::temporary(format!("{error}"), SILENCE_KEPT)
        }
        _ => Known::temporary(format!("{error}"), REFUSAL_KEPT),
    }
}

fn judge_empty(none: &NoRecords) -> Known {
    let failure = match none.response_code {
        ResponseCode::NXDomain => Failure::NoSuchName,
        // RFC 2308 §2.2.1: name servers and no SOA is a referral. Whom we ask should recurse.
        ResponseCode::NoError if none.soa.is_none() && none.ns.is_some() => {
            return Known::temporary("lame: a referral instead of an answer", REFUSAL_KEPT);
        }
        ResponseCode::NoError => Failure::NoRecords,
        code => return Known::temporary(format!("{code}"), REFUSAL_KEPT),
    };
    Known {
        found: Err(failure),
        keep: cache::negative(none.negative_ttl),
    }
}
