//! What published texts are worth, beside what they should be. Pure.

use postrider_delivery::Network;

use crate::zone::Zone;

/// What is thought of the texts at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Right,
    /// It does what it is for, and could be better.
    Doubtful(String),
    Missing,
    /// There, and wrong in this way.
    Wrong(String),
}

use Judgement::{Doubtful, Missing, Right, Wrong};

fn is_spf(text: &str) -> bool {
    let first = text.split_ascii_whitespace().next();
    first.is_some_and(|word| word.eq_ignore_ascii_case("v=spf1"))
}

/// SPF (RFC 7208) at a name, with all our addresses in it.
pub(super) fn spf(zone: &Zone, texts: &[String]) -> Judgement {
    let records: Vec<_> = texts.iter().filter(|text| is_spf(text)).collect();
    let record = match records.as_slice() {
        [] => return nearly_spf(texts),
        [one] => one.to_ascii_lowercase(),
        several => {
            let several: Vec<_> = several.iter().map(|text| format!("«{text}»")).collect();
            return Wrong(format!(
                "there are {} SPF records, and with more than one none of them counts (RFC 7208 §4.5): {}",
                several.len(),
                several.join(" and ")
            ));
        }
    };
    let mut terms: Vec<_> = record.split_ascii_whitespace().skip(1).collect();
    if let Some(bad) = terms.iter().find(|term| !is_term(term)) {
        return Wrong(format!(
            "«{record}» is no SPF record, for «{bad}» is not a term of one: nothing in it counts (RFC 7208 §4.6)"
        ));
    }
    // RFC 7208 §5.1: what stands behind it is not looked at.
    if let Some(end) = terms.iter().position(|term| mechanism(term) == "all") {
        terms.truncate(end + 1);
    }
    let networks: Vec<Network> = terms.iter().filter_map(|term| network(term)).collect();
    let is_named = |ip| networks.iter().any(|network| network.contains(ip));
    let missing: Vec<_> = zone.addresses.iter().filter(|ip| !is_named(**ip)).collect();
    if terms.contains(&"+all") || terms.contains(&"all") {
        return Wrong(format!("«{record}» lets everybody send in its name"));
    }
    if missing.is_empty() {
        return Right;
    }
    let missing = missing.iter().map(ToString::to_string);
    let missing = missing.collect::<Vec<_>>().join(", ");
    let leads_on = ["include:", "redirect=", "exists:", "a", "mx"];
    let leads_on = |term: &&str| {
        let word = term.trim_start_matches('+');
        leads_on.iter().any(|lead| match *lead {
            "a" | "mx" => word.split([':', '/']).next() == Some(*lead),
            lead => word.starts_with(lead),
        })
    };
    if terms.iter().any(leads_on) {
        Doubtful(format!(
            "«{record}» names other records, so it is not known whether {missing} may send"
        ))
    } else {
        Wrong(format!("«{record}» does not name {missing}"))
    }
}

fn mechanism(term: &str) -> &str {
    term.strip_prefix(['+', '-', '~', '?']).unwrap_or(term)
}

/// RFC 7208 §4.6.1, in lower case: a mechanism, or a modifier, which may be an unknown one.
fn is_term(term: &str) -> bool {
    let word = mechanism(term);
    let name = word.split([':', '/', '=']).next().unwrap_or_default();
    let rest = word.strip_prefix(name).unwrap_or_default();
    if rest.starts_with('=') {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        return word == term
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(is_of_name);
    }
    match name {
        "all" => rest.is_empty(),
        "a" | "mx" | "ptr" => true,
        "include" | "exists" => rest.len() > 1,
        "ip4" | "ip6" => rest
            .strip_prefix(':')
            .and_then(|range| range.parse::<Network>().ok())
            .is_some_and(|network| network.is_ipv4() == (name == "ip4")),
        _ => false,
    }
}

fn network(term: &str) -> Option<Network> {
    let term = term.trim_start_matches('+');
    let range = term
        .strip_prefix("ip4:")
        .or_else(|| term.strip_prefix("ip6:"))?;
    range.parse().ok()
}

fn nearly_spf(texts: &[String]) -> Judgement {
    let nearly = |text: &&String| text.to_ascii_lowercase().contains("spf1");
    match texts.iter().find(nearly) {
        Some(text) => Wrong(format!(
            "«{text}» is not read as SPF: it must begin with v=spf1 and a space, without quotes"
        )),
        None => Missing,
    }
}

// As providers' forms break it: quotes and spaces that were meant to divide strings.
fn bare(text: &str) -> String {
    let keep = |c: &char| !c.is_whitespace() && !matches!(c, '"' | '\\');
    text.chars().filter(keep).collect()
}

