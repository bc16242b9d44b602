//! How things end: hang-ups, silence, shutdown.

use std::sync::atomic::Ordering;
use std::time::Duration;

use postrider_http::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{plain, read_to_end, read_until};

const WAIT: &[u8] = b"POST /wait HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn work_is_finished_for_a_client_that_hung_up() {
    let server = plain(Config::default()).await;
    let mut stream = server.dial().await;
    stream.write_all(WAIT).await.unwrap();
    server.door.begun.notified().await;
    drop(stream);
    // The server has seen the end of that connection when it answers on a later one.
    server.say("GET /hello HTTP/1.0\r\n\r\n").await;
    server.door.may_end.notify_one();
    server.door.begun.notified().await;
    assert!(server.door.ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_header_that_never_ends_ends_the_connection() {
    let server = plain(Config {
        header_timeout: Duration::from_millis(50),
        ..Config::default()
    })
    .await;
    assert_eq!(server.say("GET /hello HTTP/1.1\r\nx:").await, "");
}

#[tokio::test]
async fn shutdown_finishes_what_is_open_closes_what_is_idle_and_takes_nothing_new() {
    let mut server = plain(Config::default()).await;
    let mut idle = server.dial().await;
    idle.write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut idle, "}").await;
    let mut open = server.dial().await;
    open.write_all(WAIT).await.unwrap();
    server.door.begun.notified().await;

    server.shutdown.begin();
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0);
    server.door.may_end.notify_one();
    assert!(read_to_end(&mut open).await.ends_with("done"));
    server.tasks.join_next().await.unwrap().unwrap();
    tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn shutdown_waits_no_longer_than_it_may() {
    let mut server = plain(Config::default()).await;
    // The harness drains five seconds; the clock stands until all tasks wait for it.
    let mut open = server.dial().await;
    open.write_all(WAIT).await.unwrap();
    server.door.begun.notified().await;
    tokio::time::pause();
    server.shutdown.begin();
    server.tasks.join_next().await.unwrap().unwrap();
    assert!(!server.door.ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    let mut server = plain(Config {
        write_timeout: Duration::from_millis(50),
        ..Config::default()
    })
    .await;
    let mut stream = server.dial().await;
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    // The first byte says that the answer is on its way; what follows is not taken.
    stream.read_u8().await.unwrap();
    let began = tokio::time::Instant::now();
    server.shutdown.begin();
    server.tasks.join_next().await.unwrap().unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}
