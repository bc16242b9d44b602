//! The first events of a message: that it was taken, and what of it is other than it was asked.

use postrider_model::{Event, EventKind, Timestamp};
use postrider_store::NewRecipient;

use crate::admit::Admitted;

/// For each recipient that it was accepted, or is scheduled, or does not go there at all; and
/// what was replaced.
pub(crate) fn events(
    admitted: &Admitted,
    recipients: &[NewRecipient],
    now: Timestamp,
) -> Vec<Event> {
    let later = admitted.due_at > now;
    let kind = if later {
        EventKind::Scheduled
    } else {
        EventKind::Accepted
    };
    let (taken, replaced) = (taken_note(admitted), admitted.replies.note());
    let stream = admitted.submission.stream;
    let mut events = Vec::with_capacity(recipients.len() * 2);
    for recipient in recipients {
        if recipient.suppressed {
            let note = format!(
                "the address is on your suppression list for {stream} mail; nothing is sent to it"
            );
            let notes: Vec<_> = [Some(note), session_note(admitted)]
                .into_iter()
                .flatten()
                .collect();
            events.push(Event {
                note: Some(notes.join("; ")),
                ..Event::new(recipient.id, now, EventKind::Suppressed)
            });
            continue;
        }
        events.push(Event {
            note: taken.clone(),
            ..Event::new(recipient.id, now, kind)
        });
        if admitted.held {
            let note = "the display name is to be looked at before it is sent".to_owned();
            events.push(Event {
                note: Some(note),
                ..Event::new(recipient.id, now, EventKind::Held)
            });
        }
        if let Some(note) = &replaced {
            events.push(Event {
                note: Some(note.clone()),
                ..Event::new(recipient.id, now, EventKind::ReplyToReplaced)
            });
        }
    }
    events
}

fn taken_note(admitted: &Admitted) -> Option<String> {
    let notes = [session_note(admitted), name_note(admitted)];
    let notes: Vec<_> = notes.into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

fn session_note(admitted: &Admitted) -> Option<String> {
    let session = admitted.submission.session;
    session.map(|code| format!("handed in by SMTP, session {code}"))
}

fn name_note(admitted: &Admitted) -> Option<String> {
    let (refused, fault) = admitted.refused_name.as_ref()?;
    let refused: String = refused.chars().take(128).collect();
    let (refused, shown) = (refused.escape_debug(), &admitted.tenant.name);
    Some(format!(
        "the name \"{refused}\" is not shown before the address, \"{shown}\" is: {fault}"
    ))
}
