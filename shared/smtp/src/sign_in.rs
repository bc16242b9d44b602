//! AUTH PLAIN and AUTH LOGIN with all that real programs make of them (RFC 4954, RFC 4616).

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::Refusal;

/// A user name and a password as a client gave them, white space around them taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub mechanism: Mechanism,
    pub user: String,
    pub password: Password,
}

/// The mechanisms that are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    Login,
}

/// A password; never printed, never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// An exchange that waits for the client's next answer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Exchange {
    Plain,
    LoginUser,
    LoginPassword { user: String },
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Passwords are typed into the wrong box.
        f.write_str("Exchange(…)")
    }
}

/// How an exchange goes on.
pub(crate) enum Step {
    Ask(Exchange),
    Done(SignIn),
}

// Mechanisms by their IANA names that people choose in forms; one of them may be named back.
const KNOWN: [&str; 17] = [
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "NTLM",
    "XOAUTH2",
    "OAUTHBEARER",
    "XOAUTH",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-512",
    "GSSAPI",
    "EXTERNAL",
    "ANONYMOUS",
    "KERBEROS_V4",
];

// Some programs leave the padding out, some write it twice, some break the lines.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What follows AUTH: the mechanism, and the initial response or nothing.
pub(crate) fn cut(arguments: &[u8]) -> (&[u8], &[u8]) {
    let arguments = arguments.trim_ascii();
    let end = arguments
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(arguments.len());
    let (mechanism, initial) = arguments.split_at(end);
    (mechanism, initial.trim_ascii())
}

/// The name of a mechanism that is a known one. Any other word may be a secret in the wrong place.
pub(crate) fn known(mechanism: &[u8]) -> Option<&'static str> {
    KNOWN
        .into_iter()
        .find(|name| mechanism.eq_ignore_ascii_case(name.as_bytes()))
}

/// Reads what follows AUTH.
pub(crate) fn begin(arguments: &[u8]) -> Result<Step, Refusal> {
    let (mechanism, initial) = cut(arguments);
    match known(mechanism) {
        // `=` is an empty response (RFC 4954 §4); in PLAIN it can only mean «ask me».
        Some("PLAIN") if matches!(initial, b"" | b"=") => Ok(Step::Ask(Exchange::Plain)),
        Some("PLAIN") => Exchange::Plain.answered(initial),
        Some("LOGIN") if initial.is_empty() => Ok(Step::Ask(Exchange::LoginUser)),
        Some("LOGIN") => Exchange::LoginUser.answered(initial),
        _ if mechanism.is_empty() => Err(Refusal::NoMechanism),
        other => Err(Refusal::Mechanism(other)),
    }
}

impl Exchange {
    /// The challenge, in base64, as it stands behind 334.
    pub(crate) fn challenge(&self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::LoginUser => "VXNlcm5hbWU6", // Username:
            Self::LoginPassword { .. } => "UGFzc3dvcmQ6", // Password:
        }
    }

    /// Reads the client's answer.
    pub(crate) fn answered(self, answer: &[u8]) -> Result<Step, Refusal> {
        if answer.trim_ascii() == b"*" {
            return Err(Refusal::SignInCancelled);
        }
        let plain = decode(answer)?;
        match self {
            Self::Plain => read_plain(&plain).map(Step::Done),
            Self::LoginUser => Ok(Step::Ask(Self::LoginPassword { user: text(&plain) })),
            Self::LoginPassword { user } => sign_in(Mechanism::Login, user, &plain).map(Step::Done),
        }
    }
}

// RFC 4616 §2: [authzid] NUL authcid NUL passwd.
fn read_plain(plain: &[u8]) -> Result<SignIn, Refusal> {
    let mut parts = plain.splitn(3, |&byte| byte == 0);
    let (Some(identity), Some(user), Some(password)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::PlainForm);
    };
    let (identity, user) = (text(identity), text(user));
    // JavaMail and Perl name the user twice.
    if !identity.is_empty() && identity != user {
        return Err(Refusal::OtherIdentity);
    }
    sign_in(Mechanism::Plain, user, password)
}

fn sign_in(mechanism: Mechanism, user: String, password: &[u8]) -> Result<SignIn, Refusal> {
    let password = text(password);
    if password.is_empty() {
        return Err(Refusal::NoPassword);
    }
    Ok(SignIn {
        mechanism,
        user,
        password: Password(password),
    })
}

fn decode(answer: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut packed: Vec<u8> = answer
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    // Padding says nothing that the length does not.
    while packed.last() == Some(&b'=') {
        packed.pop();
    }
    BASE64.decode(packed).map_err(|_| Refusal::Base64)
}

// What is not UTF-8 is Latin-1 to the programs that send it. Copied passwords bring line ends and
// a closing NUL along.
fn text(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).map_or_else(
        |_| bytes.iter().copied().map(char::from).collect(),
        str::to_owned,
    );
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\0' | '\u{feff}' | '\u{200b}'))
        .to_owned()
}

#[cfg(test)]
mod tests;
