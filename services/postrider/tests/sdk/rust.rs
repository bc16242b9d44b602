//! `resend-rs` from crates.io. It walks in this process, and once more over HTTP/2, which it speaks to
//! a relay that nobody stands before.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postrider_http::oracle::Exchange;
use reqwest::{Certificate, Client, ClientBuilder};
use resend_rs::idempotent::IdempotentTrait;
use resend_rs::list_opts::ListOptions;
use resend_rs::types::{
    BatchValidation, CreateAttachment, CreateEmailBaseOptions, EmailEvent, Tag, UpdateEmailOptions,
};
use resend_rs::{Config, Error, Method, Resend};
use serde::Serialize;
use serde_json::{Value, json};

use crate::checks;
use crate::story::{NOBODYS, REPLY_TO, Story, Told, content};

const FROM: &str = "Joe's Garage <joe@joesgarage.example>";

/// The SDK on its way through the story.
struct Walk<'a> {
    story: &'a Story,
    http: Client,
    told: Told,
}

#[tokio::test]
async fn the_sdk_for_rust_does_all_it_can_by_another_base_url() {
    let mut story = Story::begin().await;
    let mut walk = Walk {
        http: trusting(&story).build().unwrap(),
        story: &story,
        told: Told::default(),
    };
    walk.sending().await;
    walk.attaching().await;
    walk.batching().await;
    walk.repeating().await;
    walk.scheduling().await;
    walk.listing().await;
    walk.failing().await;
    let told = walk.told;
    checks::story(&story, &told).await;
    // Of a 429 this SDK tells only the numbers, and waits by them.
    assert_eq!(
        told.error("rate"),
        &json!({"limit": 1, "remaining": 0, "reset": 1})
    );
    for step in ["quota", "monthly"] {
        assert!(told.error(step)["reset"].is_u64(), "{step}");
    }
    for exchange in story.judged().await {
        sent_as_expected(&exchange);
    }
}

#[tokio::test]
async fn the_sdk_for_rust_speaks_http_2_where_nobody_stands_between() {
    let story = Story::begin().await;
    let (_, name) = story.place.http.tls.as_ref().unwrap();
    let url = format!("https://{name}:{}", story.place.http.address.port());
    let client = trusting(&story).http2_prior_knowledge();
    let client = client.resolve(name, story.place.http.address);
    let resend = resend(client.build().unwrap(), &story.place.key, &url);
    let file = CreateAttachment::from_content(content()).with_filename("a.bin");
    let mail = mail(&story.to("ann")).with_attachment(file);
    let sent = resend.emails.send(mail).await.unwrap();
    story.place.settled(&sent.id).await;
    let email = resend.emails.get(&sent.id).await.unwrap();
    assert_eq!(email.last_event, EmailEvent::Delivered);
    let (_, raw) = story.place.received_once(&story.to("ann")).await;
    let encoded = BASE64_STANDARD.encode(content());
    assert!(String::from_utf8(raw).unwrap().contains(&encoded));
}

#[tokio::test]
async fn the_sdk_for_rust_says_that_an_equal_request_is_under_way() {
    let mut story = Story::begin_stalled().await;
    let mut walk = Walk {
        http: trusting(&story).build().unwrap(),
        story: &story,
        told: Told::default(),
    };
    let key = format!("twice-{}", story.word);
    let mail = || walk.to("twice").with_idempotency_key(&key);
    let (one, other) = (walk.resend(), walk.resend());
    let both = tokio::join!(one.emails.send(mail()), other.emails.send(mail()));
    let again = walk.resend().emails.send(mail()).await;
    for sent in [both.0, both.1] {
        let step = if sent.is_err() { "waited" } else { "first" };
        walk.tell(step, sent);
    }
    walk.tell("asked_again", again);
    let told = walk.told;
    checks::concurrent(&told);
    story.judged().await;
}

fn trusting(story: &Story) -> ClientBuilder {
    let authority = std::fs::read(story.ca()).unwrap();
    let authority = Certificate::from_pem(&authority).unwrap();
    Client::builder().no_proxy().tls_certs_only([authority])
}

fn resend(client: Client, key: &str, url: &str) -> Resend {
    let config = Config::builder(key).base_url(url.parse().unwrap());
    Resend::with_config(config.client(client).build())
}

fn mail(to: &str) -> CreateEmailBaseOptions {
    CreateEmailBaseOptions::new(FROM, [to], "Your car").with_text("It is ready.")
}

