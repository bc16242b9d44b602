//! Reads command lines (RFC 5321 §4.1.1): first which command, then, once it may come, its
//! arguments.

use postrider_model::{AddressError, EmailAddress};

use crate::{Refusal, path};

/// Which command a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
    /// Known, and not offered here.
    NotOffered(&'static str),
    /// The request line of another protocol; browsers can be made to send those anywhere.
    Http,
    Unknown,
}

const NOT_OFFERED: [&str; 14] = [
    "BDAT", "LHLO", "EXPN", "ETRN", "ATRN", "TURN", "BURL", "SEND", "SOML", "SAML", "XCLIENT",
    "XFORWARD", "XEXCH50", "XTEXT",
];

const HTTP: [&str; 10] = [
    "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE", "PRI",
];

impl Verb {
    /// The command, in upper case, and what follows it.
    pub(crate) fn of(line: &[u8]) -> (Self, &[u8]) {
        let line = line.trim_ascii();
        let end = line
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric())
            .unwrap_or(line.len());
        let (word, rest) = line.split_at(end);
        (Self::named(word, rest), rest)
    }

    fn named(word: &[u8], rest: &[u8]) -> Self {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let verb = match word.len() {
            4 if is("EHLO") => Self::Ehlo,
            4 if is("HELO") => Self::Helo,
            4 if is("AUTH") => Self::Auth,
            4 if is("MAIL") => Self::Mail,
            4 if is("RCPT") => Self::Rcpt,
            4 if is("DATA") => Self::Data,
            4 if is("RSET") => Self::Rset,
            4 if is("NOOP") => Self::Noop,
            4 if is("VRFY") => Self::Vrfy,
            4 if is("HELP") => Self::Help,
            4 if is("QUIT") => Self::Quit,
            8 if is("STARTTLS") => Self::StartTls,
            _ => match NOT_OFFERED.iter().find(|name| is(name)) {
                Some(name) => Self::NotOffered(name),
                // HTTP has its verbs in upper case only (RFC 9110 §9.1).
                None if rest.starts_with(b" ")
                    && HTTP.iter().any(|name| word == name.as_bytes()) =>
                {
                    return Self::Http;
                }
                None => return Self::Unknown,
            },
        };
        // `Data: x` and `Mail-Followup-To: x` are no commands.
        if matches!(rest.first(), None | Some(b' ' | b'\t')) {
            verb
        } else {
            Self::Unknown
        }
    }
}

/// The sender and what is said about the content (MAIL).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub from: Sender,
    /// What the client says the content will be long, in bytes (RFC 1870).
    pub size: Option<u64>,
    pub body: Body,
    /// Said by some programs on every message: a permission, not a need.
    pub smtputf8: bool,
}

/// Who the envelope says the mail is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// `<>`.
    Null,
    Address(EmailAddress),
    /// Not an address we can read, as given: `root`, `joe@[192.0.2.1]`.
    Other(String),
}

/// What the client says of the content's bytes (RFC 6152).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    #[default]
    SevenBit,
    EightBit,
}

/// Reads what follows MAIL.
pub(crate) fn mail(arguments: &[u8]) -> Result<Mail, Refusal> {
    let text = String::from_utf8_lossy(arguments);
    let path = path::read("FROM", &text).ok_or(Refusal::Sender)?;
    let mut mail = Mail {
        from: sender(path.address),
        size: None,
        body: Body::default(),
        smtputf8: false,
    };
    for parameter in path.parameters.split_ascii_whitespace() {
        mail.take(parameter)?;
    }
    Ok(mail)
}

fn sender(address: &str) -> Sender {
    if address.is_empty() {
        return Sender::Null;
    }
    EmailAddress::parse(address).map_or_else(|_| Sender::Other(address.to_owned()), Sender::Address)
}

impl Mail {
    fn take(&mut self, parameter: &str) -> Result<(), Refusal> {
        let (name, value) = parameter
            .split_once('=')
            .map_or((parameter, None), |(name, value)| (name, Some(value)));
        let name = name.to_ascii_uppercase();
        let known = match (name.as_str(), value) {
            ("SIZE", Some(digits)) => size(digits).map(|size| self.size = Some(size)),
            ("BODY", Some(body)) => read_body(body).map(|body| self.body = body),
            ("SMTPUTF8", None) => {
                self.smtputf8 = true;
                Some(())
            }
            // RFC 4954 §5: who offers AUTH takes this, and need not believe it.
            ("AUTH", Some(_)) => Some(()),
            ("SIZE" | "BODY" | "SMTPUTF8" | "AUTH", _) => None,
            _ => return Err(unknown_parameter("MAIL", &name)),
        };
        known.ok_or(Refusal::ParameterValue {
            command: "MAIL",
            name,
        })
    }
}

// A number that does not fit is larger than anything we take.
fn size(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn read_body(value: &str) -> Option<Body> {
    if value.eq_ignore_ascii_case("7BIT") {
        Some(Body::SevenBit)
    } else if value.eq_ignore_ascii_case("8BITMIME") {
        Some(Body::EightBit)
    } else {
        None
    }
}

/// Reads what follows RCPT.
pub(crate) fn recipient(arguments: &[u8]) -> Result<EmailAddress, Refusal> {
    // Never mended: with a replaced letter it would be another mailbox.
    let text = std::str::from_utf8(arguments)
        .map_err(|_| Refusal::Recipient(AddressError::BadCharacter('\u{fffd}')))?;
    let path = path::read("TO", text).ok_or(Refusal::RecipientForm)?;
    let address = EmailAddress::parse(path.address).map_err(Refusal::Recipient)?;
    match path.parameters.split_ascii_whitespace().next() {
        None => Ok(address),
        Some(parameter) => {
            let name = parameter.split('=').next().unwrap_or(parameter);
            Err(unknown_parameter("RCPT", &name.to_ascii_uppercase()))
        }
    }
}

fn unknown_parameter(command: &'static str, name: &str) -> Refusal {
    Refusal::Parameter {
        command,
        name: name.chars().take(32).collect(),
    }
}

#[cfg(test)]
mod tests;
