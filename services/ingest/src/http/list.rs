//! `GET /emails`: a tenant's messages, a page at a time.

use postrider_http::{Answer, Problem, Query, RequestId};
use postrider_model::{EmailAddress, MessageId, Stream, Tag, TenantId};
use postrider_store::{MailFilter, MailPage, PageStart};

use crate::http::complaints::Complaints;
use crate::http::json::shortened;
use crate::http::{HttpDoor, email, fault};

const NAME: &str = "invalid_parameter";
const PARAMETERS: [&str; 6] = ["limit", "after", "before", "recipient", "tag", "stream"];

const LIMIT_DEFAULT: u8 = 20;
const LIMIT_MOST: u8 = 100;

impl HttpDoor {
    /// Newest first.
    pub(crate) async fn list(
        &self,
        tenant: TenantId,
        query: &Query,
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let (filter, page) = wish(query)?;
        let listing = self.ports.mail.list(tenant, &filter, page).await;
        let listing = listing.map_err(|error| fault(id, &error))?;
        listing
            .map(|listing| email::list(&listing))
            .ok_or_else(|| unknown_cursor(page))
    }
}

// Another tenant's message and one that never was are not told apart.
fn unknown_cursor(page: MailPage) -> Problem {
    let (field, id) = match page.start {
        PageStart::After(id) => ("after", id.to_string()),
        PageStart::Before(id) => ("before", id.to_string()),
        PageStart::Newest => return Problem::not_found(),
    };
    Problem::field(422, NAME, field, no_cursor(&id))
}

fn no_cursor(text: &str) -> String {
    let text = shortened(text).escape_debug().to_string();
    format!("'{text}' is not the id of an email of yours; begin again without it.")
}

// A filter that is misspelt must not show everything as if it matched: what is not understood is
// refused.
fn wish(query: &Query) -> Result<(MailFilter, MailPage), Problem> {
    let mut complaints = Complaints::default();
    for name in query.names().filter(|name| !PARAMETERS.contains(name)) {
        let name = shortened(name).escape_debug().to_string();
        let message = "is not a parameter of this endpoint; limit, after, before, recipient, tag and stream are.";
        complaints.add(NAME, name, message);
    }
    let mut given = Given {
        query,
        complaints: &mut complaints,
    };
    let page = MailPage {
        limit: given.read("limit", limit).unwrap_or(LIMIT_DEFAULT),
        start: given.start(),
    };
    let filter = MailFilter {
        recipient: given.read("recipient", recipient),
        tag: given.read("tag", tag),
        stream: given.read("stream", stream),
    };
    complaints.into_result().map(|()| (filter, page))
}

/// The parameters of a query, read one by one.
pub(crate) struct Given<'a> {
    pub(crate) query: &'a Query,
    pub(crate) complaints: &'a mut Complaints,
}

impl Given<'_> {
    pub(crate) fn read<T>(
        &mut self,
        name: &'static str,
        read: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let mut all = self.query.all(name);
        let text = all.next()?;
        if all.next().is_some() {
            let message = "is given more than once; give it once.";
            self.complaints.add(NAME, name, message);
            return None;
        }
        match read(text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.complaints.add(NAME, name, message);
                None
            }
        }
    }

    fn start(&mut self) -> PageStart {
        if self.query.one("after").is_some() && self.query.one("before").is_some() {
            let message = "is given together with after; give one of them.";
            self.complaints.add(NAME, "before", message);
            return PageStart::Newest;
        }
        let after = self.read("after", cursor).map(PageStart::After);
        let before = self.read("before", cursor).map(PageStart::Before);
        after.or(before).unwrap_or(PageStart::Newest)
    }
}

/// How many there are on a page.
pub(crate) fn limit(text: &str) -> Result<u8, String> {
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    let fits = number.filter(|number| (1..=LIMIT_MOST).contains(number));
    fits.ok_or_else(|| {
        let text = shortened(text).escape_debug().to_string();
        format!("'{text}' is not a number from 1 to {LIMIT_MOST}.")
    })
}

fn cursor(text: &str) -> Result<MessageId, String> {
    text.parse().map_err(|_| no_cursor(text))
}

fn recipient(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| {
        let hint = if text.contains(' ') {
            " (a + is written %2B in a query)"
        } else {
            ""
        };
        let text = shortened(text).escape_debug().to_string();
        format!("'{text}' is not an address ({error}){hint}; write ann@example.org.")
    })
}

fn tag(text: &str) -> Result<Tag, String> {
    let tag = text.split_once(':').map(|(name, value)| Tag {
        name: name.to_owned(),
        value: value.to_owned(),
    });
    let is_whole = |tag: &Tag| !tag.name.is_empty() && !tag.value.is_empty();
    tag.filter(is_whole).ok_or_else(|| {
        let text = shortened(text).escape_debug().to_string();
        format!("'{text}' is not a tag; write name:value.")
    })
}

/// A stream by its word.
pub(crate) fn stream(text: &str) -> Result<Stream, String> {
    Stream::parse(text).map_err(|_| {
        let text = shortened(text).escape_debug().to_string();
        format!("'{text}' is not a stream; write transactional or bulk.")
    })
}
