//! An authority that says what a test wants to hear. A real one is asked in the tests of the relay.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where what it stands on breaks"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, header};
use postrider_acme::{Account, AcmeError, Authority, Opened, Reason, Refusal, Verdict};
use postrider_dns::{DnsConfig, Resolver};
use postrider_http::{Answer, Door, Request};
use postrider_runtime::Shutdown;
use postrider_telemetry::Registry;
use postrider_tls::{Acceptor, KeyKind, self_signed, trusting};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Its directory, nonces, and what it answers who wants an account.
struct Scripted {
    base: String,
    account: fn(usize) -> Answer,
    asked: AtomicUsize,
}

#[async_trait]
impl Door for Scripted {
    async fn answer(&self, request: Request) -> Answer {
        let nonce = (
            HeaderName::from_static("replay-nonce"),
            HeaderValue::from_static("bm9uY2U"),
        );
        let answer = match request.path.as_str() {
            "/dir" => {
                let at = |name: &str| format!("{}/{name}", self.base);
                let directory = json!({"newNonce": at("nonce"), "newAccount": at("account"),
                    "newOrder": at("order"), "revokeCert": at("revoke"), "keyChange": at("key")});
                Answer::json(200, &directory)
            }
            "/nonce" => Answer::text(200, ""),
            "/account" => (self.account)(self.asked.fetch_add(1, Ordering::Relaxed)),
            "/nowhere" => Answer::json(
                200,
                &json!({"newNonce": "", "newAccount": "", "newOrder": ""}),
            ),
            "/busy" => problem(503, "rateLimited")
                .header(header::RETRY_AFTER, HeaderValue::from_static("3600")),
            "/full" => Answer::html(429, "<p>Slower</p>")
                .header(header::RETRY_AFTER, HeaderValue::from_static("60")),
            "/page" => Answer::html(200, "<p>Welcome</p>"),
            _ => Answer::html(503, "<p>Later</p>"),
        };
        answer.header(nonce.0, nonce.1)
    }
}

fn problem(status: u16, word: &str) -> Answer {
    let kind = HeaderValue::from_static("application/problem+json");
    let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{word}","detail":"so it is"}}"#);
    Answer::new(status, kind, body)
}

fn granted(_: usize) -> Answer {
    let place = HeaderValue::from_static("https://127.0.0.1/account/1");
    Answer::json(201, &json!({"status": "valid"})).header(header::LOCATION, place)
}

/// Where one is asked, and its end.
struct Running {
    authority: Authority,
    shutdown: Shutdown,
    _tasks: JoinSet<()>,
}

async fn running(account: fn(usize) -> Answer) -> Running {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let own = self_signed(&["127.0.0.1".to_owned()], KeyKind::Ecdsa).unwrap();
    let tls = Acceptor::from_pem(own.certificate_pem.as_bytes(), own.key_pem.as_bytes()).unwrap();
    let door = Arc::new(Scripted {
        base: base.clone(),
        account,
        asked: AtomicUsize::new(0),
    });
    let shutdown = Shutdown::new(Duration::from_secs(1));
    let config = postrider_http::Config::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(postrider_http::serve(
        listener,
        Some(tls),
        door,
        config,
        shutdown.clone(),
    ));
    // Nobody is there: names are not asked for where addresses are given.
    let dns = DnsConfig {
        servers: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 9))],
        timeout: Duration::from_secs(1),
        attempts: 1,
    };
    Running {
        authority: Authority {
            directory: format!("{base}/dir"),
            resolver: Resolver::new(dns, &Registry::new()).unwrap(),
            connector: trusting(own.certificate_pem.as_bytes()).unwrap(),
        },
        shutdown,
        _tasks: tasks,
    }
}

async fn opened(account: fn(usize) -> Answer) -> Result<Verdict<Opened>, AcmeError> {
    let running = running(account).await;
    let opened = Account::open(&running.authority, "me@relay.example", None).await;
    running.shutdown.begin();
    opened
}

async fn refused(account: fn(usize) -> Answer) -> Refusal {
    match opened(account).await {
        Ok(Verdict::Refused(refusal)) => refusal,
        Ok(Verdict::Granted(_)) => panic!("it was granted"),
        Err(fault) => panic!("{fault}"),
    }
}

#[tokio::test]
async fn an_account_is_kept_and_opened_again() {
    let running = running(granted).await;
    let open = async |contact, kept| match Account::open(&running.authority, contact, kept).await {
        Ok(Verdict::Granted(opened)) => opened.keep,
        other => panic!("{:?}", other.err()),
    };
    let kept = open("me@relay.example", None).await.unwrap();
    assert!(kept.contains("me@relay.example"), "{kept}");
    assert_eq!(open("me@relay.example", Some(&kept)).await, None);
    // Another authority does not know it.
    let other = kept.replace("/dir\"", "/other\"");
    assert!(open("me@relay.example", Some(&other)).await.is_some());
    let bad = Account::open(&running.authority, "", Some("{}"))
        .await
        .err();
    assert!(matches!(bad, Some(AcmeError::BadAccount(_))), "{bad:?}");
}

