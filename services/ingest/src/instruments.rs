//! What the doors count.

use std::time::Duration;

use postrider_http::Answer;
use postrider_telemetry::{
    Counter, CounterBy, CounterBy2, Gauge, HistogramBy, Label, Registry, label,
};

use crate::catalogue::Entry;
use crate::http::Endpoint;

label!(
    /// What was asked of the HTTP door.
    pub(crate) Asked is "endpoint" {
        Send = "send",
        SendBatch = "send_batch",
        SendRaw = "send_raw",
        List = "list",
        Email = "email",
        Reschedule = "reschedule",
        Events = "events",
        Attachments = "attachments",
        Cancel = "cancel",
        Domains = "domains",
        Usage = "usage",
        Session = "session",
        Suppressions = "suppressions",
        Enrol = "enrol",
        /// Behind a link in mail, and the list of refusals.
        Page = "page",
        Contract = "openapi",
        Health = "health",
        Ready = "ready",
        /// A path or a method that there is not.
        Nothing = "nothing",
    }
);

label!(
    /// How it was answered.
    pub(crate) Class is "status" {
        Good = "2xx",
        Client = "4xx",
        Server = "5xx",
    }
);

label!(
    /// The contract's names of refusals.
    pub(crate) Refusal is "name" {
        ValidationError = "validation_error",
        MissingRequiredField = "missing_required_field",
        InvalidParameter = "invalid_parameter",
        InvalidAttachment = "invalid_attachment",
        InvalidFromAddress = "invalid_from_address",
        MissingApiKey = "missing_api_key",
        RestrictedApiKey = "restricted_api_key",
        InvalidApiKey = "invalid_api_key",
        NotFound = "not_found",
        MethodNotAllowed = "method_not_allowed",
        InvalidIdempotencyKey = "invalid_idempotency_key",
        InvalidIdempotentRequest = "invalid_idempotent_request",
        ConcurrentIdempotentRequests = "concurrent_idempotent_requests",
        RateLimitExceeded = "rate_limit_exceeded",
        DailyQuotaExceeded = "daily_quota_exceeded",
        MonthlyQuotaExceeded = "monthly_quota_exceeded",
        ApplicationError = "application_error",
        Other = "other",
    }
);

label!(
    /// What became of a connection to a submission port.
    pub(crate) Connection is "outcome" {
        Accepted = "accepted",
        /// Too many in all, or from one address.
        TurnedAway = "turned_away",
        /// Taken, and let go for a newcomer before it had signed in.
        GaveWay = "gave_way",
    }
);

label!(
    /// What became of a password.
    pub(crate) SignInOutcome is "outcome" {
        Taken = "taken",
        Refused = "refused",
    }
);

label!(
    /// What a refusal of the catalogue is about: the first digit of its id.
    pub(crate) Matter is "matter" {
        Connection = "connection",
        SignIn = "sign_in",
        Envelope = "envelope",
        Content = "content",
        Limit = "limit",
        Policy = "policy",
        Enrolment = "enrolment",
        Ours = "ours",
    }
);

impl Matter {
    pub(crate) fn of(entry: &Entry) -> Self {
        match entry.id.as_bytes().get(3) {
            Some(b'1') => Self::Connection,
            Some(b'2') => Self::SignIn,
            Some(b'3') => Self::Envelope,
            Some(b'4') => Self::Content,
            Some(b'5') => Self::Limit,
            Some(b'6') => Self::Policy,
            Some(b'7') => Self::Enrolment,
            _ => Self::Ours,
        }
    }
}

/// The SMTP door's part of it.
#[derive(Clone, Debug)]
pub(crate) struct SmtpInstruments {
    pub(crate) connections: CounterBy<Connection>,
    pub(crate) open: Gauge,
    pub(crate) sign_ins: CounterBy<SignInOutcome>,
    pub(crate) refusals: CounterBy<Matter>,
    pub(crate) lost: Counter,
}

impl SmtpInstruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            connections: registry.counter_by(
                "postrider_ingest_smtp_connections_total",
                "Connections to submission ports.",
            ),
            open: registry.gauge(
                "postrider_ingest_smtp_sessions_open",
                "Submission sessions that are open.",
            ),
            sign_ins: registry.counter_by(
                "postrider_ingest_smtp_sign_ins_total",
                "Passwords that were tried over SMTP.",
            ),
            refusals: registry.counter_by(
                "postrider_ingest_smtp_refusals_total",
                "Refusals over SMTP, by what they are about: the first digit of their id in infra/refusals.md.",
            ),
            lost: registry.counter(
                "postrider_ingest_sessions_lost_total",
                "Records of submission sessions that were not kept.",
            ),
        }
    }
}

/// The HTTP door's part of the metrics page.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    pub(crate) in_flight: Gauge,
    requests: CounterBy2<Asked, Class>,
    seconds: HistogramBy<Asked>,
    refusals: CounterBy<Refusal>,
}

impl Instruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            in_flight: registry.gauge(
                "postrider_ingest_requests_in_flight",
                "Requests that are being answered.",
            ),
            requests: registry.counter_by2(
                "postrider_ingest_requests_total",
                "Requests answered, by endpoint and class of status.",
            ),
            seconds: registry.histogram_by(
                "postrider_ingest_request_seconds",
                "From a request's header to its answer; its body is read in between.",
                &[
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
                ],
            ),
            refusals: registry.counter_by(
                "postrider_ingest_refusals_total",
                "Requests refused, by the name that the client is told.",
            ),
        }
    }

    pub(crate) fn answered(&self, asked: Asked, answer: &Answer, took: Duration) {
        let class = match answer.status {
            0..=399 => Class::Good,
            400..=499 => Class::Client,
            _ => Class::Server,
        };
        self.requests.add(asked, class, 1);
        self.seconds.span(asked, took);
        if let Some(name) = answer.refused_as() {
            self.refusals.add(Refusal::of(name), 1);
        }
    }
}

impl Refusal {
    fn of(name: &str) -> Self {
        let mut all = Self::ALL.iter().copied();
        all.find(|refusal| refusal.word() == name)
            .unwrap_or(Self::Other)
    }
}

impl Asked {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Send => Self::Send,
            Endpoint::SendBatch => Self::SendBatch,
            Endpoint::SendRaw => Self::SendRaw,
            Endpoint::List => Self::List,
            Endpoint::Email(_) => Self::Email,
            Endpoint::Reschedule(_) => Self::Reschedule,
            Endpoint::Events(_) => Self::Events,
            Endpoint::Attachments(_) => Self::Attachments,
            Endpoint::Cancel(_) => Self::Cancel,
            Endpoint::Domains => Self::Domains,
            Endpoint::Usage => Self::Usage,
            Endpoint::Session(_) => Self::Session,
            Endpoint::Suppressions
            | Endpoint::Suppress
            | Endpoint::SuppressAll
            | Endpoint::LiftAll
            | Endpoint::Suppression(_)
            | Endpoint::Lift(_) => Self::Suppressions,
            Endpoint::Enrol | Endpoint::Rotate | Endpoint::Enrolment => Self::Enrol,
            Endpoint::Refusals
            | Endpoint::MtaSts
            | Endpoint::ReplyPage(_)
            | Endpoint::ReplyAnswer(_)
            | Endpoint::UnsubscribePage(_)
            | Endpoint::MessagePage(_)
            | Endpoint::Unsubscribe(_) => Self::Page,
            Endpoint::Contract => Self::Contract,
            Endpoint::Health => Self::Health,
            Endpoint::Ready => Self::Ready,
        }
    }
}
