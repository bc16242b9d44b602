//! Why something waits that nobody stops, in words.

use postrider_model::WaitCause;

/// Why something waits.
pub(crate) fn cause(cause: Option<WaitCause>) -> &'static str {
    match cause {
        None | Some(WaitCause::Turn) => "its turn comes",
        Some(WaitCause::Scheduled) => "its sender asked for a later time",
        Some(WaitCause::TenantPace) => "its tenant sends at its pace",
        Some(WaitCause::DestinationCap) => "the recipient's server takes no more at a time",
        Some(WaitCause::DestinationBackoff) => {
            "the recipient's server could not be reached, or takes no mail from us for now"
        }
        Some(WaitCause::Greylisting) => {
            "the recipient's server wants the same again a little later"
        }
        Some(WaitCause::Retry) => "the recipient's server said «later»",
        Some(WaitCause::WarmUp) => {
            "our address is new, and has sent this provider what it may send today"
        }
        Some(WaitCause::NoRoute) => {
            "DNS does not tell where its mail goes, or nothing may leave until `postrider doctor` is content"
        }
        Some(WaitCause::Held) => "it was held",
        Some(WaitCause::Attempt) => "it is being tried",
    }
}