#[tokio::test]
async fn who_asks_too_often_hears_when_to_come_back() {
    let refusal = refused(|_| {
        let after = HeaderValue::from_static("3600");
        problem(429, "rateLimited").header(header::RETRY_AFTER, after)
    });
    let refusal = refusal.await;
    assert_eq!(refusal.reason, Reason::RateLimited);
    assert_eq!(refusal.retry_after, Some(Duration::from_hours(1)));
    assert_eq!(refusal.detail, "so it is");
}

#[tokio::test]
async fn a_nonce_that_is_refused_is_another_try_and_not_for_ever() {
    let once = |asked| match asked {
        0 => problem(400, "badNonce"),
        _ => granted(asked),
    };
    assert!(matches!(opened(once).await, Ok(Verdict::Granted(_))));
    let refusal = refused(|_| problem(400, "badNonce")).await;
    assert_eq!(
        (refusal.reason, &*refusal.word),
        (Reason::Other, "badNonce")
    );
}

#[tokio::test]
async fn who_is_no_authority_or_is_in_trouble_is_told_apart() {
    let fault = opened(|_| Answer::html(502, "<p>Bad gateway</p>"))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(fault, AcmeError::NotAcme { status: 502, .. }),
        "{fault:?}"
    );
    assert!(fault.remedy().contains("in trouble"));
    let fault = opened(|_| Answer::html(404, "<p>No</p>"))
        .await
        .err()
        .unwrap();
    assert!(fault.remedy().contains("acme.directory"), "{fault:?}");

    let mut running = running(granted).await;
    let directory = running.authority.directory.clone();
    running.authority.directory = directory.replace("/dir", "/page");
    let fault = Account::open(&running.authority, "", None)
        .await
        .err()
        .unwrap();
    assert!(matches!(fault, AcmeError::Unintelligible(_)), "{fault:?}");
    running.authority.directory = directory.replace("/dir", "/nowhere");
    let fault = Account::open(&running.authority, "", None)
        .await
        .err()
        .unwrap();
    assert!(matches!(fault, AcmeError::Unintelligible(_)), "{fault:?}");
    running.authority.directory = directory.replace("https", "http");
    let fault = Account::open(&running.authority, "", None)
        .await
        .err()
        .unwrap();
    assert!(matches!(fault, AcmeError::NoDirectory(_)), "{fault:?}");
    running.authority.directory = directory;
    let stranger = self_signed(&["127.0.0.1".to_owned()], KeyKind::Ecdsa).unwrap();
    running.authority.connector = trusting(stranger.certificate_pem.as_bytes()).unwrap();
    let fault = Account::open(&running.authority, "", None)
        .await
        .err()
        .unwrap();
    assert!(matches!(fault, AcmeError::NoTls { .. }), "{fault:?}");
    assert!(fault.remedy().contains("acme.root"));
}

#[tokio::test]
async fn a_directory_that_says_later_is_heard() {
    let mut running = running(granted).await;
    let directory = running.authority.directory.clone();
    running.authority.directory = directory.replace("/dir", "/busy");
    let busy = Account::open(&running.authority, "", None).await;
    let Ok(Verdict::Refused(refusal)) = busy else {
        panic!("{:?}", busy.err());
    };
    let hour = Some(Duration::from_hours(1));
    assert_eq!(
        (refusal.reason, refusal.retry_after),
        (Reason::RateLimited, hour)
    );
    running.authority.directory = directory.replace("/dir", "/full");
    let full = Account::open(&running.authority, "", None).await;
    let full = full.err().unwrap();
    assert_eq!(full.retry_after(), Some(Duration::from_mins(1)));
    assert!(full.remedy().contains("wait"), "{full:?}");
    running.shutdown.begin();
}

#[tokio::test]
async fn a_key_that_is_none_is_the_accounts_fault() {
    let running = running(granted).await;
    let opened = Account::open(&running.authority, "", None).await;
    let Ok(Verdict::Granted(opened)) = opened else {
        panic!("{:?}", opened.err());
    };
    let mut kept: serde_json::Value = serde_json::from_str(&opened.keep.unwrap()).unwrap();
    *kept.pointer_mut("/credentials/key_pkcs8").unwrap() = "AAAA".into();
    let kept = kept.to_string();
    let fault = Account::open(&running.authority, "", Some(&kept)).await;
    let fault = fault.err().unwrap();
    assert!(matches!(fault, AcmeError::BadAccount(_)), "{fault:?}");
    running.shutdown.begin();
}
