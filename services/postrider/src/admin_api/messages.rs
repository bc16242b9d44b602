//! `/admin/v1/messages` and sessions: what became of mail, by what a person has in hand.

use postrider_http::{Answer, Problem, Query};
use postrider_model::{
    Authority, EmailAddress, MessageId, RecipientState, SessionCode, Tenant, TenantId, WaitCause,
};
use postrider_store::{
    ListedEmail, MailFilter, MailPage, PageStart, StoredEmail, StoredEvent, StoredRecipient,
};
use serde_json::{Value, json};

use super::caller::Caller;
use super::lists::{Page, cursor, list, page, parameter};
use super::missing::no_such;
use super::{AdminDoor, Fault, Outcome};
use crate::admin::Verb;
use crate::holds::{Hold, Holds, Mail, together};

/// Messages that are looked through at a time.
const PAGE_MOST: u8 = 100;

impl AdminDoor {
    /// `GET /tenants/{tenant}/messages`, newest first.
    pub(super) async fn list_messages(&self, tenant: &Tenant, query: &Query) -> Outcome {
        let page = page(query, &["recipient"])?;
        let recipient = parameter(query, "recipient", "ann@example.org")?;
        let after = cursor::<MessageId>(&page)?;
        let wanted = MailPage {
            limit: limit(&page),
            start: after.map_or(PageStart::Newest, PageStart::After),
        };
        let filter = MailFilter {
            recipient,
            ..MailFilter::default()
        };
        let mail = &self.office.database.mail;
        let found = mail.list(tenant.id, &filter, wanted).await?;
        let found = found.ok_or_else(|| {
            let message = "is not a message of this tenant; begin again without it.";
            Problem::field(422, "invalid_parameter", "after", message)
        })?;
        let data = found.emails.iter().map(|email| head(tenant, email));
        Ok(list(data, found.more))
    }

    /// `GET /messages?recipient=`, `?message_id=` or `?session=`: over all tenants that the caller
    /// sees, newest first.
    pub(super) async fn find_messages(&self, caller: &Caller, query: &Query) -> Outcome {
        let page = page(query, &["recipient", "message_id", "session"])?;
        if page.after.is_some() {
            let message = "is no parameter here, where the newest are told; go through /tenants/{tenant}/messages page by page.";
            return Err(Problem::field(422, "invalid_parameter", "after", message).into());
        }
        let recipient = parameter(query, "recipient", "ann@example.org")?;
        let session = query.one("session").map(SessionCode::parse).transpose();
        let session = session.map_err(|error| {
            Problem::field(422, "invalid_parameter", "session", format!("is {error}."))
        })?;
        let message_id = query.one("message_id").map(bare);
        let found = match (recipient, session, message_id) {
            (Some(recipient), None, message_id) => {
                self.by_recipient(caller, &page, (recipient, message_id))
                    .await?
            }
            (None, Some(code), None) => self.by_session(caller, code).await?,
            (None, None, Some(text)) => self.by_message_id(caller, text).await?,
            (None, None, None) => {
                let message = "is missing; give recipient, message_id or session.";
                return Err(
                    Problem::field(422, "missing_required_field", "recipient", message).into(),
                );
            }
            _ => {
                let message = "stands beside another one; give one of them.";
                return Err(Problem::field(422, "invalid_parameter", "session", message).into());
            }
        };
        Ok(list(found, false))
    }

    /// `GET /messages/{id}`, with its recipients and all that happened.
    pub(super) async fn message(&self, caller: &Caller, id: MessageId) -> Outcome {
        let tenant = self.owner(caller, id).await?;
        let tenant = tenant.ok_or_else(|| no_such("message", id))?;
        let mail = &self.office.database.mail;
        let email = mail.email(tenant.id, id).await?;
        let email = email.ok_or_else(|| no_such("message", id))?;
        let events = mail.events(tenant.id, id).await?.unwrap_or_default();
        let holds = self.office.holds().await?;
        let answers = holds.answers(&**mail, (tenant.id, id)).await?;
        let known = Known {
            events: &events,
            holds: &holds,
            answers: &answers,
        };
        let asked = Asked {
            tenant: &tenant,
            vendors: caller.vendor.is_some(),
            operator: self.office.contact.as_ref(),
        };
        Ok(Answer::json(200, &in_full(&email, &known, &asked)))
    }

