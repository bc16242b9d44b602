//! What is accepted, and what the answer says.

use crate::harness::{Relay, mail};

#[tokio::test]
async fn a_message_is_accepted_and_shown_as_it_will_be_sent() {
    let relay = Relay::start().await;
    let request = mail(
        r#","from":"Joe <joe@elsewhere.example>","cc":["Bo <bo@example.org>"],"bcc":"cy@example.org","foo":1,
        "tags":[{"name":"kind","value":"estimate"}],"attachments":[{"filename":"a.txt","content":"aGk="}]"#,
    );
    let sent = relay.send(request).await;
    assert_eq!(
        sent.field("relay-warning"),
        Some("ignored unknown fields: foo")
    );
    let id = sent.id();
    let email = relay.get(&format!("/emails/{id}")).await.json;
    assert_eq!(email["id"], id);
    assert_eq!(email["from"], format!("Joe <{}>", relay.tenant.from));
    assert_eq!(email["original_from"], "Joe <joe@elsewhere.example>");
    assert_eq!(
        email["reply_to"],
        serde_json::json!(["joe@joesgarage.example"])
    );
    assert_eq!(email["to"], serde_json::json!(["ann@example.org"]));
    assert_eq!(email["cc"], serde_json::json!(["Bo <bo@example.org>"]));
    assert_eq!(email["bcc"], serde_json::json!(["cy@example.org"]));
    assert_eq!(
        (&email["subject"], &email["last_event"]),
        (&"Your car".into(), &"queued".into())
    );
    assert_eq!(email["text"].as_str().map(str::trim), Some("is ready"));
    assert_eq!(email["tags"][0]["value"], "estimate");
    assert_eq!(email["attachments"][0]["size"], 2);
    assert_eq!(email["recipients"].as_array().unwrap().len(), 3);
    assert_eq!(email["recipients"][2]["state"], "queued");
    assert!(email["created_at"].as_str().unwrap().ends_with('Z'));
    assert!(email.get("statusCode").is_none());
}

