//! What SQLite's result codes mean for us. The only place that reads them.
//!
//! Codes: <https://www.sqlite.org/rescode.html>. The low byte is the primary code.

use std::io;
use std::sync::Arc;

use postrider_store::StoreError;

/// Why a piece of work in this crate failed. Can be cloned: one fault may answer a whole batch.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Sql(Arc<sqlx::Error>),
    /// A file beside the database.
    File(Arc<io::Error>),
    Rejected(String),
    Taken(&'static str),
    NotFound(&'static str),
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
    /// Another process holds the database: the same may succeed at once.
    Busy,
    /// No space; SQLite has rolled back.
    Full,
    /// The file or its disk cannot be trusted any more: what was written last may be lost
    /// although a later fsync succeeds, so the process has to end and recover.
    Broken,
    /// Anything else: not available.
    Away,
}

impl Fault {
    pub(crate) fn meaning(&self) -> Meaning {
        match self {
            Self::Sql(error) => meaning(error),
            Self::File(error) => of_file(error),
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

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::File(Arc::new(error))
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
            Fault::File(error) if meaning == Meaning::Full => Self::Full(Box::new(error)),
            Fault::File(error) => Self::Unavailable(Box::new(error)),
            Fault::Rejected(reason) => Self::Rejected { reason },
            Fault::Taken(what) => Self::Taken { what },
            Fault::NotFound(what) => Self::NotFound { what },
            Fault::Corrupt { table, column, id } => Self::Corrupt { table, column, id },
        }
    }
}

pub(crate) fn meaning(error: &sqlx::Error) -> Meaning {
    match error {
        sqlx::Error::Database(error) => error
            .code()
            .and_then(|code| code.parse::<i32>().ok())
            .map_or(Meaning::Away, of_code),
        sqlx::Error::Encode(_) => Meaning::Row,
        // The thread that holds the connection is gone, and with it what it was doing.
        sqlx::Error::WorkerCrashed => Meaning::Broken,
        _ => Meaning::Away,
    }
}

fn of_code(code: i32) -> Meaning {
    if code == 4874 {
        // SQLITE_IOERR_SHMSIZE: no space for the log's index. Nothing was written yet.
        return Meaning::Full;
    }
    match code & 0xff {
        5 | 6 => Meaning::Busy,          // SQLITE_BUSY, SQLITE_LOCKED
        10 | 11 | 26 => Meaning::Broken, // SQLITE_IOERR (fsync among them), CORRUPT, NOTADB
        13 => Meaning::Full,             // SQLITE_FULL
        18..=20 => Meaning::Row,         // SQLITE_TOOBIG, CONSTRAINT, MISMATCH
        _ => Meaning::Away,
    }
}

fn of_file(error: &io::Error) -> Meaning {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Meaning::Full
        }
        // EMFILE, ENFILE, or something else has that name: nothing is wrong with the files there are.
        _ if matches!(error.raw_os_error(), Some(17 | 23 | 24)) => Meaning::Away,
        _ => Meaning::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_grow_is_full_and_one_that_cannot_be_written_is_broken() {
        for (code, want) in [
            (28, Meaning::Full),   // ENOSPC
            (122, Meaning::Full),  // EDQUOT
            (27, Meaning::Full),   // EFBIG
            (24, Meaning::Away),   // EMFILE
            (5, Meaning::Broken),  // EIO
            (30, Meaning::Broken), // EROFS
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(Fault::from(error).meaning(), want, "{code}");
        }
    }

    #[test]
    fn an_error_of_the_disk_is_never_taken_for_a_bad_row() {
        for (code, want) in [
            (1034, Meaning::Broken), // SQLITE_IOERR_FSYNC
            (778, Meaning::Broken),  // SQLITE_IOERR_WRITE
            (1290, Meaning::Broken), // SQLITE_IOERR_DIR_FSYNC
            (13, Meaning::Full),
            (4874, Meaning::Full),
            (5, Meaning::Busy),
            (517, Meaning::Busy), // SQLITE_BUSY_SNAPSHOT
            (787, Meaning::Row),  // SQLITE_CONSTRAINT_FOREIGNKEY
            (2067, Meaning::Row), // SQLITE_CONSTRAINT_UNIQUE
            (1, Meaning::Away),
        ] {
            assert_eq!(of_code(code), want, "{code}");
        }
    }
}
