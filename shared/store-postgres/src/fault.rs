//! What PostgreSQL's error codes mean for us. The only place that reads them.
//!
//! Codes: <https://www.postgresql.org/docs/15/errcodes-appendix.html>.

use std::sync::Arc;

use postrider_store::StoreError;

/// Why a piece of work in this crate failed. Can be cloned: one fault may answer a whole batch.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the statement failed")]
    Sql(#[source] Arc<sqlx::Error>),
    /// Nothing came back in time: what became of it is not known.
    #[error("no answer within {0:?}")]
    Late(std::time::Duration),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// Something changed under it: the same succeeds when it is done again.
    #[error("it has to be done again")]
    Again,
    #[error("{0}")]
    Rejected(String),
    #[error("{0} is taken")]
    Taken(&'static str),
    #[error("{0} not found")]
    NotFound(&'static str),
    #[error("corrupt row in {table}.{column} ({id})")]
    Corrupt {
        table: &'static str,
        column: &'static str,
        id: String,
    },
}

/// What a fault asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Some row is wrong: the others of its batch need not suffer for it.
    Row,
    /// It met another transaction: the same may succeed at once.
    Busy,
    /// A part for a row's day is missing: it has to be made.
    NoPart,
    /// No space; nothing was written.
    Full,
    /// Anything else: not available, and the connection is not to be trusted.
    Away,
}

impl Fault {
    pub(crate) fn meaning(&self) -> Meaning {
        match self {
            Self::Sql(error) => meaning(error),
            Self::Late(_) | Self::Closed => Meaning::Away,
            Self::Again => Meaning::Busy,
            _ => Meaning::Row,
        }
    }

    /// True where the fault is that a row with this key is there already.
    pub(crate) fn is_taken(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        let error = error.as_database_error();
        error.is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(Arc::new(error))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let meaning = fault.meaning();
        match fault {
            Fault::Sql(error) if meaning == Meaning::Full => Self::Full(Box::new(error)),
            Fault::Sql(error) if meaning == Meaning::Row => Self::Rejected {
                reason: error.to_string(),
            },
            Fault::Sql(error) => Self::Unavailable(Box::new(error)),
            Fault::Late(_) | Fault::Closed | Fault::Again => Self::Unavailable(Box::new(fault)),
            Fault::Rejected(reason) => Self::Rejected { reason },
            Fault::Taken(what) => Self::Taken { what },
            Fault::NotFound(what) => Self::NotFound { what },
            Fault::Corrupt { table, column, id } => Self::Corrupt { table, column, id },
        }
    }
}

fn meaning(error: &sqlx::Error) -> Meaning {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code();
            of_code(code.as_deref().unwrap_or_default(), error.constraint())
        }
        sqlx::Error::Encode(_) => Meaning::Row,
        _ => Meaning::Away,
    }
}

fn of_code(code: &str, constraint: Option<&str>) -> Meaning {
    match (code, constraint) {
        // check_violation of no check: «no partition of relation … found for row».
        ("23514", None) => Meaning::NoPart,
        // serialization_failure, deadlock_detected, lock_not_available.
        ("40001" | "40P01" | "55P03", _) => Meaning::Busy,
        // A message that another transaction stored meanwhile: next time it is seen.
        ("23505", Some(index)) if index.starts_with("messages_p") => Meaning::Busy,
        ("53100", _) => Meaning::Full, // disk_full
        // Wrong data, broken constraints, limits of a row or an index entry.
        _ if ["22", "23", "54"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            Meaning::Row
        }
        // Among them: 08 connection lost, 53300 too many connections, 57014 statement timeout,
        // 57P01–57P03 shutting down or starting.
        _ => Meaning::Away,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_is_never_taken_for_a_bad_row() {
        for (code, constraint, want) in [
            ("08006", None, Meaning::Away),
            ("53300", None, Meaning::Away),
            ("57P01", None, Meaning::Away),
            ("57P03", None, Meaning::Away),
            ("57014", None, Meaning::Away),
            ("42P01", None, Meaning::Away),
            ("53100", None, Meaning::Full),
            ("40P01", None, Meaning::Busy),
            ("23514", None, Meaning::NoPart),
            ("23514", Some("queue_shard_check"), Meaning::Row),
            ("23505", Some("queue_pkey"), Meaning::Row),
            ("23505", Some("messages_p20594_pkey"), Meaning::Busy),
            ("22021", None, Meaning::Row),
            ("22023", None, Meaning::Row),
        ] {
            assert_eq!(of_code(code, constraint), want, "{code}");
        }
    }
}