#[tokio::test]
async fn a_scheduled_message_waits_for_its_time() {
    let relay = Relay::start().await;
    let id = relay
        .send(mail(
            r#","scheduled_at":"in 2 hours","expires_at":"2026-01-31T11:00:00Z""#,
        ))
        .await
        .id();
    let email = relay.get(&format!("/emails/{id}")).await.json;
    assert_eq!(email["last_event"], "scheduled");
    assert_eq!(email["scheduled_at"], "2026-01-31T10:00:00.000000Z");
    assert_eq!(email["expires_at"], "2026-01-31T11:00:00.000000Z");
    assert_eq!(email["recipients"][0]["state"], "scheduled");
    assert_eq!(
        email["recipients"][0]["due_at"],
        "2026-01-31T10:00:00.000000Z"
    );
    let past = relay
        .send(mail(r#","scheduled_at":"2020-01-01T00:00:00Z""#))
        .await
        .id();
    assert_eq!(
        relay.get(&format!("/emails/{past}")).await.json["last_event"],
        "queued"
    );
}

#[tokio::test]
async fn a_raw_message_goes_to_the_query_and_to_nobody_in_its_header() {
    let relay = Relay::start().await;
    let raw = "From: joe@elsewhere.example\r\nTo: many@example.net\r\nSubject: raw\r\n\r\n.dot\r\n";
    let sent = relay
        .post(
            "//emails/raw?to=ann@example.org&to=a%2Bb@example.org",
            &[("content-type", "message/rfc822")],
            raw,
        )
        .await;
    let email = relay.get(&format!("/emails/{}", sent.id())).await.json;
    let recipients: Vec<_> = email["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["address"].as_str().unwrap())
        .collect();
    assert_eq!(recipients, ["ann@example.org", "a+b@example.org"]);
    assert_eq!(email["to"], serde_json::json!(["many@example.net"]));
    assert_eq!(email["text"].as_str().map(str::trim_end), Some(".dot"));
    // Doubles count once.
    let twice = "&to=ann@example.org&to=Ann@EXAMPLE.org".repeat(30);
    relay
        .post(&format!("/emails/raw?{twice}"), &[], raw)
        .await
        .id();
}

#[tokio::test]
async fn a_name_that_may_not_be_shown_is_replaced_and_the_event_says_so() {
    let relay = Relay::start().await;
    let sent = relay
        .send(mail(r#","from":"service@bank.example <a@b.example>""#))
        .await
        .id();
    let email = relay.get(&format!("/emails/{sent}")).await.json;
    assert_eq!(
        email["from"],
        format!("Joe's Garage <{}>", relay.tenant.from)
    );
    let events = relay.get(&format!("/emails/{sent}/events")).await.json;
    let note = events["data"][0]["note"].as_str().unwrap();
    assert!(
        note.starts_with("the name \"service@bank.example\" is not shown"),
        "{note}"
    );
}

#[tokio::test]
async fn an_old_program_with_raw_latin_1_in_its_header_is_understood() {
    let relay = Relay::start().await;
    let raw = b"From: Garage L\xe9on <leon@elsewhere.example>\r\nTo: undisclosed-recipients:;\r\n\
        Date: lun., 5 ao\xfbt 2026 10:00\r\nSubject: Votre v\xe9hicule\r\n\r\nest pr\xeat\r\n";
    let sent = relay
        .post("/emails/raw?to=ann@example.org", &[], raw)
        .await
        .id();
    let email = relay.get(&format!("/emails/{sent}")).await.json;
    assert_eq!(email["subject"], "Votre véhicule");
    let from = email["from"].as_str().unwrap();
    assert!(from.starts_with("Garage Léon <"), "{from}");
}

#[tokio::test]
async fn the_same_key_gives_the_same_message_and_another_request_is_refused() {
    let relay = Relay::start().await;
    let key = [("idempotency-key", "order-1")];
    let first = relay.post("/emails", &key, mail("")).await;
    assert_eq!(first.field("idempotency-replayed"), None);
    let again = relay.post("/emails", &key, mail(" , \"cc\" : null")).await;
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    assert_eq!(first.id(), again.id());
    let other = relay
        .post("/emails", &key, mail(r#","cc":"bo@example.org""#))
        .await;
    assert_eq!(other.refusal(), (409, "invalid_idempotent_request"));
    // Another endpoint is another scope, and a refused request leaves its key free.
    let raw = "/emails/raw?to=ann@example.org";
    assert_ne!(
        relay.post(raw, &key, "Subject: a\r\n\r\nb").await.id(),
        first.id()
    );
    let fresh = [("idempotency-key", "order-2")];
    assert_eq!(
        relay
            .post("/emails", &fresh, mail(r#","cc":"bo""#))
            .await
            .status,
        422
    );
    relay.post("/emails", &fresh, mail("")).await.id();
    let long = "k".repeat(257);
    for bad in ["", "a b", long.as_str()] {
        let refused = relay
            .post("/emails", &[("idempotency-key", bad)], mail(""))
            .await;
        assert_eq!(
            refused.refusal(),
            (400, "invalid_idempotency_key"),
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn equal_requests_at_the_same_time_make_one_message() {
    let relay = Relay::start().await;
    let key = [("idempotency-key", "once")];
    let requests = (0..20).map(|_| relay.post("/emails", &key, mail("")));
    let mut ids = std::collections::HashSet::new();
    let mut stored = 0;
    for answer in futures_of(requests).await {
        stored += usize::from(answer.field("idempotency-replayed").is_none());
        ids.insert(answer.id());
    }
    assert_eq!((ids.len(), stored), (1, 1));
}

pub(crate) async fn futures_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|future| Some(Box::pin(future))).collect();
    let mut done: Vec<_> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in waiting.iter_mut().zip(&mut done) {
            if let Some(running) = future
                && let std::task::Poll::Ready(value) = running.as_mut().poll(context)
            {
                (*future, *output) = (None, Some(value));
            }
        }
        if waiting.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_large_attachment_passes_and_one_over_the_limit_does_not() {
    let relay = Relay::start().await;
    let with = |size: usize| {
        mail(&format!(
            r#","attachments":[{{"filename":"a.bin","content":"{}"}}]"#,
            "AAAA".repeat(size / 3)
        ))
    };
    let sent = relay.send(with(10 * 1024 * 1024)).await;
    let email = relay.get(&format!("/emails/{}", sent.id())).await.json;
    assert_eq!(email["attachments"][0]["size"], 10 * 1024 * 1024 / 3 * 3);
    assert_eq!(email["text"], serde_json::Value::Null);
    let too_large = relay.send(with(32 * 1024 * 1024)).await;
    assert_eq!(too_large.refusal(), (413, "validation_error"));
    assert_eq!(too_large.field("connection"), Some("close"));
}

#[tokio::test]
async fn a_raw_message_is_asked_of_in_its_header_as_over_smtp() {
    let relay = Relay::start().await;
    let to = "/emails/raw?to=ann@example.org";
    let raw = "Subject: a\nX-Postrider-Stream: bulk\nX-Postrider-Tag: campaign=spring\n\
               X-Postrider-Scheduled-At: in 2 hours\nX-Postrider-Expires-At: 2026-01-31T12:00:00Z\n\
               X-Postrider-Idempotency-Key: order-17\n\nb\n";
    let sent = relay.post(to, &[], raw).await;
    let id = sent.id();
    let email = relay.email(&id).await;
    assert_eq!(email["stream"], "bulk", "{email}");
    assert_eq!(email["tags"][0]["name"], "campaign", "{email}");
    assert_eq!(
        email["scheduled_at"], "2026-01-31T10:00:00.000000Z",
        "{email}"
    );
    let again = relay
        .post(to, &[("Idempotency-Key", "order-17")], raw)
        .await;
    assert_eq!(again.id(), id);
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    let other = relay
        .post(to, &[("Idempotency-Key", "order-18")], raw)
        .await;
    assert_eq!(other.refusal(), (400, "invalid_idempotency_key"));
    for (line, says) in [
        ("X-Postrider-Stream: marketing", "X-Postrider-Stream"),
        ("X-Postrider-Streem: bulk", "X-Postrider-Streem"),
        ("X-Postrider-Expires-At: tomorrow", "X-Postrider-Expires-At"),
    ] {
        let refused = relay
            .post(to, &[], format!("Subject: a\n{line}\n\nb\n"))
            .await;
        assert_eq!(refused.refusal(), (422, "invalid_parameter"));
        let message = refused.json["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
    }
}
