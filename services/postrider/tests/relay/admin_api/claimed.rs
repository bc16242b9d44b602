//! A session in which a shop's password was wrong is its vendor's to read.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use postrider_tls::{connect, opportunistic};
use serde_json::Value;
use tokio::net::TcpStream;

use super::dialogue::{refused, smtp_door};
use super::scene::Scene;
use crate::harness::until;

/// The code of a session in which this user gave a wrong password.
async fn wrong_password(address: SocketAddr, user: &str) -> String {
    let tcp = TcpStream::connect(address).await.unwrap();
    let tls = connect(&opportunistic(), "relay.test", tcp).await.unwrap();
    let plain = BASE64_STANDARD.encode(format!("\0{user}\0no-such-password"));
    refused(tls, &["EHLO shop.test", &format!("AUTH PLAIN {plain}")]).await
}

#[tokio::test]
async fn a_vendor_reads_the_session_in_which_its_shops_password_was_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::start_with(&smtp_door(folder.path())).await;
    let (operator, _) = scene.token("read", None).await;
    let (acme, _) = scene.token("read", Some("acme")).await;
    let (other, _) = scene.token("read", Some("other")).await;
    let door = scene.inside.relay.smtp[0];
    for (user, tenant, vendors) in [
        (scene.acmes.as_str(), Some(scene.acmes.as_str()), 200),
        ("nobody-at-all", None, 404),
    ] {
        let path = format!("/sessions/{}", wrong_password(door, user).await);
        let ask = async |token: &str| scene.ask(token, "GET", &path, &Value::Null).await;
        let shown = until("the session is kept", async || {
            let answer = ask(&operator).await;
            (answer.status == 200).then(|| answer.json())
        })
        .await;
        assert_eq!(shown["claimed"].as_str(), tenant, "{shown}");
        assert_eq!(shown["tenant"], Value::Null, "nobody signed in: {shown}");
        assert_eq!(ask(&acme).await.status, vendors, "{user}");
        assert_eq!(ask(&other).await.status, 404, "{user}");
    }
}