    /// `GET /sessions/{code}`.
    pub(super) async fn session(&self, caller: &Caller, code: SessionCode) -> Outcome {
        let found = self.office.database.sessions.any_session(code).await?;
        let found = found.ok_or_else(|| no_such("session", code))?;
        // One that claimed to be nobody's is the operator's to see.
        match found.tenant.or(found.claimed) {
            Some(tenant) => {
                let seen = self.tenant(caller, &tenant.to_string());
                seen.map_err(|_| no_such("session", code))?;
            }
            None if caller.vendor.is_none() => {}
            None => return Err(no_such("session", code).into()),
        }
        let shown = self.execute(caller, Verb::Session { code }).await?;
        Ok(Answer::json(200, &shown))
    }

    async fn by_recipient(
        &self,
        caller: &Caller,
        page: &Page,
        (recipient, message_id): (EmailAddress, Option<&str>),
    ) -> Result<Vec<Value>, Fault> {
        let database = &self.office.database;
        let mut found = Vec::new();
        let vendor = caller.vendor.as_ref().map(|vendor| vendor.id);
        for tenant in database.vendors.writing_to(vendor, &recipient).await? {
            let Ok(tenant) = self.tenant(caller, &tenant.to_string()) else {
                continue;
            };
            for email in self
                .written(&tenant, &recipient, (page, message_id))
                .await?
            {
                found.push((email.accepted_at, head(&tenant, &email)));
            }
        }
        found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        found.truncate(page.limit as usize);
        Ok(found.into_iter().map(|(_, shown)| shown).collect())
    }

    /// The newest that a tenant wrote to somebody; or, however old, those with one Message-ID.
    async fn written(
        &self,
        tenant: &Tenant,
        recipient: &EmailAddress,
        (page, message_id): (&Page, Option<&str>),
    ) -> Result<Vec<ListedEmail>, Fault> {
        let mail = &self.office.database.mail;
        let filter = MailFilter {
            recipient: Some(recipient.clone()),
            ..MailFilter::default()
        };
        let mut start = PageStart::Newest;
        loop {
            let limit = message_id.map_or(limit(page), |_| PAGE_MOST);
            let listed = mail.list(tenant.id, &filter, MailPage { limit, start });
            let Some(mut listed) = listed.await? else {
                return Ok(Vec::new());
            };
            let last = listed.emails.last().map(|email| email.id);
            let Some(text) = message_id else {
                return Ok(listed.emails);
            };
            listed.emails.retain(|one| one.summary.message_id == text);
            match last {
                Some(last) if listed.more && listed.emails.is_empty() => {
                    start = PageStart::After(last);
                }
                _ => return Ok(listed.emails),
            }
        }
    }

    async fn by_session(&self, caller: &Caller, code: SessionCode) -> Result<Vec<Value>, Fault> {
        let session = self.office.database.sessions.any_session(code).await?;
        let mut found = Vec::new();
        for id in session.map(|session| session.emails).unwrap_or_default() {
            found.extend(self.shown(caller, id).await?);
        }
        Ok(found)
    }

    /// One that we made has the message's id in it; another's is found beside its recipient.
    async fn by_message_id(&self, caller: &Caller, text: &str) -> Result<Vec<Value>, Fault> {
        let local = text.split('@').next().unwrap_or(text);
        let Ok(id) = local.parse() else {
            let message = "was not made by this service: give recipient beside it.";
            return Err(Problem::field(422, "invalid_parameter", "message_id", message).into());
        };
        let found = self.shown(caller, id).await?;
        Ok(found.into_iter().collect())
    }

    async fn shown(&self, caller: &Caller, id: MessageId) -> Result<Option<Value>, Fault> {
        let Some(tenant) = self.owner(caller, id).await? else {
            return Ok(None);
        };
        let email = self.office.database.mail.email(tenant.id, id).await?;
        Ok(email.map(|email| of_stored(&tenant, &email)))
    }

    async fn owner(
        &self,
        caller: &Caller,
        id: MessageId,
    ) -> Result<Option<std::sync::Arc<Tenant>>, Fault> {
        let owner: Option<TenantId> = self.office.database.vendors.sender_of(id).await?;
        Ok(owner.and_then(|tenant| self.tenant(caller, &tenant.to_string()).ok()))
    }
}

// A page has at most a hundred.
fn limit(page: &Page) -> u8 {
    u8::try_from(page.limit).unwrap_or(u8::MAX)
}

/// Without its angle brackets.
fn bare(text: &str) -> &str {
    text.trim().trim_start_matches('<').trim_end_matches('>')
}

fn head(tenant: &Tenant, email: &ListedEmail) -> Value {
    let summary = &email.summary;
    json!({
        "object": "message",
        "id": email.id,
        "tenant": tenant.slug,
        "accepted_at": email.accepted_at,
        "expires_at": email.expires_at,
        "size": email.size,
        "from": summary.from,
        "to": summary.to,
        "subject": summary.subject,
        "message_id": format!("<{}>", summary.message_id),
        "session": summary.session,
        "stream": summary.stream,
        "last_event": email.last_event,
    })
}

