//! Whether the authority gives certificates: by what came of the last attempt. Whether port 80 is open
//! to it knows the authority alone.

use postrider_model::Timestamp;

use super::finding::Finding;
use crate::acme::Attempts;
use crate::config::Config;

/// Nothing where nobody is asked. Never hard, as with certificates.
pub(super) fn examine(config: &Config) -> Option<Finding> {
    if !config.acme.is_on() {
        return None;
    }
    let path = Attempts::path(config);
    let about = &config.acme.directory;
    let attempts = match Attempts::read(&path) {
        Ok(attempts) => attempts.unwrap_or_default(),
        Err(fault) => {
            let unread = Finding::soft("acme", about, &format!("{fault:#}"));
            return Some(unread.remedy("run the doctor as the user that the relay runs as"));
        }
    };
    Some(match (attempts.failure, attempts.succeeded_at) {
        (Some(failure), _) if failure.about != config.acme_about() => {
            Finding::soft("acme", about, "it was not asked since the configuration changed")
                .remedy("start `postrider serve` again, which asks it at once")
        }
        (Some(failure), _) => {
            let seen = format!("{} ({})", failure.said, times(failure.count, failure.at));
            let remedy = format!(
                "{}; it is asked again at {}, or within seconds once {} is removed",
                failure.remedy,
                failure.again_at,
                path.display()
            );
            Finding::soft("acme", about, &seen).remedy(&remedy)
        }
        (None, Some(at)) => {
            Finding::ok("acme", about, &format!("it gave a certificate at {at}"))
        }
        (None, None) => Finding::soft("acme", about, "it was not asked yet").remedy(
            "run `postrider serve`, which asks it, and let port 80 of each name of the certificate reach it",
        ),
    })
}

fn times(count: u32, last: Timestamp) -> String {
    match count {
        1 => format!("at {last}"),
        count => format!("{count} times, last at {last}"),
    }
}
