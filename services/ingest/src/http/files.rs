//! `GET /emails/{id}/attachments`: what was attached to a message. Names and sizes outlive the
//! bytes; the bytes are not given out again.

use aws_lc_rs::digest::{SHA256, digest};
use postrider_http::{Answer, Problem, RequestId};
use postrider_model::{Attachment, MessageId, TenantId, Timestamp};
use postrider_store::StoredEmail;
use serde::Serialize;
use uuid::{Builder, Uuid};

use crate::http::email::List;
use crate::http::{HttpDoor, fault};

#[derive(Serialize)]
struct File<'a> {
    object: &'static str,
    id: Uuid,
    filename: &'a str,
    size: u64,
    content_type: &'a str,
    content_disposition: &'static str,
    content_id: Option<&'a str>,
    /// Always empty, and never null: one SDK in the field fails on null here.
    download_url: &'static str,
    /// Never null, for the same reason.
    expires_at: Timestamp,
}

impl HttpDoor {
    /// In the order they stand in the message.
    pub(crate) async fn attachments(
        &self,
        tenant: TenantId,
        message: MessageId,
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let email = self.ports.mail.email(tenant, message).await;
        let email = email.map_err(|error| fault(id, &error))?;
        let email = email.ok_or_else(Problem::not_found)?;
        let files = email.summary.attachments.iter().enumerate();
        let data = files.map(|(index, file)| File::of(&email, index, file));
        Ok(Answer::json(200, &List::whole(data.collect())))
    }
}

impl<'a> File<'a> {
    fn of(email: &StoredEmail, index: usize, file: &'a Attachment) -> Self {
        let content_id = file.content_id.as_deref();
        Self {
            object: "attachment",
            id: file_id(email.id, index),
            filename: &file.filename,
            size: file.size,
            content_type: &file.content_type,
            content_disposition: match content_id {
                Some(_) => "inline",
                None => "attachment",
            },
            content_id,
            download_url: "",
            expires_at: email.expires_at,
        }
    }
}

// RFC 9562 §5.8: of our own making, the same whenever it is asked for.
fn file_id(message: MessageId, index: usize) -> Uuid {
    let place = (index as u64).to_be_bytes();
    derived(&[message.as_bytes().as_slice(), &place].concat())
}

/// A UUID that follows from these bytes and from nothing else.
pub(crate) fn derived(from: &[u8]) -> Uuid {
    let mut bytes = [0; 16];
    let hash = digest(&SHA256, from);
    bytes
        .iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    Builder::from_custom_bytes(bytes).into_uuid()
}
