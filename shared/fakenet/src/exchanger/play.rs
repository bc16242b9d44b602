//! Plays one act of a script on a session's connection.

use std::time::Duration;

use bytes::Bytes;

use super::session::Session;
use super::stream::Gone;
use super::transcript::printed;
use crate::habits::{self, Situation};
use crate::script::{Act, Base, Feature, Phase, Step, wire};

impl Session {
    /// Plays what the script has for this moment; `usual` is what is said where it has nothing.
    /// True where what was said is a yes.
    pub(super) async fn perform(
        &mut self,
        phase: Phase,
        recipient: Option<&str>,
        usual: &str,
    ) -> Result<bool, Gone> {
        let act = self.choose(phase, recipient);
        self.play(act, phase, usual).await
    }

    /// Says this, whatever the script has.
    pub(super) fn say(&mut self, text: &str) {
        let enhanced = self
            .exchanger
            .with_script(|script| script.offers(Feature::EnhancedStatusCodes));
        if enhanced {
            self.utter(&wire(text));
        } else {
            self.utter(&wire(&without_enhanced_code(text)));
        }
    }

    fn choose(&self, phase: Phase, recipient: Option<&str>) -> Act {
        let (scripted, base) = self
            .exchanger
            .with_script(|script| (script.choose(phase, recipient), script.base()));
        match (scripted, base) {
            (Some(act), _) => act,
            (None, Base::Accepting) => Act::usual(),
            (None, Base::Habits) => self.habitual(phase, recipient),
            (None, Base::Words) => recipient
                .and_then(habits::stranger)
                .unwrap_or_else(|| self.habitual(phase, recipient)),
        }
    }

    fn habitual(&self, phase: Phase, recipient: Option<&str>) -> Act {
        let Some(envelope) = &self.envelope else {
            return Act::usual();
        };
        let asked = recipient.map(|recipient| [recipient.to_owned()]);
        let situation = Situation {
            now: self.ground.clock.now(),
            peer: self.peer.ip(),
            mail_from: &envelope.from,
            recipients: match &asked {
                Some(one) => one,
                None => &envelope.recipients,
            },
        };
        self.ground.habits.choose(phase, &situation)
    }

    pub(super) async fn play(&mut self, act: Act, phase: Phase, usual: &str) -> Result<bool, Gone> {
        let mut first = None;
        for step in act.steps {
            let said = self.step(step, phase, usual).await?;
            first = first.or(said);
        }
        Ok(matches!(first, Some(b'2' | b'3')))
    }

    // One step; the first byte of what it said, if it said something.
    async fn step(&mut self, step: Step, phase: Phase, usual: &str) -> Result<Option<u8>, Gone> {
        match step {
            Step::Usual if phase == Phase::Handshake => {
                self.handshake().await?;
                return Ok(Some(b'2'));
            }
            Step::Usual => {
                self.record_if(phase, usual.as_bytes());
                self.say(usual);
                return Ok(usual.bytes().next());
            }
            Step::Send(bytes) => {
                self.record_if(phase, &bytes);
                self.utter(&bytes);
                return Ok(bytes.first().copied());
            }
            Step::Drip { bytes, every } => {
                self.record_if(phase, &bytes);
                self.drip(&bytes, every).await?;
                return Ok(bytes.first().copied());
            }
            Step::Endless { line, every } => self.repeat(&line, every).await?,
            Step::Record => self.record(),
            quiet => self.keep_quiet(quiet).await?,
        }
        Ok(None)
    }

    async fn keep_quiet(&mut self, step: Step) -> Result<(), Gone> {
        self.flush().await?;
        match step {
            Step::Wait(span) => tokio::time::sleep(span).await,
            Step::Gate(gate) => gate.pass().await,
            Step::Hang => {
                self.stream.drain().await;
                return Err(Gone);
            }
            // Until this internet goes down.
            Step::Stall => std::future::pending().await,
            Step::HalfClose => self.stream.finish().await,
            Step::Reset => {
                self.stream.reset();
                return Err(Gone);
            }
            _ => {
                self.stream.close().await;
                return Err(Gone);
            }
        }
        Ok(())
    }

    async fn drip(&mut self, bytes: &Bytes, every: Duration) -> Result<(), Gone> {
        self.flush().await?;
        self.exchanger.note(printed('S', bytes));
        for byte in bytes {
            self.stream.write(&[*byte]).await?;
            tokio::time::sleep(every).await;
        }
        Ok(())
    }

    async fn repeat(&mut self, line: &Bytes, every: Duration) -> Result<(), Gone> {
        self.flush().await?;
        self.exchanger.note(printed('S', line));
        loop {
            self.stream.write(line).await?;
            if every.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(every).await;
            }
        }
    }

    // RFC 5321 §4.2.5: with a 2yz reply to the final dot the exchanger takes responsibility.
    fn record_if(&mut self, phase: Phase, reply: &[u8]) {
        if phase == Phase::FinalDot && reply.first() == Some(&b'2') {
            self.record();
        }
    }

    fn utter(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            let line = line.strip_suffix(b"\r\n").unwrap_or(line);
            self.exchanger.note(printed('S', line));
        }
        self.outbound.extend_from_slice(bytes);
    }
}

// RFC 2034 §3: enhanced codes are for those who were told of them.
fn without_enhanced_code(text: &str) -> String {
    let is_code = |word: &str| {
        let mut parts = word.split('.');
        parts.clone().count() == 3
            && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    match text.split_once(' ') {
        Some((code, words)) => match words.split_once(' ') {
            Some((enhanced, words)) if is_code(enhanced) => format!("{code} {words}"),
            _ => text.to_owned(),
        },
        None => text.to_owned(),
    }
}
