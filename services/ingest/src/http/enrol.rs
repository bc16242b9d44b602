//! `/enroll`: what the check box in a vendor's program calls. The right to call it is a token that
//! the vendor signed; it stands in the body.

mod wish;

use postrider_gate::{EnrolError, Enrolled, Secrets, ShopLetter, ShopStatus};
use postrider_http::{Answer, Problem, Request, RequestId};
use postrider_model::{EmailAddress, Limits, Tenant, TenantId, Timestamp};
use postrider_store::Quota;
use serde::Serialize;

use crate::http::unknown::Unknown;
use crate::http::{HttpDoor, bearer, headers, intake};
use crate::refusal;
use wish::Body;

/// Bytes of such a request.
const REQUEST_MOST: u64 = 16 * 1024;

/// Whose room the bodies take of callers that nobody knows yet.
const NOBODY: TenantId = TenantId::from_bytes([0; 16]);

/// What a tenant without a pace of its own is told as the rate of its batches.
const BATCH_PER_MINUTE: u32 = 600;

/// As vendors' programs read it: these members and no others.
#[derive(Serialize)]
struct Shown<'a> {
    tenant: &'a str,
    status: &'static str,
    smtp: Smtp<'a>,
    http: Http<'a>,
    from: String,
    reply_to: String,
    /// What replies go to once its owner has confirmed it.
    next_reply_to: Option<String>,
    /// `pending`, or `broken` where our letter to it came back.
    next_reply_to_status: Option<&'static str>,
    letter: Option<ShownLetter>,
    limits: ShownLimits,
    /// What holds besides while it is new; none where nothing does.
    ramp: Option<ShownRamp>,
    batch_per_minute: u32,
}

#[derive(Serialize)]
struct Smtp<'a> {
    host: &'a str,
    /// In the order to try.
    ports: &'a [u16],
    user: &'a str,
    /// The first time only.
    password: Option<String>,
}

#[derive(Serialize)]
struct Http<'a> {
    base: &'a str,
    /// The first time only.
    key: Option<&'a str>,
}

/// None where there is no limit, as in `GET /usage`: 0 reads like «nothing may be sent».
#[derive(Serialize)]
struct ShownLimits {
    requests_per_second: Option<u32>,
    per_minute: Option<u32>,
    bulk_per_minute: Option<u32>,
    connections: Option<u32>,
    per_day: Option<u32>,
    per_month: Option<u32>,
}

/// Recipients; none where there is no such limit (any more).
#[derive(Serialize)]
struct ShownRamp {
    per_day: Option<u32>,
    new_recipients_per_hour: Option<u32>,
}

/// What somebody is asked by; none where nobody is.
#[derive(Serialize)]
struct ShownLetter {
    to: String,
    /// None: none left for this shop.
    sent_at: Option<Timestamp>,
    /// From when on another is sent to who enrols again; none where that is not known.
    next_after: Option<Timestamp>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the contract's name")]
struct Status<'a> {
    object: &'static str,
    tenant: &'a str,
    status: &'static str,
    from: String,
    reply_to: String,
    /// What replies go to once its owner has confirmed it.
    next_reply_to: Option<String>,
    /// `pending`, or `broken` where our letter to it came back.
    next_reply_to_status: Option<&'static str>,
    letter: Option<ShownLetter>,
}

impl HttpDoor {
    /// `POST /enroll`.
    pub(crate) async fn enrol(&self, mut request: Request) -> Answer {
        let mut unknown = Unknown::default();
        let answer = match self.asked_to_enrol(&mut request).await {
            Ok(body) => match body.wish(&mut unknown) {
                Ok((token, wish)) => {
                    let enrolled = self.ports.enroller.enrol(&token, wish).await;
                    self.shown(enrolled, &request.request_id)
                }
                Err(problem) => problem.into(),
            },
            Err(problem) => problem.into(),
        };
        unknown.warn(answer)
    }

    /// `POST /enroll/rotate`.
    pub(crate) async fn rotate(&self, mut request: Request) -> Answer {
        let mut unknown = Unknown::default();
        let answer = match self.asked_to_enrol(&mut request).await {
            Ok(body) => match body.token(&mut unknown) {
                Ok(token) => {
                    let rotated = self.ports.enroller.rotate(&token).await;
                    self.shown(rotated, &request.request_id)
                }
                Err(problem) => problem.into(),
            },
            Err(problem) => problem.into(),
        };
        unknown.warn(answer)
    }

