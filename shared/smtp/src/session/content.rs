//! Content while it comes in: counted, handed on, or drained.

use bytes::Buf as _;

use super::{Action, Question, Session, State};
use crate::content::{ContentReader, Progress};
use crate::{Refusal, Reply};

/// One content that is coming in.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    reader: ContentReader,
    size: u64,
    // What is said at the end, where it is not kept.
    discarded: Option<Discarded>,
}

#[derive(Debug)]
enum Discarded {
    TooLarge { most: u64 },
    Because(Reply),
}

impl Incoming {
    /// The first reason stays.
    pub(super) fn discard(&mut self, reply: Reply) {
        self.discarded.get_or_insert(Discarded::Because(reply));
    }
}

impl Session {
    /// Reads what is in the buffer; false where that is nothing.
    pub(super) fn read_content(&mut self) -> bool {
        let State::Content(incoming) = &mut self.state else {
            return false;
        };
        if self.input.is_empty() {
            return false;
        }
        let mut piece = Vec::with_capacity(self.input.len() + 2);
        let progress = incoming.reader.read(&self.input, &mut piece);
        match progress {
            Progress::More => self.input.clear(),
            Progress::End(taken) => self.input.advance(taken),
        }
        incoming.size = incoming.size.saturating_add(length(&piece));
        let limits = self.config.limits;
        if incoming.discarded.is_some() {
            // Only its end counts.
        } else if incoming.size > limits.size {
            incoming.discarded = Some(Discarded::TooLarge { most: limits.size });
            self.actions.push_back(Action::Overflow);
        } else if !piece.is_empty() {
            self.actions.push_back(Action::Data(piece));
        }
        let endless = incoming.discarded.is_some() && incoming.size > limits.drain;
        if endless || matches!(progress, Progress::End(_)) {
            self.end_content();
        }
        if endless {
            self.close();
        }
        true
    }

    fn end_content(&mut self) {
        let State::Content(incoming) = std::mem::replace(&mut self.state, State::Commands) else {
            return;
        };
        let Some(discarded) = incoming.discarded else {
            let size = incoming.size;
            return self.ask(Question::Content, Action::EndOfData { size });
        };
        self.transaction = None;
        match discarded {
            Discarded::TooLarge { most } => self.refuse(Refusal::TooLarge { most }),
            Discarded::Because(reply) => {
                let goodbye = reply.code() == 421;
                self.reply(reply);
                if goodbye {
                    self.close();
                }
            }
        }
    }
}

fn length(piece: &[u8]) -> u64 {
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}
