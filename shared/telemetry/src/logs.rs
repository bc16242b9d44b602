//! Where log lines go and how they look.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

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
    /// A lone word is a target to the filter, which would then log nothing else.
    #[error("the log filter has {0:?}, which is no level (error, warn, info, debug, trace, off)")]
    NoLevel(String),
}

/// Checks a filter without setting anything up.
pub fn check_filter(filter: &str) -> Result<(), LogsError> {
    parsed(filter).map(drop)
}

fn parsed(filter: &str) -> Result<EnvFilter, LogsError> {
    let words = filter
        .split(',')
        .map(str::trim)
        .filter(|word| !word.contains(['=', '[']));
    for word in words {
        if word.is_empty() || word.parse::<LevelFilter>().is_err() {
            return Err(LogsError::NoLevel(word.to_owned()));
        }
    }
    Ok(EnvFilter::builder().parse(filter)?)
}

/// Sends log lines of this process to standard error. `filter` is a level or a list such as
/// `info,postrider_delivery=debug`. A second call in one process changes nothing: tests start
/// many relays.
pub fn start_logs(format: LogFormat, filter: &str) -> Result<(), LogsError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed(filter)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_targets_with_levels() {
        for good in ["info", "WARN", "info,postrider_delivery=debug", "off"] {
            assert!(check_filter(good).is_ok(), "{good}");
        }
        for bad in ["loud", "info,postrider_delivery", "a=loud", ""] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
    }
}
