//! Where log lines go and how they look.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    #[default]
    Text,
    /// One JSON object a line, for a collector.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    #[error("the log filter does not parse")]
    Filter(#[from] ParseError),
}

/// Sends log lines of this process to standard error. `filter` is a level or a list such as
/// `info,postrider_delivery=debug`. A second call in one process changes nothing: tests start
/// many relays.
pub fn start_logs(format: LogFormat, filter: &str) -> Result<(), LogsError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse(filter)?)
        .with_writer(std::io::stderr);
    let _already_started = match format {
        LogFormat::Text => builder.compact().with_ansi(false).try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
    }
    .is_err();
    Ok(())
}
