//! What a verb refuses to do, with the way out: for who types commands, and for who calls the admin API.

/// A refusal whose remedy is said differently to the two.
#[derive(Debug, thiserror::Error)]
#[error("{by_command}")]
pub(crate) struct Refused {
    by_command: String,
    /// Names endpoints below `/admin/v1`.
    pub(crate) by_api: String,
    /// The field of the request that is at fault, where one is.
    pub(crate) field: Option<&'static str>,
}

impl Refused {
    /// Another verb helps: `said` tells it, given the way to it.
    pub(super) fn verb(said: impl Fn(&str) -> String, command: &str, endpoint: &str) -> Self {
        Self {
            by_command: said(&format!("`postrider {command}`")),
            by_api: said(&format!("{endpoint} below /admin/v1")),
            field: None,
        }
    }

    /// An argument cannot be taken.
    pub(super) fn argument(option: &str, field: &'static str, why: &str) -> Self {
        Self {
            by_command: format!("{option}: {why}"),
            by_api: why.to_owned(),
            field: Some(field),
        }
    }

    /// Both said out.
    pub(super) fn both(by_command: String, by_api: String) -> Self {
        Self {
            by_command,
            by_api,
            field: None,
        }
    }
}
