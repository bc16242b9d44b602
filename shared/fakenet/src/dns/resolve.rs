//! From a question to the records of its answer, over aliases. No network here.

use std::net::IpAddr;
use std::time::Duration;

use hickory_server::proto::op::ResponseCode;
use hickory_server::proto::rr::rdata::{CNAME, MX, SOA, TXT};
use hickory_server::proto::rr::{Name, RData, Record};

use super::{Answer, Book, Kind};

/// RFC 1034 §3.6.2 sets no bound on a chain of aliases; a loop needs one.
const LONGEST_CHAIN: usize = 16;

/// What goes back, and how.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) code: ResponseCode,
    pub(super) records: Vec<Record>,
    /// For the authority section where there are no records (RFC 2308 §2).
    pub(super) soa: Option<Record>,
    pub(super) delay: Duration,
    pub(super) manner: Manner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Honest,
    Truncated,
    WrongId,
    WrongQuestion,
    Garbage,
    Silence,
}

/// Answers the question; `usual` says what holds where the book says nothing.
pub(super) fn resolve(
    book: &Book,
    usual: impl Fn(&str, Kind) -> Answer,
    asked: &Name,
    kind: Kind,
) -> Resolved {
    let mut resolved = Resolved {
        code: ResponseCode::NoError,
        records: Vec::new(),
        soa: None,
        delay: Duration::ZERO,
        manner: Manner::Honest,
    };
    let mut owner = asked.clone();
    for _ in 0..LONGEST_CHAIN {
        let name = super::text(&owner);
        let answer = unwrap(book.take(&name, kind), &mut resolved);
        let answer = match answer {
            Answer::Usual => usual(&name, kind),
            answer => answer,
        };
        let ttl = book.ttl(&name);
        let Answer::Alias(target) = answer else {
            conclude(&mut resolved, answer, kind, &owner, ttl);
            return resolved;
        };
        let Ok(target) = Name::from_ascii(format!("{target}.")) else {
            resolved.code = ResponseCode::ServFail;
            return resolved;
        };
        let alias = RData::CNAME(CNAME(target.clone()));
        resolved.records.push(Record::from_rdata(owner, ttl, alias));
        if kind == Kind::Cname {
            return resolved;
        }
        owner = target;
    }
    resolved
}

// Takes off what says how to answer, until only what to answer is left.
fn unwrap(mut answer: Answer, resolved: &mut Resolved) -> Answer {
    loop {
        let (manner, inner) = match answer {
            Answer::Slow(span, inner) => {
                resolved.delay += span;
                answer = *inner;
                continue;
            }
            Answer::Truncated(inner) => (Manner::Truncated, inner),
            Answer::WrongId(inner) => (Manner::WrongId, inner),
            Answer::WrongQuestion(inner) => (Manner::WrongQuestion, inner),
            answer => return answer,
        };
        resolved.manner = manner;
        answer = *inner;
    }
}

fn conclude(resolved: &mut Resolved, answer: Answer, kind: Kind, owner: &Name, ttl: u32) {
    match answer {
        Answer::NxDomain => resolved.code = ResponseCode::NXDomain,
        Answer::ServFail => resolved.code = ResponseCode::ServFail,
        Answer::Refused => resolved.code = ResponseCode::Refused,
        Answer::Silence => resolved.manner = Manner::Silence,
        Answer::Garbage => resolved.manner = Manner::Garbage,
        answer => {
            let data = data(answer, kind).into_iter();
            let records = data.map(|data| Record::from_rdata(owner.clone(), ttl, data));
            resolved.records.extend(records);
        }
    }
    let negative = matches!(
        resolved.code,
        ResponseCode::NoError | ResponseCode::NXDomain
    );
    if negative && resolved.records.is_empty() {
        let soa = SOA::new(owner.clone(), owner.clone(), 1, 60, 60, 60, ttl);
        resolved.soa = Some(Record::from_rdata(owner.clone(), ttl, RData::SOA(soa)));
    }
}

fn data(answer: Answer, kind: Kind) -> Vec<RData> {
    match (answer, kind) {
        (Answer::Addresses(all), Kind::A | Kind::Aaaa) => all
            .into_iter()
            .filter_map(|ip| match (ip, kind) {
                (IpAddr::V4(ip), Kind::A) => Some(RData::A(ip.into())),
                (IpAddr::V6(ip), Kind::Aaaa) => Some(RData::AAAA(ip.into())),
                _ => None,
            })
            .collect(),
        (Answer::Exchangers(hosts), Kind::Mx) => hosts
            .into_iter()
            .filter_map(|(preference, host)| {
                let dot = if host.ends_with('.') { "" } else { "." };
                let host = Name::from_ascii(format!("{host}{dot}")).ok()?;
                Some(RData::MX(MX::new(preference, host)))
            })
            .collect(),
        (Answer::Texts(texts), Kind::Txt) => {
            texts.iter().map(|text| RData::TXT(txt(text))).collect()
        }
        _ => Vec::new(),
    }
}

// RFC 1035 §3.3.14: a TXT record is one or more strings of at most 255 octets.
fn txt(text: &str) -> TXT {
    let strings: Vec<&[u8]> = text.as_bytes().chunks(255).collect();
    TXT::from_bytes(if strings.is_empty() {
        vec![&[]]
    } else {
        strings
    })
}
