//! Stored cells to model types. What does not parse is `Corrupt`, never a default.

use std::fmt::{Display, Write as _};
use std::str::FromStr;

use postrider_model::{Domain, EmailAddress, EnhancedCode, Reply};

use crate::fault::Fault;

/// Where a cell stands, to name it when it does not parse.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    /// The row's key.
    pub(crate) id: &'a [u8],
}

impl Place<'_> {
    /// Passes what parsed, and names the cell that did not.
    pub(crate) fn cell<T, E>(self, column: &'static str, parsed: Result<T, E>) -> Result<T, Fault> {
        parsed.map_err(|_| self.corrupt(column))
    }

    pub(crate) fn corrupt(self, column: &'static str) -> Fault {
        Fault::Corrupt {
            table: self.table,
            column,
            id: hex(self.id),
        }
    }

    pub(crate) fn id<'b, T: TryFrom<&'b [u8]>>(
        self,
        column: &'static str,
        bytes: &'b [u8],
    ) -> Result<T, Fault> {
        self.cell(column, T::try_from(bytes))
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
            code: self.number("reply_code", code)?,
            enhanced,
            text: cells.text.unwrap_or_default(),
        }))
    }
}

/// The three columns of a remote's reply.
#[derive(sqlx::FromRow)]
pub(crate) struct ReplyCells {
    #[sqlx(rename = "reply_code")]
    code: Option<i64>,
    #[sqlx(rename = "reply_enhanced")]
    enhanced: Option<String>,
    #[sqlx(rename = "reply_text")]
    text: Option<String>,
}

/// Rows for `json_each(?)`. Each mention of its `value` prints the row anew, so statements that
/// take many cells of it read it from a materialised `x`, and from `jsonb_each(?)`: a row as JSONB
/// is not read again for each cell. Ids go as text with hyphens (`unhex(…, '-')`), hashes as hex.
pub(crate) fn json<T: serde::Serialize + ?Sized>(rows: &T) -> Result<String, Fault> {
    serde_json::to_string(rows).map_err(|error| Fault::Rejected(error.to_string()))
}

/// Ids as a JSON array of texts.
pub(crate) fn json_ids<T: Display>(ids: impl IntoIterator<Item = T>) -> String {
    let mut json = String::from("[");
    for (at, id) in ids.into_iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a String does not fail.
        let _written = write!(json, "{comma}\"{id}\"");
    }
    json.push(']');
    json
}

/// In lowercase, without hyphens.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}
