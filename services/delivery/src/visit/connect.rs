//! How a visit comes to its connection: kept or new, with TLS or by now without.

use crate::instruments::Opening;
use crate::outcome::{Context, OtherFamily, Phase, Verdict, WithoutOther, judge};
use crate::pool::{Lease, TlsMode};
use crate::session::{OpenFailure, Peer};
use crate::settle::{Party, Report};
use crate::stages::Stages;

use super::{Stop, Visit, Visited, told};

impl Visit<'_> {
    pub(super) async fn connect(
        &self,
        stop: Stop<'_>,
        parties: &[Party],
    ) -> Result<Lease, (Visited, Report)> {
        let now = self.shared.clock.now();
        let plain = self.shared.plaintext.holds(stop.address.ip(), now);
        let mode = if plain {
            TlsMode::Plaintext
        } else {
            TlsMode::Opportunistic
        };
        let failure = match self.open(stop, mode).await? {
            Ok(lease) => return Ok(lease),
            Err(failure) => failure,
        };
        let handshake = matches!(failure.phase, Phase::Starttls | Phase::Handshake);
        if handshake && mode == TlsMode::Opportunistic && self.may_fall_back(parties) {
            self.shared.plaintext.remember(stop.address.ip(), now);
            let plain = self.open(stop, TlsMode::Plaintext).await?;
            return plain.map_err(|failure| self.not_opened(failure, parties));
        }
        Err(self.not_opened(failure, parties))
    }

    /// The outer `Err`: it was not even tried.
    async fn open(
        &self,
        stop: Stop<'_>,
        mode: TlsMode,
    ) -> Result<Result<Lease, OpenFailure>, (Visited, Report)> {
        let peer = Peer {
            host: stop.host.name.clone(),
            address: stop.address,
        };
        let Some(slot) = self.shared.pool.try_reserve(peer) else {
            self.shared.instruments.openings.add(Opening::AtCap, 1);
            return Err((Visited::AtCap, Report::default()));
        };
        let timeouts = &self.shared.config.timeouts;
        let patience = if stop.others > 0 {
            timeouts.connect_with_others
        } else {
            timeouts.connect
        };
        let dialled = self.shared.dialer.dial(stop.address, patience);
        tokio::select! {
            biased;
            opened = self.shared.pool.connect(slot, mode, dialled) => {
                self.count(&opened);
                Ok(opened)
            }
            () = self.halt.begun() => Err((Visited::Stopped, Report::default())),
        }
    }

    fn count(&self, opened: &Result<Lease, OpenFailure>) {
        let instruments = &self.shared.instruments;
        let (opening, spent) = match opened {
            Ok(lease) => {
                let facts = lease.connection.facts();
                let opening = match &facts.tls {
                    _ if facts.opening.0.is_empty() => Opening::Reused,
                    Some(_) => Opening::Encrypted,
                    None => Opening::Plain,
                };
                (opening, &facts.opening)
            }
            Err(failure) => (failed(failure), &failure.spent),
        };
        instruments.openings.add(opening, 1);
        instruments.took(&Stages::of(spent));
    }

    // RFC 7435 §3: not at once, since TLS may be back in a moment.
    fn may_fall_back(&self, parties: &[Party]) -> bool {
        let waited = self.shared.config.plaintext_after / self.shared.retry.divisor.max(1);
        parties
            .iter()
            .all(|party| party.recipient.attempts > 0 && self.age(party) >= waited.mul_f64(0.9))
    }

    fn not_opened(&self, failure: OpenFailure, parties: &[Party]) -> (Visited, Report) {
        let age = parties
            .first()
            .map(|party| self.age(party))
            .unwrap_or_default();
        let context = Context {
            age,
            accepted: 0,
            other_family: OtherFamily::None,
        };
        let visited = match &failure.reply {
            None if failure.phase == Phase::Connect => Visited::Unreachable,
            None => Visited::NotServed,
            Some(reply) => match judge(failure.phase, reply, &context) {
                Verdict::NextHost(WithoutOther::Fail) => Visited::RefusedForGood,
                _ => Visited::NotServed,
            },
        };
        (visited, told::of_failure(failure))
    }
}

fn failed(failure: &OpenFailure) -> Opening {
    match failure.phase {
        Phase::Connect => Opening::Unreachable,
        Phase::Starttls | Phase::Handshake => Opening::TlsFailed,
        _ if failure.reply.is_some() => Opening::Refused,
        _ => Opening::Broken,
    }
}
