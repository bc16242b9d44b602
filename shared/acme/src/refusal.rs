//! The authority's «no», in its own words, and what to do about it.

use std::time::Duration;

use instant_acme::Problem;
use serde::{Deserialize, Serialize};

/// What kind of «no» it is (RFC 8555 §6.7), as far as the remedy differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Too many requests, orders or failures.
    RateLimited,
    /// What stands on port 80 of a name is not our answer; without a name, the account is not
    /// accepted.
    Unauthorized,
    /// A CAA record forbids this authority (RFC 8659).
    Caa,
    /// A name does not resolve for the authority.
    Dns,
    /// The authority cannot connect to port 80 of a name.
    Connection,
    /// The authority gives no certificates for such a name.
    RejectedIdentifier,
    /// The account is not known there any more.
    AccountGone,
    /// The authority knows us by a binding only that we have not (RFC 8555 §7.3.4).
    NeedsBinding,
    /// The contact address is not acceptable.
    BadContact,
    /// The authority is in trouble itself.
    Internal,
    Other,
}

/// The authority said no (RFC 7807, RFC 8555 §6.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// The problem's type as the authority wrote it, without `urn:ietf:params:acme:error:`; at most
    /// 64 characters.
    pub word: String,
    /// The authority's own words; at most 600 characters, without control characters.
    pub detail: String,
    /// The name that it is about, where it says so.
    pub name: Option<String>,
    /// How long it wants to be left alone (`Retry-After`).
    pub retry_after: Option<Duration>,
}

const PREFIX: &str = "urn:ietf:params:acme:error:";
/// A sentence or two; more is not for a log line.
const DETAIL_MOST: usize = 600;
const WORD_MOST: usize = 64;

