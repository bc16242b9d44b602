//! What can go wrong at a port. Inner kinds stay boxed: no signature above names a driver.

/// The source of a store error, as the driver gave it.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a port could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, locked or too slow: the same may succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] Source),
    /// No space is left for it.
    #[error("the database has no space left")]
    Full(#[source] Source),
    /// This row is refused for what it is (it names a tenant that does not exist, …); others of
    /// its batch are not touched. Repeating it is useless.
    #[error("the database refuses the row: {reason}")]
    Rejected { reason: String },
    /// Something with that name, address or selector is there already.
    #[error("{what} is taken")]
    Taken { what: &'static str },
    /// What the verb is about is not there, or belongs to another tenant.
    #[error("{what} not found")]
    NotFound { what: &'static str },
    /// A stored row does not parse: a fault of ours or of the disk.
    #[error("corrupt row in {table}.{column} ({id})")]
    Corrupt {
        table: &'static str,
        column: &'static str,
        id: String,
    },
}
