//! What the session refuses by itself. The words are the catalogue's at the door.

use postrider_model::{AddressError, EnhancedCode};

/// Why a line was refused without asking anybody. Each has the code and enhanced code the RFCs
/// give it; the sentence that a person reads, with its stable id, is the door's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An HTTP request line. The session is closed: what follows is not ours to read.
    Http,
    /// MAIL, RCPT or DATA in plain text (RFC 3207 §4).
    TlsRequired,
    /// AUTH in plain text (RFC 4954 §4, §6).
    AuthNeedsTls,
    /// STARTTLS where no certificate is configured.
    TlsUnavailable,
    /// STARTTLS under TLS.
    TlsAlready,
    /// Bytes behind STARTTLS in plain text (CVE-2011-0411): the session is closed.
    BehindStartTls,
    /// MAIL, RCPT or DATA under TLS by nobody in particular.
    AuthRequired,
    /// AUTH without a mechanism.
    NoMechanism,
    /// A mechanism that is not offered; named where it is a known one.
    Mechanism(Option<&'static str>),
    /// An answer that is not base64.
    Base64,
    /// An answer to PLAIN that is not identity, NUL, user, NUL, password (RFC 4616).
    PlainForm,
    /// PLAIN in the name of somebody else than the user.
    OtherIdentity,
    /// A user name and an empty password.
    NoPassword,
    /// `*` instead of an answer.
    SignInCancelled,
    /// A second AUTH after a good one (RFC 4954 §4).
    SignedInAlready,
    /// AUTH after `Limits::sign_ins` refused ones: the session is closed.
    TooManySignIns,
    /// AUTH or MAIL before EHLO or HELO, also when it was said before STARTTLS.
    NoHello,
    /// MAIL or AUTH inside a transaction.
    MailOpen,
    /// RCPT or DATA without a sender that was taken.
    NoMail,
    /// DATA without a recipient that was taken.
    NoRecipients,
    /// MAIL without a readable `FROM:<…>`.
    Sender,
    /// RCPT without a readable `TO:<…>`.
    RecipientForm,
    /// A recipient that is no address; `AddressError::Empty` is `TO:<>`.
    Recipient(AddressError),
    /// A parameter of MAIL or RCPT that is not offered, its name in upper case.
    Parameter {
        command: &'static str,
        name: String,
    },
    /// A parameter that is offered, with a value that it cannot have.
    ParameterValue {
        command: &'static str,
        name: String,
    },
    /// One recipient more than a message may have.
    TooManyRecipients {
        most: usize,
    },
    /// Over the size, announced by `SIZE=` or counted while it came in.
    TooLarge {
        most: u64,
    },
    UnknownCommand,
    /// A command that others have and we do not. After BDAT the session is closed: what follows
    /// it is content.
    NotOffered(&'static str),
    /// An argument where the command has none.
    Argument(&'static str),
    /// A command line over its limit. A line past 64 KiB ends the session.
    LineTooLong {
        most: usize,
    },
    /// Pipelined lines that end in a bare LF: the session is closed.
    BareLineFeed,
    /// A bare CR, NUL or another control character in a command.
    ControlCharacters,
    /// Content although DATA was refused: the session is closed, for content must never be taken
    /// for commands.
    ContentUnasked,
    /// More errors than `Limits::errors`: the session is closed.
    TooManyErrors,
}

impl Refusal {
    /// The reply code.
    pub fn code(&self) -> u16 {
        match self {
            Self::TooManySignIns | Self::TooManyErrors => 421,
            Self::TooManyRecipients { .. } => 452,
            Self::TlsUnavailable => 454,
            // RFC 5321 §4.3.2: a line that is too long or unreadable is 500, not 501.
            Self::UnknownCommand
            | Self::LineTooLong { .. }
            | Self::BareLineFeed
            | Self::ControlCharacters => 500,
            Self::NoMechanism
            | Self::Base64
            | Self::PlainForm
            | Self::SignInCancelled
            | Self::Sender
            | Self::RecipientForm
            | Self::Recipient(_)
            | Self::ParameterValue { .. }
            | Self::Argument(_) => 501,
            Self::NotOffered(_) => 502,
            Self::TlsAlready
            | Self::SignedInAlready
            | Self::NoHello
            | Self::MailOpen
            | Self::NoMail => 503,
            Self::Mechanism(_) => 504,
            Self::TlsRequired | Self::AuthRequired => 530,
            Self::OtherIdentity | Self::NoPassword => 535,
            Self::AuthNeedsTls => 538,
            Self::TooLarge { .. } => 552,
            Self::Http | Self::BehindStartTls | Self::NoRecipients | Self::ContentUnasked => 554,
            Self::Parameter { .. } => 555,
        }
    }

    /// The enhanced code (RFC 3463, RFC 4954 §6).
    pub fn enhanced(&self) -> EnhancedCode {
        match self {
            Self::TooManySignIns | Self::TooManyErrors | Self::TlsUnavailable => {
                EnhancedCode(4, 7, 0)
            }
            Self::TooManyRecipients { .. } => EnhancedCode(4, 5, 3),
            Self::TlsRequired | Self::AuthRequired | Self::SignInCancelled => EnhancedCode(5, 7, 0),
            Self::AuthNeedsTls => EnhancedCode(5, 7, 11),
            Self::OtherIdentity | Self::NoPassword => EnhancedCode(5, 7, 8),
            Self::Sender => EnhancedCode(5, 1, 7),
            Self::Recipient(_) => EnhancedCode(5, 1, 3),
            Self::TooLarge { .. } => EnhancedCode(5, 3, 4),
            Self::Http | Self::BehindStartTls | Self::ContentUnasked => EnhancedCode(5, 5, 0),
            Self::Base64
            | Self::PlainForm
            | Self::LineTooLong { .. }
            | Self::BareLineFeed
            | Self::ControlCharacters => EnhancedCode(5, 5, 2),
            Self::NoMechanism
            | Self::Mechanism(_)
            | Self::RecipientForm
            | Self::Parameter { .. }
            | Self::ParameterValue { .. }
            | Self::Argument(_) => EnhancedCode(5, 5, 4),
            Self::TlsAlready
            | Self::SignedInAlready
            | Self::NoHello
            | Self::MailOpen
            | Self::NoMail
            | Self::NoRecipients
            | Self::UnknownCommand
            | Self::NotOffered(_) => EnhancedCode(5, 5, 1),
        }
    }

    /// True where nothing more may be read from this client.
    pub(crate) fn closes(&self) -> bool {
        matches!(
            self,
            Self::Http
                | Self::BehindStartTls
                | Self::TooManySignIns
                | Self::NotOffered("BDAT")
                | Self::BareLineFeed
                | Self::ContentUnasked
                | Self::TooManyErrors
        )
    }

    /// True where it counts towards `Limits::errors`. A list of recipients may have any number of
    /// bad ones in it, and a size is no mistake in the protocol.
    pub(crate) fn counts(&self) -> bool {
        !matches!(
            self,
            Self::Recipient(_)
                | Self::TooManyRecipients { .. }
                | Self::TooLarge { .. }
                | Self::NoRecipients
        )
    }
}
