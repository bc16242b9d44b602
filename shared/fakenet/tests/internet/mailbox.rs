use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use postrider_fakenet::{Exchanger, FakeInternet, mailbox_door};
use postrider_http::Config;
use postrider_message::{SigningKey, generate_key, sign};
use postrider_model::{DkimAlgorithm, Domain};
use postrider_runtime::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Client, start};

const PREFIX: &str = "/fake/mailbox";

struct Answered {
    status: u16,
    head: String,
    body: String,
}

/// A mailbox door that listens, and one who asks it.
struct Post {
    net: FakeInternet,
    mx: Exchanger,
    address: std::net::SocketAddr,
    shutdown: Shutdown,
    served: tokio::task::JoinSet<()>,
}

impl Post {
    async fn open() -> Self {
        let net = start().await;
        let mx = net.exchanger("example.org").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new(Duration::from_secs(5));
        let door = Arc::new(mailbox_door(&net, PREFIX));
        let mut served = tokio::task::JoinSet::new();
        let (config, stop) = (Config::default(), shutdown.clone());
        served.spawn(postrider_http::serve(listener, None, door, config, stop));
        Self {
            net,
            mx,
            address,
            shutdown,
            served,
        }
    }

    async fn ask(&self, method: &str, path: &str) -> Answered {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        tcp.read_to_end(&mut all).await.unwrap();
        let all = String::from_utf8(all).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        Answered {
            status: head[9..12].parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn list(&self) -> serde_json::Value {
        let listed = self.ask("GET", PREFIX).await;
        assert_eq!(listed.status, 200);
        serde_json::from_str(&listed.body).unwrap()
    }

    async fn deliver(&self, message: &str) {
        let mut client = Client::greet(&self.mx).await;
        client.say("MAIL FROM:<ann@sender.example>").await;
        client.say("RCPT TO:<bob@example.org>").await;
        client.say("DATA").await;
        assert!(client.say(&format!("{message}.")).await.starts_with("250"));
    }

    async fn close(mut self) {
        self.shutdown.begin();
        while self.served.join_next().await.is_some() {}
    }
}

#[tokio::test]
async fn the_mailbox_is_listed_read_and_emptied_over_http() {
    let post = Post::open().await;
    assert_eq!(post.list().await, serde_json::json!([]));
    let message = "From: a@sender.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n";
    post.deliver(message).await;
    let list = post.list().await;
    let at = list[0]["received_at"].as_str().unwrap().to_owned();
    assert!(at.ends_with('Z'), "{at}");
    let want = serde_json::json!([{
        "id": "1", "mail_from": "ann@sender.example", "rcpt_to": ["bob@example.org"],
        "received_at": at, "size": message.len(), "tls": null, "subject": "Grüße", "dkim": [],
    }]);
    assert_eq!(list, want);
    let raw = post.ask("GET", &format!("{PREFIX}/1/raw")).await;
    assert_eq!((raw.status, raw.body.as_str()), (200, message));
    assert!(
        raw.head.contains("content-type: message/rfc822"),
        "{}",
        raw.head
    );
    for missing in ["/2/raw", "/x/raw", "/1", "/1/raw/x"] {
        assert_eq!(
            post.ask("GET", &format!("{PREFIX}{missing}")).await.status,
            404
        );
    }
    assert_eq!(post.ask("GET", "/fake").await.status, 404);
    assert_eq!(post.ask("POST", PREFIX).await.status, 405);
    assert_eq!(post.ask("DELETE", PREFIX).await.status, 200);
    assert_eq!(post.list().await, serde_json::json!([]));
    post.close().await;
}

#[tokio::test]
async fn a_person_sees_the_mailbox_at_the_root() {
    let post = Post::open().await;
    assert!(
        post.ask("GET", "/")
            .await
            .body
            .contains("Nothing has arrived yet")
    );
    post.deliver("From: a@sender.example\r\nSubject: <script>x</script>\r\n\r\n<b>hello</b>\r\n")
        .await;
    let list = post.ask("GET", "/").await;
    assert!(
        list.head
            .contains("content-security-policy: default-src 'none'"),
        "{}",
        list.head
    );
    assert!(
        list.body.contains("href=\"/message/1\">&lt;script&gt;x"),
        "{}",
        list.body
    );
    let page = post.ask("GET", "/message/1").await;
    assert!(
        page.body.contains("&lt;b&gt;hello&lt;/b&gt;"),
        "{}",
        page.body
    );
    assert!(
        page.body.contains("href=\"/fake/mailbox/1/raw\""),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert_eq!(post.ask("GET", "/message/2").await.status, 404);
    assert!(
        post.ask("GET", "/style.css")
            .await
            .head
            .contains("text/css")
    );
    post.close().await;
}

fn signed(record_of: impl Fn(&str, String)) -> String {
    let domain = Domain::parse("sender.example").unwrap();
    let keys: Vec<SigningKey> = [
        ("r1", DkimAlgorithm::RsaSha256),
        ("e1", DkimAlgorithm::Ed25519Sha256),
    ]
    .into_iter()
    .map(|(selector, algorithm)| {
        let made = generate_key(algorithm).unwrap();
        record_of(
            &format!("{selector}._domainkey.sender.example"),
            made.record,
        );
        SigningKey::from_pkcs8(algorithm, &made.pkcs8, &domain, selector).unwrap()
    })
    .collect();
    let message = b"From: a@sender.example\r\nSubject: signed\r\n\r\n.hello\r\n";
    let fields = sign(message, &keys, Duration::from_hours(24)).unwrap();
    String::from_utf8([fields.as_slice(), message].concat()).unwrap()
}

#[tokio::test]
async fn signatures_are_verified_with_keys_from_this_internets_dns() {
    let post = Post::open().await;
    let message = signed(|name, record| post.net.set_txt(name, vec![record]));
    let stuffed = message.replace("\r\n.", "\r\n..");
    post.deliver(&stuffed).await;
    post.deliver(&stuffed.replace("hello", "hullo")).await;
    let mailbox = post.net.mailbox();
    mailbox.wait_for(2).await;
    let entries = mailbox.entries().await;
    assert_eq!(entries[0].dkim, ["pass", "pass"]);
    assert_eq!(entries[1].dkim, ["fail", "fail"]);
    let asked = post.net.dns_queries();
    assert!(asked.contains(&("r1._domainkey.sender.example".to_owned(), "TXT".to_owned())));
    assert!(
        post.ask("GET", "/")
            .await
            .body
            .contains("<span class=\"pass\">pass</span>")
    );
    post.close().await;
}

#[tokio::test]
async fn a_signature_whose_key_comes_later_is_verified_then() {
    let post = Post::open().await;
    let records = RefCell::new(Vec::new());
    let message = signed(|name, record| records.borrow_mut().push((name.to_owned(), record)));
    post.deliver(&message.replace("\r\n.", "\r\n..")).await;
    let mailbox = post.net.mailbox();
    assert_eq!(mailbox.entries().await[0].dkim, ["fail", "fail"]);
    for (name, record) in records.into_inner() {
        post.net.set_txt(&name, vec![record]);
    }
    assert_eq!(mailbox.entries().await[0].dkim, ["pass", "pass"]);
    post.close().await;
}
