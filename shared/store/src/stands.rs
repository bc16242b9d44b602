//! What is stopped for a while, by whom, and who may let it go on.

use postrider_model::Authority;

/// How a tenant or a key stands, as its row has it.
pub struct Stands {
    pub is_stopped: bool,
    /// Nobody: where it is stopped, by the operator, before this was written down.
    pub stopped_by: Option<String>,
}

impl Stands {
    /// By whom it is stopped once it `stops` (or goes on); `None` where nothing changes. An error is
    /// why it is to be `Rejected`: a vendor would let go on what the operator stopped.
    pub fn becomes(
        &self,
        stops: bool,
        by: Authority,
        what: &str,
    ) -> Result<Option<Option<Authority>>, String> {
        let is_vendors = self.stopped_by.as_deref() == Some(Authority::Vendor.as_str());
        let is_operators = self.is_stopped && !is_vendors;
        match (by, stops) {
            (Authority::Vendor, false) if is_operators => Err(format!(
                "the service's operator suspended this {what}: only they resume it, ask them"
            )),
            (Authority::Vendor, true) if is_operators => Ok(None),
            (_, stops) => Ok(Some(stops.then_some(by))),
        }
    }
}