impl Walk<'_> {
    // A new one each time: this SDK lets nine requests go at once, then one in 1.1 seconds.
    fn resend(&self) -> Resend {
        self.with_key(&self.story.place.key)
    }

    fn with_key(&self, key: &str) -> Resend {
        resend(self.http.clone(), key, &self.story.proxy.url)
    }

    fn to(&self, who: &str) -> CreateEmailBaseOptions {
        mail(&self.story.to(who))
    }

    /// Keeps what a step gave, in the words that the other SDKs' scripts use.
    fn tell<T: Serialize>(&mut self, step: &str, given: Result<T, Error>) {
        let line = match given {
            Ok(value) => json!({ "ok": value }),
            Err(Error::Resend(said)) => json!({"error": {
                "status": said.status_code,
                "name": said.name,
                "message": said.message,
            }}),
            Err(Error::RateLimit {
                ratelimit_limit,
                ratelimit_remaining,
                ratelimit_reset,
            }) => json!({"error": {
                "limit": ratelimit_limit,
                "remaining": ratelimit_remaining,
                "reset": ratelimit_reset,
            }}),
            Err(other) => panic!("{step}: {other:?}"),
        };
        self.told.add(step, line);
    }

    async fn send(&mut self, step: &str, mail: CreateEmailBaseOptions) -> String {
        let sent = self.resend().emails.send(mail).await;
        let id = sent.as_ref().map(|sent| sent.id.to_string());
        let id = id.unwrap_or_default();
        self.tell(step, sent);
        id
    }

    async fn get(&mut self, step: &str, id: &str) {
        let got = self.resend().emails.get(id).await;
        self.tell(step, got);
    }

    async fn cancel(&mut self, step: &str, id: &str) {
        let cancelled = self.resend().emails.cancel(id).await;
        self.tell(step, cancelled);
    }

    async fn sending(&mut self) {
        self.send("short", self.to("short")).await;
        let to = |who: &str| self.story.to(who);
        let both = [to("ann"), format!("Bo, Müller <{}>", to("bo"))];
        let full = CreateEmailBaseOptions::new(FROM, both, "Grüße 😀")
            .with_cc(&to("cc"))
            .with_bcc(&to("bcc"))
            .with_reply(REPLY_TO)
            .with_html("<p>It is <b>ready</b>.</p>")
            .with_text("It is ready.")
            .with_tag(Tag::new("kind", "estimate"))
            .with_tag(Tag::new("word", &self.story.word))
            .with_header("X-Entity-Ref-ID", &self.story.word);
        let id = self.send("full", full).await;
        self.story.place.settled(&id).await;
        self.get("get", &id).await;
        self.cancel("cancel_delivered", &id).await;
    }

    async fn attaching(&mut self) {
        let file = |name| CreateAttachment::from_content(content()).with_filename(name);
        let mail = self.to("files").with_html("<img src=\"cid:logo\">");
        let mail = mail.with_attachments([
            file("numbers.bin"),
            CreateAttachment::from(content().as_slice()).with_filename("slice.bin"),
            file("typed.bin").with_content_type("application/x-typed"),
            file("logo.png").with_content_id("logo"),
        ]);
        let id = self.send("attach", mail).await;
        let emails = self.resend().emails;
        let files = emails.list_attachments(&id, ListOptions::default()).await;
        self.tell("attachments", files);
        let path = CreateAttachment::from_path("https://files.example/a.txt");
        let mail = self.to("path").with_attachment(path.with_filename("a.txt"));
        self.send("attach_path", mail).await;
    }

    async fn batching(&mut self) {
        let batch = self.resend().batch;
        let mails = |all: &[&str]| all.iter().map(|who| self.to(who)).collect::<Vec<_>>();
        let sent = batch.send(mails(&["b0", "b1", "b2"])).await;
        let bad = vec![self.to("b3"), mail("bob@"), self.to("b4")];
        let strict = batch.send(bad.clone()).await;
        let mode = BatchValidation::Permissive;
        let permissive = batch.send_with_batch_validation(bad, mode).await;
        let key = format!("batch-{}", self.story.word);
        let pair = mails(&["b5", "b6"]);
        let once = batch.send(pair.clone().with_idempotency_key(&key)).await;
        let again = batch.send(pair.with_idempotency_key(&key)).await;
        for (step, given) in [
            ("batch", sent),
            ("batch_strict", strict),
            ("batch_once", once),
            ("batch_again", again),
        ] {
            // It gives what stands in `data`.
            self.tell(step, given.map(|data| json!({ "data": data })));
        }
        self.tell("batch_permissive", permissive);
    }

    async fn repeating(&mut self) {
        let key = format!("order/{}", self.story.word);
        let other = CreateEmailBaseOptions::new(FROM, [self.story.to("once")], "Another car");
        for (step, mail) in [
            ("once", self.to("once")),
            ("again", self.to("once")),
            ("other", other.with_text("It is ready.")),
        ] {
            let mail = mail.with_idempotency_key(&key);
            let sent = self.resend().emails.send(mail).await;
            self.tell(step, sent);
        }
    }

    async fn scheduling(&mut self) {
        let later = self
            .to("later")
            .with_scheduled_at(self.story.word("in_an_hour"));
        let id = self.send("schedule", later).await;
        self.get("scheduled", &id).await;
        self.update("update", &id).await;
        self.get("updated", &id).await;
        self.cancel("cancel", &id).await;
        self.get("cancelled", &id).await;
        self.cancel("cancel_again", &id).await;
        self.update("update_cancelled", &id).await;
        let words = self.to("words").with_scheduled_at("in 1 min");
        let words = self.send("schedule_words", words).await;
        self.get("scheduled_words", &words).await;
        self.cancel("cancel_words", &words).await;
        let next = self.to("next").with_scheduled_at("next tuesday");
        self.send("schedule_next", next).await;
    }

    async fn update(&mut self, step: &str, id: &str) {
        let at = self.story.word("in_two_hours");
        let change = UpdateEmailOptions::new().with_scheduled_at(at);
        let updated = self.resend().emails.update(id, change).await;
        self.tell(step, updated);
    }

    async fn listing(&mut self) {
        let emails = self.resend().emails;
        let two = || ListOptions::default().with_limit(2);
        let first = emails.list(two()).await.unwrap();
        let after = emails
            .list(two().list_after(&first.data[1].id))
            .await
            .unwrap();
        let before = emails.list(two().list_before(&after.data[0].id)).await;
        let unknown = emails.list(two().list_after(NOBODYS)).await;
        self.tell("list", Ok(first));
        self.tell("list_after", Ok(after));
        self.tell("list_before", before);
        self.tell("list_unknown", unknown);
        let domains = self.resend().domains.list(ListOptions::default()).await;
        self.tell("domains", domains);
        let url = format!("{}/", self.story.proxy.url);
        let slash = resend(self.http.clone(), &self.story.place.key, &url);
        let domains = slash.domains.list(ListOptions::default()).await;
        self.tell("slash", domains);
    }

    async fn failing(&mut self) {
        let failing = self.story.to("failing");
        for (step, key) in [
            ("missing_key", ""),
            ("invalid_key", self.story.word("invalid_key")),
        ] {
            let sent = self.with_key(key).emails.send(mail(&failing)).await;
            self.tell(step, sent);
        }
        let empty = CreateEmailBaseOptions::new(FROM, [failing.as_str()], "x");
        self.send("missing_field", empty).await;
        let two = CreateEmailBaseOptions::new(FROM, [failing.as_str(), "bob@"], "x");
        self.send("bad_address", two.with_text("x")).await;
        self.get("not_found", NOBODYS).await;
        self.raw("no_such_path", Method::GET, "/audiences").await;
        self.raw("method", Method::PUT, "/emails").await;
        let size = self.story.given["too_large"].as_u64().unwrap();
        let text = "x".repeat(usize::try_from(size).unwrap());
        self.send("too_large", mail(&failing).with_text(&text))
            .await;
        let two = CreateEmailBaseOptions::new(FROM, [failing, self.story.to("b")], "x");
        for step in ["quota", "monthly"] {
            let quota = self.with_key(self.story.word(&format!("{step}_key")));
            let sent = quota.emails.send(two.clone().with_text("x")).await;
            self.tell(step, sent);
        }
        self.rate().await;
    }

    async fn raw(&mut self, step: &str, method: Method, path: &str) {
        let resend = self.resend();
        let nothing = None::<()>;
        let given = resend.send_raw(method, path, nothing, nothing, None).await;
        self.tell(step, given);
    }

    // Until one is too many: a request may take long where much is going on.
    async fn rate(&mut self) {
        for _ in 0..50 {
            let limited = self.with_key(self.story.word("limited_key"));
            let listed = limited.domains.list(ListOptions::default()).await;
            if listed.is_err() {
                return self.tell("rate", listed);
            }
        }
    }
}

// What makes this SDK another case than the others: bytes are numbers, no body where none belongs.
fn sent_as_expected(exchange: &Exchange) {
    let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
    match (exchange.method.as_str(), exchange.target.as_str()) {
        ("POST", "/emails/batch") => assert!(exchange.headers.contains_key("x-batch-validation")),
        ("GET", _) => assert_eq!(exchange.body, b""),
        ("POST", path) if path.ends_with("/cancel") => assert_eq!(exchange.body, b""),
        _ => {}
    }
    for file in body["attachments"].as_array().into_iter().flatten() {
        assert!(
            file["content"] == json!(content()) || file["path"].is_string(),
            "{file}"
        );
    }
}
