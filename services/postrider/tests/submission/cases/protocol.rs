//! A program that speaks another protocol is told where that is spoken.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::line::Line;
use crate::scene::Scene;

#[tokio::test]
async fn who_speaks_http_to_the_smtp_door_is_told_the_address_of_the_api() {
    let scene = Scene::begin().await;
    let mut tcp = Line::open(scene.smtp).await;
    let request = b"POST /emails HTTP/1.1\r\nHost: relay.test\r\n\r\n";
    tcp.write_all(request).await.unwrap();
    let mut said = String::new();
    tcp.read_to_string(&mut said).await.unwrap();
    let api = format!("http://{}", scene.place.http.address);
    let words = format!("put {api} into the box for the base URL");
    assert!(said.contains("PR-101") && said.contains(&words), "{said}");
}
