//! The near end: clients that hand mail over by HTTP, or to a peer by SMTP, as fast as they are answered or at a rate.

mod client;
mod content;
mod pipe;
mod smtp;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postrider_model::{MessageId, Stream};
use tokio::task::JoinSet;

pub(crate) use client::{Client, Door};

use content::Content;

use crate::ledger::Ledger;
use crate::sink::recipient;
use crate::stock::Tenant;

/// Before a request is made again whose outcome is not known, or that was told to come back.
const PAUSE: Duration = Duration::from_millis(100);

/// Mail to be sent.
#[derive(Clone)]
pub(crate) struct Load {
    /// Taken in turn.
    pub(crate) tenants: Vec<Arc<Tenant>>,
    pub(crate) phase: u16,
    pub(crate) stream: Stream,
    /// Of the text, in bytes.
    pub(crate) size: usize,
    /// Of the file that goes with it, in bytes; 0: none.
    pub(crate) attachment: usize,
    pub(crate) way: Way,
    pub(crate) sites: u8,
    pub(crate) clients: usize,
    /// Messages per second over all; `None`: as fast as they are answered.
    pub(crate) rate: Option<f64>,
    /// No more than so many messages.
    pub(crate) most: u64,
    /// With idempotency keys: what is not answered is asked again until it is.
    pub(crate) keys: bool,
}

/// How mail is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `POST /emails` over connections that are kept.
    Http,
    /// The same under TLS.
    Https,
    /// Whole messages, transaction after transaction in sessions that are kept; without a key.
    Smtp,
    /// The same under TLS, each session signed in as one of the tenants.
    Submission,
}

enum Connection {
    Http(Client),
    /// And the number of the tenant that it speaks for.
    Smtp(smtp::Client, u32),
}

/// What clients were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Told {
    pub(crate) accepted: u64,
    /// 429, 503: come back later.
    pub(crate) put_off: u64,
    /// Any other answer.
    pub(crate) refused: u64,
    /// No answer: it may have been accepted.
    pub(crate) unanswered: u64,
}

/// A load under way.
pub(crate) struct Sending {
    clients: JoinSet<()>,
    shared: Arc<Shared>,
    began: Instant,
}

struct Shared {
    load: Load,
    doors: Vec<Door>,
    ledger: Ledger,
    content: Content,
    next: AtomicU64,
    stops: AtomicBool,
    told: [AtomicU64; 4],
    began: tokio::time::Instant,
}

/// Begins to send to these doors, in turn over the clients.
pub(crate) fn send(load: Load, doors: &[Door], ledger: &Ledger) -> Sending {
    let shared = Arc::new(Shared {
        doors: doors.to_vec(),
        ledger: ledger.clone(),
        content: Content::of(load.size, load.attachment),
        next: AtomicU64::new(0),
        stops: AtomicBool::new(false),
        told: Default::default(),
        began: tokio::time::Instant::now(),
        load,
    });
    let mut clients = JoinSet::new();
    for number in 0..shared.load.clients {
        clients.spawn(client(number, Arc::clone(&shared)));
    }
    Sending {
        clients,
        shared,
        began: Instant::now(),
    }
}

impl Sending {
    /// Waits until all is sent.
    pub(crate) async fn done(mut self) -> (Told, Duration) {
        while self.clients.join_next().await.is_some() {}
        (self.shared.told(), self.began.elapsed())
    }

    /// Begins no more requests and waits for those that were begun.
    pub(crate) async fn stop(self) -> (Told, Duration) {
        self.shared.stops.store(true, Ordering::Relaxed);
        self.done().await
    }
}

async fn client(number: usize, shared: Arc<Shared>) {
    let mut doors = shared
        .doors
        .iter()
        .cycle()
        .skip(number % shared.doors.len().max(1));
    let count = shared.load.tenants.len().max(1);
    let own = shared.load.tenants.get(number % count);
    let connect = |door: &Door| match (shared.load.way, own) {
        (Way::Submission, Some(own)) => {
            let key = Some(own.token.clone());
            Connection::Smtp(smtp::Client::new(*door, key), own.number)
        }
        (Way::Http, _) => Connection::Http(Client::new(*door)),
        (Way::Https, _) => Connection::Http(Client::under_tls(*door)),
        (Way::Smtp | Way::Submission, _) => Connection::Smtp(smtp::Client::new(*door, None), 0),
    };
    let Some(mut connection) = doors.next().map(connect) else {
        return;
    };
    loop {
        let ticket = shared.next.fetch_add(1, Ordering::Relaxed);
        if ticket >= shared.load.most {
            return;
        }
        shared.await_turn(ticket).await;
        if shared.stops.load(Ordering::Relaxed) {
            return;
        }
        shared.hand_over(ticket, &mut connection).await;
        if connection.is_closed()
            && let Some(door) = doors.next()
        {
            connection = connect(door);
        }
    }
}