fn of_stored(tenant: &Tenant, email: &StoredEmail) -> Value {
    let listed = ListedEmail {
        id: email.id,
        accepted_at: email.accepted_at,
        expires_at: email.expires_at,
        size: email.size,
        summary: email.summary.clone(),
        last_event: email.last_event,
    };
    head(tenant, &listed)
}

/// What is known beside a message.
struct Known<'a> {
    events: &'a [StoredEvent],
    holds: &'a Holds,
    /// Whom answers to it go to, where that may stop it.
    answers: &'a [EmailAddress],
}

/// Whose message is asked about, and by whom.
struct Asked<'a> {
    tenant: &'a Tenant,
    /// By a vendor's token: who has it cannot type commands here.
    vendors: bool,
    operator: Option<&'a EmailAddress>,
}

fn in_full(email: &StoredEmail, known: &Known<'_>, asked: &Asked<'_>) -> Value {
    let mut shown = of_stored(asked.tenant, email);
    if let Value::Object(fields) = &mut shown {
        let recipients = email.recipients.iter().map(|one| {
            let its = |event: &&StoredEvent| event.event.recipient == one.id;
            let last = known.events.iter().rev().find(its);
            recipient(one, &over(one, (email, last), known), asked)
        });
        let recipients: Vec<_> = recipients.collect();
        let events: Vec<_> = known.events.iter().map(event).collect();
        fields.insert("key".to_owned(), json!(email.credential));
        fields.insert("recipients".to_owned(), recipients.into());
        fields.insert("events".to_owned(), events.into());
    }
    shown
}

/// What keeps it from leaving; nothing where nothing of it waits.
fn over(
    one: &StoredRecipient,
    (email, last): (&StoredEmail, Option<&StoredEvent>),
    known: &Known<'_>,
) -> Vec<Hold> {
    if one.state.is_final() {
        return Vec::new();
    }
    known.holds.over(&Mail {
        tenant: email.tenant,
        message: Some(email.id),
        domain: Some(one.address.domain()),
        key: email.credential,
        answers: known.answers,
        cause: one.cause,
        note: last.and_then(|last| last.event.note.as_deref()),
        // What has happened to it has a note.
        is_due: false,
    })
}

impl Asked<'_> {
    /// Why it does not leave; a vendor is told whom to ask where only the operator can end it.
    fn reason(&self, holds: &[Hold]) -> Option<String> {
        if holds.is_empty() {
            return None;
        }
        if !self.vendors {
            return Some(format!("It does not leave, for {}.", together(holds)));
        }
        let sentences: Vec<_> = holds.iter().map(Hold::for_vendor).collect();
        let mut reason = format!("It does not leave, for {}.", sentences.join(", and "));
        let is_operators = |hold: &Hold| match hold {
            Hold::Tenant(_) => self.tenant.stopped_by != Some(Authority::Vendor),
            Hold::Key { .. } => false,
            Hold::Vendor(_) | Hold::Owner { .. } | Hold::Queue { .. } | Hold::Doctor(_) => true,
        };
        if holds.iter().any(is_operators) {
            let contact = self.operator.map(|contact| format!(", {contact}"));
            let whom = contact.unwrap_or_default();
            let ask = format!(" Ask the service's operator{whom}.");
            reason.push_str(&ask);
        }
        Some(reason)
    }
}

fn recipient(one: &StoredRecipient, holds: &[Hold], asked: &Asked<'_>) -> Value {
    let cause = match (one.state, holds) {
        (RecipientState::Held, _) | (_, [_, ..]) => Some(WaitCause::Held),
        (_, []) => one.cause,
    };
    json!({
        "address": one.address,
        "state": one.state,
        "attempts": one.attempts,
        "next_attempt_at": one.due_at,
        "cause": cause,
        "held_by": holds.iter().map(Hold::word).collect::<Vec<_>>(),
        "reason": asked.reason(holds),
        "reply": one.last_reply.as_ref().map(ToString::to_string),
        "updated_at": one.updated_at,
    })
}

fn event(one: &StoredEvent) -> Value {
    let event = &one.event;
    json!({
        "address": one.address,
        "at": event.at,
        "type": event.kind,
        "attempt": event.attempt,
        "reply": event.reply.as_ref().map(ToString::to_string),
        "mx": event.mx.as_ref().map(|mx| &mx.host),
        "note": event.note,
    })
}

#[cfg(test)]
mod tests;
