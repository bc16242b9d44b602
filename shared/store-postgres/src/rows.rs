//! Stored cells to model types and back. What does not parse is `Corrupt`, never a default.

use std::borrow::Cow;
use std::str::FromStr;

use postrider_model::{
    AdminTokenId, AuditId, ControlId, CredentialId, DkimKeyId, Domain, EmailAddress, EnhancedCode,
    MessageId, NodeId, RecipientId, Reply, ReplyAddressId, SuppressionId, TenantId, VendorId,
};
use uuid::Uuid;

use crate::fault::Fault;

/// An id as PostgreSQL keeps it.
pub(crate) trait Id: Copy {
    fn uuid(self) -> Uuid;
    fn of(uuid: Uuid) -> Self;
}

macro_rules! ids {
    ($($name:ident),+) => {
        $(impl Id for $name {
            fn uuid(self) -> Uuid {
                Uuid::from_bytes(*self.as_bytes())
            }

            fn of(uuid: Uuid) -> Self {
                Self::from_bytes(uuid.into_bytes())
            }
        })+
    };
}

ids!(
    TenantId,
    MessageId,
    RecipientId,
    CredentialId,
    ReplyAddressId,
    DkimKeyId,
    NodeId,
    ControlId,
    SuppressionId,
    VendorId,
    AdminTokenId,
    AuditId
);

pub(crate) fn uuids<I: Id>(ids: &[I]) -> Vec<Uuid> {
    ids.iter().map(|id| id.uuid()).collect()
}

/// Where a cell stands, to name it when it does not parse.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) table: &'static str,
    /// The row's key.
    pub(crate) id: Uuid,
}

impl Place {
    /// Passes what parsed, and names the cell that did not.
    pub(crate) fn cell<T, E>(self, column: &'static str, parsed: Result<T, E>) -> Result<T, Fault> {
        parsed.map_err(|_| self.corrupt(column))
    }

    pub(crate) fn corrupt(self, column: &'static str) -> Fault {
        Fault::Corrupt {
            table: self.table,
            column,
            id: self.id.to_string(),
        }
    }

    pub(crate) fn hash(self, column: &'static str, bytes: &[u8]) -> Result<[u8; 32], Fault> {
        self.cell(column, bytes.try_into())
    }

    pub(crate) fn address(self, column: &'static str, text: &str) -> Result<EmailAddress, Fault> {
        self.cell(column, EmailAddress::parse(text))
    }

    pub(crate) fn domain(self, column: &'static str, text: &str) -> Result<Domain, Fault> {
        self.cell(column, Domain::parse(text))
    }

    pub(crate) fn number<T: TryFrom<i64>>(
        self,
        column: &'static str,
        number: i64,
    ) -> Result<T, Fault> {
        self.cell(column, T::try_from(number))
    }

    pub(crate) fn parsed<T: FromStr>(self, column: &'static str, text: &str) -> Result<T, Fault> {
        self.cell(column, T::from_str(text))
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(
        self,
        column: &'static str,
        text: &str,
    ) -> Result<T, Fault> {
        self.cell(column, serde_json::from_str(text))
    }

    /// A cell that may be NULL.
    pub(crate) fn given<T, E>(
        self,
        column: &'static str,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Fault> {
        text.map(|text| self.cell(column, parse(text))).transpose()
    }

    pub(crate) fn reply(self, cells: ReplyCells) -> Result<Option<Reply>, Fault> {
        let Some(code) = cells.code else {
            return Ok(None);
        };
        let enhanced = match &cells.enhanced {
            None => None,
            Some(text) => {
                Some(EnhancedCode::parse(text).ok_or_else(|| self.corrupt("reply_enhanced"))?)
            }
        };
        Ok(Some(Reply {
            code: self.number("reply_code", code.into())?,
            enhanced,
            text: cells.text.unwrap_or_default(),
        }))
    }
}

/// The three columns of a remote's reply.
#[derive(sqlx::FromRow)]
pub(crate) struct ReplyCells {
    #[sqlx(rename = "reply_code")]
    code: Option<i32>,
    #[sqlx(rename = "reply_enhanced")]
    enhanced: Option<String>,
    #[sqlx(rename = "reply_text")]
    text: Option<String>,
}

pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Rejected(error.to_string()))
}

/// Text that others gave. PostgreSQL keeps no NUL in text; a remote that sends one must not keep
/// what it said from being recorded.
pub(crate) fn text(given: &str) -> Cow<'_, str> {
    if given.contains('\0') {
        Cow::Owned(given.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(given)
    }
}

/// A count for a metric.
pub(crate) fn small(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
