//! What a remote costs that never comes to an end: one task and little memory, and nobody else
//! waits for it.

use std::time::Duration;

use postrider_fakenet::{Act, Exchanger, FakeInternet, Options, Phase, Script};

use crate::harness::{Sandbox, until};

const REMOTES: usize = 100;
const MOST_EACH: usize = 64 * 1024;

/// Bytes that a process holds in memory.
fn resident(id: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_remote_that_drips_or_never_ends_holds_less_than_64_kib_and_nobody_up() {
    // The relay is a process of its own, so that its memory is seen alone.
    let net = FakeInternet::start(Options::default()).await.unwrap();
    let mut sandbox = Sandbox::prepared().await;
    let text = std::fs::read_to_string(sandbox.place.config()).unwrap();
    let line = |key: &str| {
        let found = text.lines().find(|line| line.starts_with(key));
        found.unwrap().to_owned()
    };
    let servers = format!("servers = [\"{}\"]", net.dns_addr());
    sandbox.configure(&line("servers = "), &servers);
    sandbox.configure(&line("port = "), &format!("port = {}", net.smtp_port()));
    sandbox.serve().await;
    let (place, id) = (&sandbox.place, sandbox.relay.as_ref().unwrap().id());

    // What a session costs at all, and what is made at first use, is there before we look.
    let mut warm = Vec::new();
    for n in 0..REMOTES {
        warm.push(place.send_to(&format!("ann@warm{n}.test")).await);
    }
    for sent in &warm {
        place.settled(sent).await;
    }
    let before = resident(id);
    let mut remotes = Vec::new();
    for n in 0..REMOTES {
        let domain = format!("drip{n}.test");
        remotes.push(net.domain(&domain).mx(script(n)));
        place.send_to(&format!("ann@{domain}")).await;
    }
    until("all are connected", async || {
        let is_open = |remote: &Exchanger| remote.counts().open > 0;
        remotes.iter().all(is_open).then_some(())
    })
    .await;
    // Nobody waits for them: as many again are delivered meanwhile.
    for n in 0..REMOTES / 2 {
        let sent = place.send_to(&format!("ann@free{n}.test")).await;
        place.settled(&sent).await;
    }
    assert!(
        remotes.iter().all(|remote| remote.counts().open > 0),
        "they still drip"
    );
    let grown = resident(id).saturating_sub(before);
    assert!(
        grown / REMOTES < MOST_EACH,
        "{grown} bytes for {REMOTES} remotes: {} each",
        grown / REMOTES
    );
    net.shutdown().await;
}

// Slow enough that none of them comes to the bound of a reply while we look, and each in another
// phase.
fn script(n: usize) -> Script {
    let drip = || Act::drip(vec![b'2'; 4_000], Duration::from_millis(100));
    match n % 4 {
        0 => Script::new().always(Phase::Connect, drip()),
        1 => Script::new().always(
            Phase::Ehlo,
            Act::endless("250-more", Duration::from_secs(5)),
        ),
        2 => Script::new().always(Phase::Rcpt, drip()),
        _ => Script::new().always(Phase::FinalDot, Act::hang()),
    }
}