/// A signing key (RFC 6376 §3.6) at its name.
pub(super) fn dkim(wanted: &str, texts: &[String]) -> Judgement {
    let bare_wanted = bare(wanted);
    let is_whole = |text: &&String| without_space(text) == without_space(wanted);
    let keys: Vec<_> = texts
        .iter()
        .filter(|text| !text.trim().is_empty())
        .collect();
    match keys.as_slice() {
        [] => Missing,
        [one] if is_whole(one) => Right,
        [one] if bare(one) == bare_wanted => Wrong(
            "the key is split wrongly: the quotes or backslashes between its strings became part of it"
                .to_owned(),
        ),
        [one] if bare_wanted.starts_with(&bare(one)) => Wrong(format!(
            "the key is cut off after {} of {} characters",
            one.len(),
            wanted.len()
        )),
        [one] => Wrong(format!("another key is there: {}", beginning(one))),
        several if joined_somehow(several, &bare_wanted) => Wrong(format!(
            "the key is split wrongly: its {} strings are records of their own, and must be strings of one record",
            several.len()
        )),
        several => Wrong(format!(
            "there are {} records, and which of them is read is chance (RFC 6376 §3.6.2.2); {} is ours",
            several.len(),
            if several.iter().any(is_whole) { "one" } else { "none" }
        )),
    }
}

fn without_space(text: &str) -> String {
    text.split_ascii_whitespace().collect()
}

fn joined_somehow(parts: &[&String], wanted: &str) -> bool {
    let bare: Vec<_> = parts.iter().map(|part| bare(part)).collect();
    let length: usize = bare.iter().map(String::len).sum();
    length == wanted.len() && bare.iter().all(|part| wanted.contains(part.as_str()))
}

fn beginning(text: &str) -> String {
    let begin: String = text.chars().take(60).collect();
    if begin.len() < text.len() {
        format!("«{begin}…»")
    } else {
        format!("«{begin}»")
    }
}

/// Whether a text is meant as DMARC.
pub(super) fn is_dmarc(text: &str) -> bool {
    let tag = text.split(';').next().unwrap_or_default();
    without_space(tag).eq_ignore_ascii_case("v=DMARC1")
}

/// DMARC (RFC 7489 §6.3) at its name.
pub(super) fn dmarc(zone: &Zone, texts: &[String]) -> Judgement {
    let records: Vec<_> = texts.iter().filter(|text| is_dmarc(text)).collect();
    let record = match records.as_slice() {
        [] => {
            let nearly = |text: &&String| text.to_ascii_lowercase().contains("dmarc1");
            return match texts.iter().find(nearly) {
                Some(text) => Wrong(format!(
                    "«{text}» is not read: it must begin with v=DMARC1;"
                )),
                None => Missing,
            };
        }
        [one] => *one,
        several => {
            return Wrong(format!(
                "there are {} DMARC records, and with more than one none of them counts (RFC 7489 §6.6.3)",
                several.len()
            ));
        }
    };
    match tag(record, "p").as_deref() {
        Some("none" | "quarantine" | "reject") => {
            reports(zone, record, tag(record, "rua").as_deref())
        }
        Some(other) => Wrong(format!(
            "«{record}» has the policy «{other}», which there is not"
        )),
        None => Wrong(format!("«{record}» has no policy (p)")),
    }
}

/// Whether the reports that a record asks for are wanted, and go to where somebody may read them.
fn reports(zone: &Zone, record: &str, rua: Option<&str>) -> Judgement {
    let Some(rua) = rua else {
        return match zone.reports {
            Some(_) => Doubtful(format!("«{record}» asks for no reports (rua)")),
            None => Right,
        };
    };
    unread(zone, record, rua).map_or(Right, Doubtful)
}

/// Where reports go to ourselves, that nobody reads them.
fn unread(zone: &Zone, record: &str, rua: &str) -> Option<String> {
    let is_ours = |uri: &&str| {
        // A size may stand behind the address (RFC 7489 §6.2).
        let address = uri.split('!').next().unwrap_or(uri);
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        let mut own = zone.receiving().into_iter();
        own.any(|own| own.as_str() == domain.trim())
    };
    let uri = rua.split(',').find(is_ours)?;
    Some(format!(
        "«{record}» has reports sent to {uri}, whose mail comes to this relay and is put off: nobody reads them"
    ))
}

/// What is wrong with a record for TLS reports (RFC 8460 §3) where none is asked for.
pub(super) fn tls_reports(zone: &Zone, texts: &[String]) -> Option<String> {
    let asks = |text: &&String| {
        text.trim_start()
            .to_ascii_lowercase()
            .starts_with("v=tlsrptv1")
    };
    let told = |text: &String| unread(zone, text, &tag(text, "rua")?);
    texts.iter().filter(asks).find_map(told)
}

/// Whether reports about another's domain may come there: one record that says so is enough, whatever else
/// is in it or beside it (RFC 7489 §7.1).
pub(super) fn takes_reports(texts: &[String]) -> Judgement {
    let is_there = texts.iter().any(|text| is_dmarc(text));
    if is_there { Right } else { Missing }
}

/// A tag's value in a record of such, in lower case.
fn tag(record: &str, name: &str) -> Option<String> {
    let mut tags = record.split(';').filter_map(|tag| tag.split_once('='));
    let found = tags.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
