//! From a sender to the promise: what is asked of the door between MAIL and the last dot.

use std::sync::Arc;

use postrider_gate::{AcceptError, Accepted, Door, Reservation, Submission};
use postrider_model::{EmailAddress, EnhancedCode};
use postrider_smtp::{Mail, Reply};
use tokio::time::Instant;

use crate::catalogue::Entry;
use crate::submission::replies;
use crate::submission::verdict::Reached;
use crate::submission::visit::Visit;

/// A message without an announced size takes room in these steps.
const STEP: u64 = 256 * 1024;

/// The message that is being handed over.
#[derive(Default)]
pub(crate) struct Draft {
    /// As `SIZE=` announced it (RFC 1870).
    size: Option<u64>,
    recipients: Vec<EmailAddress>,
    raw: Vec<u8>,
    room: Option<Room>,
}

struct Room {
    reservation: Reservation,
    bytes: u64,
}

impl Visit<'_> {
    /// Whoever the sender is: the address on the wire is the service's.
    pub(crate) fn mail(&mut self, mail: &Mail) -> Reply {
        self.draft = None;
        self.record.facts.reach(Reached::Mail);
        // A key may have been revoked, a tenant suspended, since the sign-in.
        let renewed = self.caller.as_ref();
        let renewed = renewed.map(|caller| self.door.ports.access.renew(caller));
        match renewed {
            Some(Ok(caller)) => self.caller = Some(caller),
            Some(Err(denied)) => return self.no(&replies::of_denied(&denied)),
            None => return self.no(&replies::plain(Entry::AUTH_FIRST)),
        }
        if self.door.ports.gate.space_is_short() {
            return self.no(&replies::plain(Entry::NO_SPACE));
        }
        self.draft = Some(Draft {
            size: mail.size,
            ..Draft::default()
        });
        Reply::new(250, EnhancedCode(2, 1, 0), "Ok")
    }

    pub(crate) fn recipient(&mut self, address: EmailAddress) -> Reply {
        match &mut self.draft {
            Some(draft) => draft.recipients.push(address),
            None => return self.no(&replies::plain(Entry::MAIL_FIRST)),
        }
        Reply::new(250, EnhancedCode(2, 1, 5), "Ok")
    }

    /// Room is taken before anything is read: who waits for it is not heard meanwhile.
    pub(crate) async fn begin_data(&mut self) -> Reply {
        let (Some(draft), Some(caller)) = (&mut self.draft, &self.caller) else {
            return self.no(&replies::plain(Entry::MAIL_FIRST));
        };
        let bytes = draft.size.unwrap_or(STEP).max(1);
        let reserved = self
            .door
            .ports
            .budget
            .reserve(caller.tenant.id, bytes)
            .await;
        let Ok(reservation) = reserved else {
            return self.no(&replies::plain(Entry::BUSY));
        };
        draft.room = Some(Room { reservation, bytes });
        if draft.size.is_some() {
            draft
                .raw
                .reserve(usize::try_from(bytes).unwrap_or_default());
        }
        self.patience.content_begins(Instant::now());
        Reply::start_content()
    }

    pub(crate) async fn data(&mut self, piece: Vec<u8>) {
        let Some(draft) = &mut self.draft else { return };
        let began = Instant::now();
        if draft.take(piece).await {
            self.patience.forgive(began.elapsed(), Instant::now());
            return;
        }
        self.forget_content();
        let reply = self.no(&replies::plain(Entry::BUSY));
        self.talk.discard(reply);
    }

    /// The rest is read and thrown away.
    pub(crate) fn forget_content(&mut self) {
        if let Some(draft) = &mut self.draft {
            draft.raw = Vec::new();
            draft.room = None;
        }
    }

    /// The whole message goes to the gate; «yes» means that it is on disk.
    pub(crate) async fn hand_over(&mut self) -> Reply {
        let (Some(draft), Some(caller)) = (self.draft.take(), self.caller.clone()) else {
            return self.no(&replies::plain(Entry::MAIL_FIRST));
        };
        if draft.raw.trim_ascii().is_empty() {
            return self.no(&replies::plain(Entry::EMPTY));
        }
        let Draft {
            recipients,
            raw,
            room,
            ..
        } = draft;
        let submission = Submission {
            door: Door::Smtp,
            raw,
            envelope: recipients,
            bcc: Vec::new(),
            stream: None,
            tags: Vec::new(),
            scheduled_at: None,
            expires_at: None,
            claim: None,
            session: Some(self.record.code),
        };
        let gate = Arc::clone(&self.door.ports.gate);
        // Not part of this connection: what is half done must not end with it.
        let work = async move {
            let accepted = gate.accept(&caller, submission).await;
            drop(room);
            accepted
        };
        match self.door.tasks.spawn(work).await {
            Ok(Ok(accepted)) => self.promised(&accepted),
            Ok(Err(error)) => self.not_accepted(&error),
            Err(error) => {
                tracing::error!(%error, session = %self.record.code, "a submission ended in a panic");
                self.no(&replies::plain(Entry::INTERNAL))
            }
        }
    }

    fn promised(&mut self, accepted: &Accepted) -> Reply {
        let id = accepted.id();
        self.record.accepted(id);
        let shown = id.map_or_else(String::new, |id| id.to_string());
        let what = match accepted.stored {
            Some(_) => "queued as",
            None => "duplicate of",
        };
        tracing::debug!(session = %self.record.code, message.id = %shown, "accepted a message");
        let text = format!("{what} {shown} ({})", self.record.code);
        Reply::new(250, EnhancedCode(2, 0, 0), text)
    }

    fn not_accepted(&mut self, error: &AcceptError) -> Reply {
        let told = replies::of_accept(error);
        if told.entry.id.starts_with("PR-9") {
            tracing::error!(session = %self.record.code, error = error as &dyn std::error::Error, "a message could not be accepted");
        }
        self.no(&told)
    }
}

impl Draft {
    // False where there is no room for it.
    async fn take(&mut self, piece: Vec<u8>) -> bool {
        let Some(room) = &mut self.room else {
            return false;
        };
        let needed = (self.raw.len() + piece.len()) as u64;
        if needed > room.bytes {
            let more = (needed - room.bytes).div_ceil(STEP) * STEP;
            if room.reservation.grow(more).await.is_err() {
                return false;
            }
            room.bytes += more;
        }
        if self.raw.capacity() == 0 {
            self.raw = piece;
        } else {
            self.raw.extend_from_slice(&piece);
        }
        true
    }
}