    /// `GET /enroll/status`, with the vendor's token or the tenant's key.
    pub(crate) async fn enrolment(&self, request: &Request) -> Answer {
        // A token has dots between its parts, and no key has.
        let token = bearer(&request.headers).filter(|text| text.contains('.'));
        let told = match token {
            Some(token) => self.ports.enroller.status(token).await,
            None => match self.identify(request) {
                Ok(caller) => Ok(self.ports.enroller.status_of(caller.tenant).await),
                Err(away) => return super::with_rate(away.problem.into(), away.rate),
            },
        };
        match told {
            Ok(enrolled) => {
                let tenant = &enrolled.tenant;
                Answer::json(
                    200,
                    &Status {
                        object: "enrolment",
                        tenant: &tenant.slug,
                        status: enrolled.status.as_str(),
                        from: tenant.from.to_string(),
                        reply_to: tenant.reply_to.to_string(),
                        next_reply_to: next_reply_to(tenant),
                        next_reply_to_status: enrolled.next_status.map(ShopStatus::as_str),
                        letter: enrolled.letter.clone().map(ShownLetter::from),
                    },
                )
            }
            Err(error) => self.refused(&error, &request.request_id).into(),
        }
    }

    async fn asked_to_enrol(&self, request: &mut Request) -> Result<Body, Problem> {
        let says_json = headers::says_json(&request.headers);
        let coding = headers::coding(&request.headers)?;
        let budget = (&self.ports.budget, NOBODY);
        let taken = intake::read(&mut request.body, coding, budget, REQUEST_MOST).await?;
        Ok(Body {
            bytes: taken.bytes,
            says_json,
        })
    }

    fn shown(&self, enrolled: Result<Enrolled, EnrolError>, id: &RequestId) -> Answer {
        let enrolled = match enrolled {
            Ok(enrolled) => enrolled,
            Err(error) => return self.refused(&error, id).into(),
        };
        let (tenant, doors) = (&enrolled.tenant, &self.doors);
        let secrets = enrolled.secrets.as_ref();
        Answer::json(
            200,
            &Shown {
                tenant: &tenant.slug,
                status: enrolled.status.as_str(),
                smtp: Smtp {
                    host: &doors.smtp_host,
                    ports: &doors.smtp_ports,
                    user: &enrolled.user,
                    password: secrets.map(|Secrets { password, .. }| password.grouped()),
                },
                http: Http {
                    base: &doors.http_base,
                    key: secrets.map(|Secrets { key, .. }| key.expose()),
                },
                from: tenant.from.to_string(),
                reply_to: tenant.reply_to.to_string(),
                next_reply_to: next_reply_to(tenant),
                next_reply_to_status: enrolled.next_status.map(ShopStatus::as_str),
                letter: enrolled.letter.clone().map(ShownLetter::from),
                batch_per_minute: batch(tenant.limits),
                limits: tenant.limits.into(),
                ramp: ShownRamp::of(self.ports.gate.quota_of(tenant).quota),
            },
        )
    }

    fn refused(&self, error: &EnrolError, id: &RequestId) -> Problem {
        let problem = refusal::of_enrol(error, self.ports.clock.now());
        if problem.status >= 500 {
            tracing::error!(request.id = %id, error = error as &dyn std::error::Error, "an enrolment failed");
        }
        problem
    }
}

fn next_reply_to(tenant: &Tenant) -> Option<String> {
    tenant.next_reply_to.as_ref().map(EmailAddress::to_string)
}

// What is over a pace waits in the queue: a program that keeps to it sees its mail leave at once.
fn batch(limits: Limits) -> u32 {
    match limits.per_minute {
        0 => BATCH_PER_MINUTE,
        pace => pace,
    }
}

impl From<ShopLetter> for ShownLetter {
    fn from(letter: ShopLetter) -> Self {
        Self {
            to: letter.to.to_string(),
            sent_at: letter.sent_at,
            next_after: letter.next_after,
        }
    }
}

impl ShownRamp {
    fn of(quota: Quota) -> Option<Self> {
        let shown = |limit: u32| (limit > 0).then_some(limit);
        let ramp = Self {
            per_day: shown(quota.ramp),
            new_recipients_per_hour: shown(quota.new_per_hour),
        };
        (ramp.per_day.is_some() || ramp.new_recipients_per_hour.is_some()).then_some(ramp)
    }
}

impl From<Limits> for ShownLimits {
    fn from(limits: Limits) -> Self {
        let shown = |limit: u32| (limit > 0).then_some(limit);
        Self {
            requests_per_second: shown(limits.requests_per_second),
            per_minute: shown(limits.per_minute),
            bulk_per_minute: shown(limits.bulk_per_minute),
            connections: shown(limits.connections),
            per_day: shown(limits.per_day),
            per_month: shown(limits.per_month),
        }
    }
}