impl Refusal {
    /// What a problem document says. Of several problems the first is told: the others are names of
    /// the same order.
    pub(crate) fn of(problem: &Problem) -> Self {
        let part = problem.subproblems.first();
        let inner = part.and_then(|part| part.r#type.as_deref());
        // `compound` says no more than that there are several (RFC 8555 §6.7.1).
        let kind = inner.or(problem.r#type.as_deref()).unwrap_or("none");
        let word = kind.strip_prefix(PREFIX).unwrap_or(kind);
        let detail = part.and_then(|part| part.detail.as_deref());
        let detail = detail.or(problem.detail.as_deref()).unwrap_or_default();
        let name = part.and_then(|part| part.identifier.clone());
        Self {
            reason: reason(word),
            word: shortened(word, WORD_MOST),
            detail: shortened(detail, DETAIL_MOST),
            name: name.map(|name| name.authorized(false).to_string()),
            retry_after: None,
        }
    }

    pub(crate) fn about(self, name: &str) -> Self {
        let name = self.name.or_else(|| Some(name.to_owned()));
        Self { name, ..self }
    }

    /// What the operator can do.
    pub fn remedy(&self) -> &'static str {
        match self.reason {
            Reason::RateLimited => {
                "wait: the authority counts orders and failures by name and account, and the next attempt comes when it allows one"
            }
            // A proof has a name; an order that is refused as a whole has none.
            Reason::Unauthorized if self.name.is_none() => {
                "remove acme/account.json, and a new account is made: the authority does not accept this one any more"
            }
            Reason::Unauthorized => {
                "let port 80 of this name reach this process (acme.listen), without a proxy or another server that answers in its place"
            }
            Reason::Caa => {
                "add the authority to the CAA records of this name, or of the domain above it"
            }
            Reason::Dns => {
                "publish the A, AAAA or CNAME record of this name, as `postrider zone` prints it, and wait until resolvers see it"
            }
            Reason::Connection => {
                "open port 80 inward, for IPv4 and, where the name has an AAAA record, for IPv6"
            }
            Reason::RejectedIdentifier => {
                "set service.host and the other domains to names that this authority gives certificates for"
            }
            Reason::AccountGone => "nothing: the next attempt makes a new account",
            Reason::NeedsBinding => {
                "name another authority in acme.directory: this one wants an account of its own to be named, which is not known here"
            }
            Reason::BadContact => {
                "set acme.contact to a mail address that works, or operator.contact"
            }
            Reason::Internal => "wait: the authority is in trouble, and is asked again",
            Reason::Other => "do as the authority says; it is asked again by itself",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the authority refuses ({})", self.word)?;
        if let Some(name) = &self.name {
            write!(f, " for {name}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

fn reason(word: &str) -> Reason {
    match word {
        "rateLimited" => Reason::RateLimited,
        "unauthorized" | "incorrectResponse" => Reason::Unauthorized,
        "caa" => Reason::Caa,
        "dns" => Reason::Dns,
        "connection" | "tls" => Reason::Connection,
        "rejectedIdentifier" | "unsupportedIdentifier" => Reason::RejectedIdentifier,
        "accountDoesNotExist" => Reason::AccountGone,
        "externalAccountRequired" => Reason::NeedsBinding,
        "invalidContact" | "unsupportedContact" => Reason::BadContact,
        "serverInternal" => Reason::Internal,
        _ => Reason::Other,
    }
}

// Foreign text: it goes to logs and terminals.
fn shortened(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Refusal {
        Refusal::of(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_problem_is_told_with_its_words_and_a_remedy() {
        for (word, reason, remedy) in [
            ("rateLimited", Reason::RateLimited, "wait"),
            ("unauthorized", Reason::Unauthorized, "acme.listen"),
            ("incorrectResponse", Reason::Unauthorized, "acme.listen"),
            ("caa", Reason::Caa, "CAA"),
            ("dns", Reason::Dns, "postrider zone"),
            ("connection", Reason::Connection, "port 80"),
            (
                "rejectedIdentifier",
                Reason::RejectedIdentifier,
                "service.host",
            ),
            ("accountDoesNotExist", Reason::AccountGone, "new account"),
            (
                "externalAccountRequired",
                Reason::NeedsBinding,
                "acme.directory",
            ),
            ("invalidContact", Reason::BadContact, "acme.contact"),
            ("serverInternal", Reason::Internal, "asked again"),
            ("userActionRequired", Reason::Other, "as the authority says"),
        ] {
            let json = format!(r#"{{"type":"{PREFIX}{word}","detail":"because","status":403}}"#);
            let refusal = read(&json);
            assert_eq!((refusal.reason, refusal.word.as_str()), (reason, word));
            if reason == Reason::Unauthorized {
                assert!(refusal.remedy().contains("account.json"), "{word}");
            }
            let refusal = refusal.about("relay.example");
            assert!(refusal.remedy().contains(remedy), "{word}");
            let told = refusal.to_string();
            let want = format!("the authority refuses ({word}) for relay.example: because");
            assert_eq!(told, want);
        }
    }

    #[test]
    fn of_several_problems_the_first_is_told() {
        let refusal = read(
            r#"{"type":"urn:ietf:params:acme:error:compound","detail":"several","subproblems":[
                {"type":"urn:ietf:params:acme:error:caa","detail":"no","identifier":{"type":"dns","value":"a.example"}}]}"#,
        );
        assert_eq!(refusal.reason, Reason::Caa);
        assert_eq!(refusal.about("other").name.as_deref(), Some("a.example"));
    }

    #[test]
    fn foreign_words_are_short_and_have_no_control_characters() {
        let detail = "\\u001b[31m".to_owned() + &"x".repeat(5_000);
        let refusal = read(&format!(r#"{{"type":"about:blank","detail":"{detail}"}}"#));
        assert_eq!(refusal.detail.chars().count(), DETAIL_MOST);
        assert!(refusal.detail.starts_with(" [31mx"));
        assert_eq!(read("{}").reason, Reason::Other);
    }
}