impl Connection {
    fn is_closed(&self) -> bool {
        match self {
            Self::Http(client) => client.is_closed(),
            Self::Smtp(client, _) => client.is_closed(),
        }
    }
}

impl Shared {
    async fn await_turn(&self, ticket: u64) {
        if let Some(rate) = self.load.rate {
            #[expect(clippy::cast_precision_loss, reason = "a number of messages")]
            let due = self.began + Duration::from_secs_f64(ticket as f64 / rate);
            tokio::time::sleep_until(due).await;
        }
    }

    async fn hand_over(&self, ticket: u64, connection: &mut Connection) {
        let count = self.load.tenants.len().max(1) as u64;
        let tenant = usize::try_from(ticket % count).ok();
        match (connection, tenant.and_then(|at| self.load.tenants.get(at))) {
            (Connection::Http(client), Some(tenant)) => self.post(tenant, client).await,
            (Connection::Smtp(client, own), _) => self.transfer(*own, client).await,
            (Connection::Http(_), None) => {}
        }
    }

    async fn transfer(&self, tenant: u32, client: &mut smtp::Client) {
        let number = self.ledger.posted(tenant, self.load.phase);
        let to = recipient(number, self.load.sites);
        let message = self.content.message((number, tenant), &to);
        self.tell(match client.send(&to, &message).await {
            Ok(smtp::Reply { code: 250, id }) => {
                self.ledger.acknowledged(number, id);
                0
            }
            Ok(smtp::Reply {
                code: 400..=499, ..
            }) => 1,
            Ok(_) => 2,
            Err(_) => 3,
        });
    }

    async fn post(&self, tenant: &Tenant, connection: &mut Client) {
        let number = self.ledger.posted(tenant.number, self.load.phase);
        let key = self.load.keys.then(|| format!("key-{number}"));
        let to = recipient(number, self.load.sites);
        let head = self
            .content
            .head((number, tenant.number), &to, self.load.stream);
        let body = self.content.request(&head);
        loop {
            let answer = connection
                .post(tenant.token.expose(), &body, key.as_deref())
                .await;
            if let Ok(answer) = &answer
                && let (200, Some(id)) = (answer.status, id_of(&answer.body))
            {
                self.ledger.acknowledged(number, Some(id));
                self.tell(0);
                return;
            }
            let told = match answer {
                Ok(answer) if matches!(answer.status, 429 | 503) => 1,
                // A request under the same key is still under way.
                Ok(answer) if answer.status == 409 && key.is_some() => 1,
                Ok(_) => 2,
                Err(_) => 3,
            };
            self.tell(told);
            if told != 2 {
                tokio::time::sleep(PAUSE).await;
            }
            // Without a key a second request would be a second message.
            if key.is_none() || told == 2 {
                return;
            }
        }
    }

    fn tell(&self, what: usize) {
        if let Some(counter) = self.told.get(what) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn told(&self) -> Told {
        let [accepted, put_off, refused, unanswered] = self
            .told
            .each_ref()
            .map(|counter| counter.load(Ordering::Relaxed));
        Told {
            accepted,
            put_off,
            refused,
            unanswered,
        }
    }
}

fn id_of(body: &[u8]) -> Option<MessageId> {
    #[derive(serde::Deserialize)]
    struct Accepted {
        id: MessageId,
    }
    serde_json::from_slice::<Accepted>(body)
        .ok()
        .map(|accepted| accepted.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gives_its_id_or_none() {
        let id = "0190a6b8-7c2e-7000-8000-000000000001";
        let body = format!(r#"{{"id":"{id}"}}"#);
        assert_eq!(id_of(body.as_bytes()), Some(id.parse().unwrap()));
        assert_eq!(id_of(br#"{"name":"validation_error"}"#), None);
    }
}
