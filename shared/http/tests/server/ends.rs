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

fn few(seats: usize) -> Config {
    Config {
        max_connections: seats,
        ..Config::default()
    }
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

// True where the server has closed it without a word.
async fn is_closed(stream: &mut tokio::net::TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn whoever_keeps_us_waiting_longest_gives_way_to_a_newcomer() {
    let server = plain(few(3)).await;
    let mut silent = Vec::new();
    for begun in ["", "GET /hel", "GET /hello HTTP/1.1\r\nx:"] {
        let mut stream = server.dial().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    // Finds a seat at once, far before any time is up.
    assert!(server.say(HELLO).await.starts_with("HTTP/1.1 200"));
    assert!(is_closed(&mut silent[0]).await);
}

#[tokio::test]
async fn who_is_being_answered_is_never_shed() {
    let mut server = plain(few(2)).await;
    let mut open = server.dial().await;
    open.write_all(WAIT).await.unwrap();
    server.door.begun.notified().await;
    for _ in 0..10 {
        let mut silent = server.dial().await;
        silent.write_all(b"GET /hel").await.unwrap();
        assert!(server.say(HELLO).await.starts_with("HTTP/1.1 200"));
    }
    server.door.may_end.notify_one();
    assert!(
        read_until(&mut open, "done")
            .await
            .starts_with("HTTP/1.1 200")
    );
    server.shutdown.begin();
    server.tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_full_of_work_takes_a_newcomer_when_one_of_them_rests() {
    let server = plain(Config {
        // Not its time that ends it.
        header_timeout: Duration::from_hours(1),
        ..few(1)
    })
    .await;
    let mut first = server.dial().await;
    first.write_all(WAIT).await.unwrap();
    server.door.begun.notified().await;
    let mut second = server.dial().await;
    second.write_all(HELLO.as_bytes()).await.unwrap();
    // Kept alive, and still it gives way.
    server.door.may_end.notify_one();
    assert!(
        read_until(&mut first, "done")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(read_to_end(&mut second).await.starts_with("HTTP/1.1 200"));
    let gives_way = tokio::time::timeout(Duration::from_secs(20), is_closed(&mut first));
    assert!(gives_way.await.unwrap());
}

#[tokio::test]
async fn one_address_takes_its_own_seats_only() {
    let server = plain(Config {
        max_connections_of_one: 3,
        ..Config::default()
    })
    .await;
    let from_elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    from_elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut elsewhere = from_elsewhere.connect(server.address).await.unwrap();
    elsewhere
        .write_all(b"GET /hello HTTP/1.1\r\n")
        .await
        .unwrap();
    let mut many = Vec::new();
    for _ in 0..4 {
        many.push(server.dial().await);
    }
    assert!(is_closed(&mut many[0]).await);
    elsewhere.write_all(b"host: a\r\n\r\n").await.unwrap();
    assert!(
        read_until(&mut elsewhere, "}")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn hundreds_that_drip_leave_the_others_their_answers() {
    let server = plain(few(64)).await;
    let mut dripping = Vec::new();
    for _ in 0..300 {
        let mut stream = server.dial().await;
        stream
            .write_all(b"GET /hello HTTP/1.1\r\nx: ")
            .await
            .unwrap();
        dripping.push(stream);
    }
    for _ in 0..100 {
        assert!(server.say(HELLO).await.starts_with("HTTP/1.1 200"));
        for stream in &mut dripping {
            // Most of them are closed by now.
            let _sent = stream.try_write(b"a");
        }
    }
}
