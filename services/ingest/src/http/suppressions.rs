//! `/suppressions`: the addresses that a tenant's mail does not go to. Effective at once.

mod wish;

use postrider_gate::Caller;
use postrider_http::{Answer, Problem, Query, Request, RequestId};
use postrider_model::{
    EmailAddress, Stream, Suppression, SuppressionId, SuppressionReason, TenantId, Timestamp,
};
use postrider_store::{Suppressed, SuppressionList};
use serde::Serialize;

use crate::http::unknown::Unknown;
use crate::http::{HttpDoor, fault, headers, intake};
use wish::{Body, Named};

/// Bytes of such a request.
const REQUEST_MOST: u64 = 256 * 1024;

/// As the SDKs read it; the last four are ours.
#[derive(Serialize)]
struct Shown<'a> {
    object: &'static str,
    id: SuppressionId,
    email: String,
    /// One of three words: some SDKs fail on another.
    origin: &'static str,
    /// Always null: what it came from is told in `source`.
    source_id: Option<SuppressionId>,
    created_at: Timestamp,
    /// Null: all mail.
    stream: Option<Stream>,
    reason: SuppressionReason,
    source: &'a str,
    expires_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Gone {
    object: &'static str,
    id: SuppressionId,
    deleted: bool,
}

#[derive(Serialize)]
struct Data<T> {
    data: Vec<T>,
}

#[derive(Serialize)]
struct Page<'a> {
    object: &'static str,
    has_more: bool,
    data: Vec<Shown<'a>>,
}

impl<'a> From<&'a Suppression> for Shown<'a> {
    fn from(suppression: &'a Suppression) -> Self {
        Self {
            object: "suppression",
            id: suppression.id,
            email: suppression.address.to_string(),
            origin: match suppression.reason {
                SuppressionReason::HardBounce => "bounce",
                SuppressionReason::Complaint => "complaint",
                SuppressionReason::Unsubscribe | SuppressionReason::Manual => "manual",
            },
            source_id: None,
            created_at: suppression.since,
            stream: suppression.stream,
            reason: suppression.reason,
            source: &suppression.source,
            expires_at: suppression.until,
        }
    }
}

impl From<&Suppression> for Gone {
    fn from(suppression: &Suppression) -> Self {
        Self {
            object: "suppression",
            id: suppression.id,
            deleted: true,
        }
    }
}

impl HttpDoor {
    /// `POST /suppressions`. Once more is as good as once.
    pub(crate) async fn suppress(
        &self,
        caller: &Caller,
        mut request: Request,
    ) -> Result<Answer, Problem> {
        let mut unknown = Unknown::default();
        let body = self.read_wish(caller, &mut request).await?;
        let wish = body.one(&mut unknown);
        let answer = match wish {
            Ok((email, stream)) => {
                let added = self.add(caller.tenant.id, vec![email], stream, &request.request_id);
                added.await.and_then(|added| {
                    let first = added.first().ok_or_else(Problem::internal)?;
                    Ok(Answer::json(200, &Shown::from(first)))
                })
            }
            Err(problem) => Err(problem),
        };
        Ok(unknown.warn(answer.unwrap_or_else(Answer::from)))
    }

    /// `POST /suppressions/batch/add`.
    pub(crate) async fn suppress_all(
        &self,
        caller: &Caller,
        mut request: Request,
    ) -> Result<Answer, Problem> {
        let mut unknown = Unknown::default();
        let body = self.read_wish(caller, &mut request).await?;
        let answer = match body.emails(&mut unknown) {
            Ok((emails, stream)) => {
                let added = self.add(caller.tenant.id, emails, stream, &request.request_id);
                added.await.map(|added| {
                    let data = added.iter().map(Shown::from).collect();
                    Answer::json(200, &Data { data })
                })
            }
            Err(problem) => Err(problem),
        };
        Ok(unknown.warn(answer.unwrap_or_else(Answer::from)))
    }

    /// `POST /suppressions/batch/remove`: those that there were.
    pub(crate) async fn lift_all(
        &self,
        caller: &Caller,
        mut request: Request,
    ) -> Result<Answer, Problem> {
        let mut unknown = Unknown::default();
        let body = self.read_wish(caller, &mut request).await?;
        let answer = match body.named(&mut unknown) {
            Ok(which) => {
                let lifted = self.ports.suppressions.lift(caller.tenant.id, &which).await;
                let lifted = lifted.map_err(|error| fault(&request.request_id, &error));
                lifted.map(|lifted| {
                    let data: Vec<Gone> = lifted.iter().map(Gone::from).collect();
                    Answer::json(200, &Data { data })
                })
            }
            Err(problem) => Err(problem),
        };
        Ok(unknown.warn(answer.unwrap_or_else(Answer::from)))
    }

    /// `GET /suppressions`, newest first.
    pub(crate) async fn suppressions(
        &self,
        tenant: TenantId,
        query: &Query,
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let (filter, page) = wish::page(query)?;
        let now = self.ports.clock.now();
        let list = self
            .ports
            .suppressions
            .suppressions(tenant, filter, page, now);
        let list = list.await.map_err(|error| fault(id, &error))?;
        let SuppressionList { suppressions, more } =
            list.ok_or_else(|| wish::unknown_cursor(page))?;
        let page = Page {
            object: "list",
            has_more: more,
            data: suppressions.iter().map(Shown::from).collect(),
        };
        Ok(Answer::json(200, &page))
    }

    /// `GET /suppressions/{id or email}`.
    pub(crate) async fn suppression(
        &self,
        tenant: TenantId,
        which: &str,
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let which = named(which)?;
        let now = self.ports.clock.now();
        let found = self.ports.suppressions.suppression(tenant, &which, now);
        let found = found.await.map_err(|error| fault(id, &error))?;
        let newest = found.first().ok_or_else(Problem::not_found)?;
        Ok(Answer::json(200, &Shown::from(newest)))
    }

    /// `DELETE /suppressions/{id or email}`: of an address, all of its.
    pub(crate) async fn lift(
        &self,
        tenant: TenantId,
        which: &str,
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let which = named(which)?;
        let lifted = self.ports.suppressions.lift(tenant, &[which]).await;
        let lifted = lifted.map_err(|error| fault(id, &error))?;
        let first = lifted.first().ok_or_else(Problem::not_found)?;
        Ok(Answer::json(200, &Gone::from(first)))
    }

    async fn read_wish(&self, caller: &Caller, request: &mut Request) -> Result<Body, Problem> {
        let says_json = headers::says_json(&request.headers);
        let coding = headers::coding(&request.headers)?;
        let budget = (&self.ports.budget, caller.tenant.id);
        let taken = intake::read(&mut request.body, coding, budget, REQUEST_MOST).await?;
        Ok(Body {
            bytes: taken.bytes,
            says_json,
        })
    }

    async fn add(
        &self,
        tenant: TenantId,
        emails: Vec<EmailAddress>,
        stream: Option<Stream>,
        id: &RequestId,
    ) -> Result<Vec<Suppression>, Problem> {
        let now = self.ports.clock.now();
        let new = |address| Suppression {
            id: SuppressionId::new(now, self.ports.rng.bytes()),
            tenant,
            address,
            stream,
            reason: SuppressionReason::Manual,
            source: "API".to_owned(),
            since: now,
            until: None,
        };
        let new = emails.into_iter().map(new).collect();
        let added = self.ports.suppressions.suppress(tenant, new).await;
        added.map_err(|error| fault(id, &error))
    }
}

fn named(text: &str) -> Result<Suppressed, Problem> {
    Named::parse(text).map_err(|_| Problem::not_found())
}
