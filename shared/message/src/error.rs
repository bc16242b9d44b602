//! Why a message is refused.

/// Why a message cannot be taken as it is. The text names the field or line and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error(
        "line {line} of the header is not a field (\"Name: value\"); put an empty line before the body"
    )]
    NotAHeader { line: usize },
    #[error("the header is larger than {most} bytes; shorten it")]
    HeaderTooLarge { most: usize },
    #[error("the header has more than {most} fields; remove some")]
    TooManyFields { most: usize },
    #[error("line {line}, in a header, holds a NUL byte; remove it")]
    Nul { line: usize },
    #[error("the message has more than one {field} field; RFC 5322 section 3.6 allows one")]
    Duplicate { field: String },
    #[error("the From field is a group; give one mailbox, as in \"Ann <ann@example.org>\"")]
    FromGroup,
    #[error(
        "the From field holds no usable address ({reason}); give one mailbox, as in \"Ann <ann@example.org>\""
    )]
    BadFrom { reason: String },
    #[error("MIME parts are nested deeper than {most} levels; send a flatter message")]
    TooDeep { most: usize },
    #[error("the message has more than {most} MIME parts; send fewer")]
    TooManyParts { most: usize },
    #[error("the message has passed {hops} hosts, {most} is the most: it is in a loop")]
    Loop { hops: usize, most: usize },
    #[error(
        "the {field} field holds bytes that are not UTF-8; encode them by RFC 2047 or send UTF-8"
    )]
    NotUtf8 { field: String },
    #[error("the {field} field holds characters outside ASCII where none may stand; remove them")]
    NotAscii { field: String },
    #[error("the {field} field has a line over 998 bytes that cannot be folded; shorten it")]
    LongHeaderLine { field: String },
    #[error(
        "a signed or encrypted part holds 8-bit text or a line over 998 bytes, and changing it would break it; encode it as quoted-printable or base64 before signing"
    )]
    Sealed,
    #[error(
        "a part with the transfer encoding {encoding:?} holds 8-bit text or a line over 998 bytes; send it as quoted-printable or base64"
    )]
    Encoding { encoding: String },
    #[error(
        "a multipart body cannot be read (no boundary is given or none is found) and holds 8-bit text or a line over 998 bytes; correct its boundary"
    )]
    NoBoundary,
}

impl MessageError {
    /// The enhanced status code for an SMTP reply, RFC 3463 §3.
    pub fn enhanced(&self) -> &'static str {
        match self {
            // X.3.4: message too big for system.
            Self::HeaderTooLarge { .. } | Self::TooManyFields { .. } => "5.3.4",
            // X.4.6: routing loop detected.
            Self::Loop { .. } => "5.4.6",
            // X.6.3: conversion required but not supported.
            Self::Sealed | Self::Encoding { .. } | Self::NoBoundary => "5.6.3",
            // X.6.0: other or undefined media error.
            Self::NotAHeader { .. }
            | Self::Nul { .. }
            | Self::Duplicate { .. }
            | Self::FromGroup
            | Self::BadFrom { .. }
            | Self::TooDeep { .. }
            | Self::TooManyParts { .. }
            | Self::NotUtf8 { .. }
            | Self::NotAscii { .. }
            | Self::LongHeaderLine { .. } => "5.6.0",
        }
    }
}
