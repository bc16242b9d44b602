//! Clients that are there and send next to nothing, while others' mail is to be taken.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::Stage;
use crate::relay::Role;
use crate::report::{Found, Verdict};
use crate::scenario::{Mail, unlimited};

/// A byte each.
const DRIP: Duration = Duration::from_secs(1);
/// Of one address so many; the relay lets an address have no more than 1,024.
const OF_ONE: u16 = 500;
/// What they say, if anything: a head, and a body that takes a day at this pace.
const HEAD: &[u8] = b"POST /emails HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer none\r\n\
    Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slow {
    /// Of four one says nothing, one drips its head, one its body, one asks and never reads.
    crowd: u16,
    messages: u64,
    tenants: u32,
    mail: Mail,
}

pub(crate) async fn run(slow: &Slow, stage: &Stage<'_>) -> anyhow::Result<Found> {
    let (stock, store) = stage.base.stock().await?;
    let tenants = stock.tenants(slow.tenants, unlimited()).await?;
    store.close().await;
    let mut relay = stage
        .base
        .relay("one", Role::All, &stage.sink, &stage.scenario.delivery)?;
    relay.start()?;
    relay.listens().await?;
    let mut found = Found::default();
    let alone = stage.load(slow.mail, &tenants, 0, slow.messages);
    stage
        .pass(alone, &relay)
        .await?
        .note(&mut found.figures, "alone: ");

    let open = Arc::new(AtomicU64::new(0));
    let mut crowd = JoinSet::new();
    for number in 0..slow.crowd {
        crowd.spawn(linger(number, relay.door, Arc::clone(&open)));
    }
    // They come in before the others' mail does; a second is a byte each.
    tokio::time::sleep(DRIP * 3).await;
    let before = open.load(Ordering::Relaxed);
    let beside = stage.load(slow.mail, &tenants, 1, slow.messages);
    let pass = stage.pass(beside, &relay).await?;
    let after = open.load(Ordering::Relaxed);
    crowd.shutdown().await;

    pass.note(&mut found.figures, "beside: ");
    #[expect(clippy::cast_precision_loss, reason = "connections and kB")]
    {
        found.figures.set("beside: slow at first", before as f64);
        found.figures.set("beside: slow at the end", after as f64);
        let peak = relay.used().rss_peak_kb as f64 / 1_024.0;
        found.figures.set("RSS peak MB", peak);
    }
    found.verdicts.push(Verdict::figure(
        "others are answered within 1 s at p99",
        pass.answer.p99 < 1_000.0 && before >= u64::from(slow.crowd) / 2,
        format!("{:.1} ms beside {before} slow ones", pass.answer.p99),
    ));
    found.verdicts.push(Verdict::figure(
        "others are not refused",
        pass.is_whole && pass.told.accepted == slow.messages,
        format!("{:?}", pass.told),
    ));
    found
        .verdicts
        .extend(stage.promises(&tenants, &relay).await?);
    relay.stop().await?;
    Ok(found)
}

/// Is a slow client for as long as it is let be, and then another.
async fn linger(number: u16, door: SocketAddr, open: Arc<AtomicU64>) {
    loop {
        if let Ok(stream) = connect(number, door).await {
            open.fetch_add(1, Ordering::Relaxed);
            // However it ends, the next one is as slow.
            drip(stream, number % 4).await.unwrap_or(());
            open.fetch_sub(1, Ordering::Relaxed);
        }
        tokio::time::sleep(DRIP).await;
    }
}

async fn connect(number: u16, door: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let from = u8::try_from(number / OF_ONE).unwrap_or(u8::MAX);
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 2, 0, from + 1), 0)))?;
    socket.connect(door).await
}

async fn drip(mut stream: TcpStream, manner: u16) -> std::io::Result<()> {
    let said = match manner {
        0 => &[],
        1 => HEAD,
        2 => {
            stream.write_all(HEAD).await?;
            HEAD
        }
        _ => {
            stream
                .write_all(b"GET /emails HTTP/1.1\r\nHost: relay\r\n\r\n")
                .await?;
            return std::future::pending().await;
        }
    };
    for byte in said.iter().cycle() {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(DRIP).await;
    }
    // The first read that ends is the relay's end of it.
    stream.read_exact(&mut [0]).await?;
    Ok(())
}
