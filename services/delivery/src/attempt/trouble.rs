//! What an attempt met on its way from host to host, and what that comes to for who is left.

use std::collections::HashMap;

use postrider_model::RecipientId;

use crate::route::Host;
use crate::settle::{Fate, Party, Report};
use crate::visit::{Visited, Waiting};
use crate::warmup::Shortage;

/// What went wrong on the way to the hosts.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each may be true beside the others"
)]
pub(super) struct Trouble {
    /// For each recipient what it met last.
    last: HashMap<RecipientId, (Visited, Report)>,
    /// Hosts that cannot take a message like this one (its size, SMTPUTF8), and what was seen of
    /// the last of them.
    cannot: Vec<String>,
    cannot_report: Option<Report>,
    pub(super) sessions: u32,
    pub(super) capped: bool,
    /// What our address may send today could not be read.
    pub(super) unknown: bool,
    /// Recipients that our address may not send to today, and how it was found so.
    held_back: HashMap<RecipientId, Shortage>,
    /// Not every address was asked that could have been: their time was over.
    pub(super) untried: bool,
    /// The same, for we are stopping, or are not sure of our lease.
    pub(super) stopped: bool,
}

impl Trouble {
    /// Notes what a visit met; gives back who still waits.
    pub(super) fn note(&mut self, host: &Host, seen: Vec<Waiting>) -> Vec<Party> {
        let greeted = |waiting: &Waiting| match waiting.why.0 {
            Visited::AtCap | Visited::Stopped | Visited::Unreachable => false,
            Visited::NotServed | Visited::RefusedForGood | Visited::CannotTake => true,
        };
        self.sessions += u32::from(seen.iter().any(greeted));
        let mut parties = Vec::with_capacity(seen.len());
        for Waiting { party, why } in seen {
            match why.0 {
                Visited::AtCap => self.capped = true,
                Visited::Stopped => self.stopped = true,
                Visited::CannotTake => {
                    self.cannot.push(host.name.clone());
                    self.cannot_report = Some(why.1.clone());
                    self.last.insert(party.row.recipient, why);
                }
                Visited::RefusedForGood | Visited::NotServed | Visited::Unreachable => {
                    self.last.insert(party.row.recipient, why);
                }
            }
            parties.push(party);
        }
        parties
    }

    /// Warm-up leaves nothing for this recipient at the address that was to be visited.
    pub(super) fn hold_back(&mut self, recipient: RecipientId, shortage: &Shortage) {
        self.held_back.insert(recipient, shortage.clone());
    }

    /// At another address it does.
    pub(super) fn is_admitted(&mut self, recipient: RecipientId) {
        self.held_back.remove(&recipient);
    }

    pub(super) fn is_held_back(&self, recipient: RecipientId) -> bool {
        self.held_back.contains_key(&recipient)
    }

    /// The same, and what is missing is held by other attempts, or came back since: nobody needs to
    /// wait for tomorrow yet.
    pub(super) fn may_be_admitted_soon(&self, recipient: RecipientId) -> bool {
        let shortage = self.held_back.get(&recipient);
        shortage.is_some_and(Shortage::may_pass)
    }

    /// What becomes of a recipient that no host took; `None` where none was asked about it.
    pub(super) fn fate(&self, recipient: RecipientId, hosts: &[Host]) -> Option<(Fate, Report)> {
        let (visited, report) = self.last.get(&recipient)?;
        if let Some(cannot) = self.cannot_report.as_ref()
            && self.best_all_cannot(hosts)
        {
            return Some((Fate::Bounced, cannot.clone()));
        }
        let fate = match visited {
            // The address that was left out today may say otherwise.
            Visited::RefusedForGood if self.unknown || self.is_held_back(recipient) => return None,
            Visited::RefusedForGood if !self.capped && !self.untried => Fate::Bounced,
            _ => Fate::Unreachable,
        };
        Some((fate, report.clone()))
    }

    /// RFC 1870 §6.1, RFC 6531 §3.4: limits differ between hosts, so one of them does not decide.
    fn best_all_cannot(&self, hosts: &[Host]) -> bool {
        let best = hosts.iter().map(|host| host.preference).min();
        let mut best_hosts = hosts.iter().filter(|host| Some(host.preference) == best);
        best_hosts.all(|host| self.cannot.contains(&host.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_no_end_where_an_address_was_left_out_today() {
        let recipient = RecipientId::from_bytes([1; 16]);
        let refused = || (Visited::RefusedForGood, Report::default());
        let met = |change: fn(&mut Trouble)| {
            let mut trouble = Trouble::default();
            trouble.last.insert(recipient, refused());
            change(&mut trouble);
            trouble.fate(recipient, &[]).map(|(fate, _)| fate)
        };
        assert_eq!(met(|_| ()), Some(Fate::Bounced));
        assert_eq!(
            met(|trouble| trouble.capped = true),
            Some(Fate::Unreachable)
        );
        assert_eq!(met(|trouble| trouble.unknown = true), None);
        assert_eq!(
            met(|trouble| trouble.hold_back(RecipientId::from_bytes([1; 16]), &Shortage::default())),
            None
        );
    }
}
