//! The clock beside a time server's (SNTP, RFC 4330): signatures and `Date` are worth nothing when
//! it is wrong, and receivers refuse what comes from the future.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use postrider_dns::Resolver;
use postrider_model::Timestamp;
use postrider_runtime::Clock;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::finding::Finding;
use super::machine::words;
use crate::config::DoctorConfig;

const PATIENCE: Duration = Duration::from_secs(3);
/// From 1900, where NTP begins, to 1970, in seconds.
const NTP_EPOCH: u64 = 2_208_988_800;
const PACKET: usize = 48;

/// Asks the time servers, the first that answers is believed.
pub(super) async fn look(config: &DoctorConfig, resolver: &Resolver, clock: &Clock) -> Finding {
    if config.time_servers.is_empty() {
        return Finding::ok(
            "clock",
            "clock",
            "not looked at: doctor.time_servers is empty",
        );
    }
    let mut last = String::new();
    for server in &config.time_servers {
        let asked = match address(resolver, server).await {
            Some(address) => ask(address, clock).await,
            None => Err("it has no address".to_owned()),
        };
        match asked {
            Ok(offset) => return judged(server, offset, config.clock_seconds),
            Err(why) => last = format!("{server} has no answer: {why}"),
        }
    }
    Finding::soft("clock", "clock", &last)
        .remedy("name time servers that answer in doctor.time_servers, or none")
        .uncertain()
}

/// How far we are ahead of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offset {
    span: Duration,
    is_ahead: bool,
}

fn judged(server: &str, offset: Offset, most: u64) -> Finding {
    let (span, side) = (
        words(offset.span),
        if offset.is_ahead {
            "ahead of"
        } else {
            "behind"
        },
    );
    let seen = format!("{span} {side} {server}");
    if offset.span > Duration::from_secs(most) {
        Finding::hard("clock", "clock", &seen)
            .remedy("set it, and keep it right by chrony or systemd-timesyncd")
    } else {
        Finding::ok("clock", "clock", &seen)
    }
}

async fn address(resolver: &Resolver, server: &str) -> Option<SocketAddr> {
    if let Ok(address) = server.parse() {
        return Some(address);
    }
    let (host, port) = server.rsplit_once(':')?;
    let addresses = resolver.addresses(host).await.ok()?;
    // IPv4 first: a machine may have addresses of IPv6 and no way out for them.
    let v4 = addresses.iter().find(|ip| ip.is_ipv4());
    let ip = v4.or(addresses.first())?;
    Some(SocketAddr::new(*ip, port.parse().ok()?))
}

async fn ask(server: SocketAddr, clock: &Clock) -> Result<Offset, String> {
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let exchange = async {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        socket.connect(server).await?;
        // No leap warning, version 4, client (§5).
        let mut question = [0; PACKET];
        question[0] = 0x23;
        let sent = clock.now();
        socket.send(&question).await?;
        let mut answer = [0; PACKET];
        let length = socket.recv(&mut answer).await?;
        std::io::Result::Ok((sent, clock.now(), answer, length))
    };
    let exchanged = timeout(PATIENCE, exchange).await;
    let exchanged = exchanged.map_err(|_| format!("none within {} s", PATIENCE.as_secs()))?;
    let (sent, heard, answer, length) = exchanged.map_err(|fault| fault.to_string())?;
    let theirs = transmitted(&answer, length).ok_or("it is not the answer of a time server")?;
    let half = heard.since(sent) / 2;
    Ok(between(sent.after(half), theirs))
}

fn between(ours: Timestamp, theirs: Timestamp) -> Offset {
    let (ahead, behind) = (ours.since(theirs), theirs.since(ours));
    Offset {
        span: ahead.max(behind),
        is_ahead: ahead > behind,
    }
}

/// The time at which a server answered, of a server's packet (mode 4) that knows the time (stratum
/// 1 to 15).
fn transmitted(packet: &[u8; PACKET], length: usize) -> Option<Timestamp> {
    let is_server = packet[0] & 0b111 == 4;
    if length < PACKET || !is_server || !(1..=15).contains(&packet[1]) {
        return None;
    }
    let word = |at: usize| {
        let bytes = packet.get(at..at + 4)?;
        Some(u64::from(u32::from_be_bytes(bytes.try_into().ok()?)))
    };
    let (seconds, fraction) = (word(40)?, word(44)?);
    // §3: where the top bit is not set, time counts from 2036.
    let era = if seconds >> 31 == 0 { 1 << 32 } else { 0 };
    let seconds = (seconds + era).checked_sub(NTP_EPOCH)?;
    let micros = (fraction * 1_000_000) >> 32;
    let micros = i64::try_from(seconds * 1_000_000 + micros).ok()?;
    Some(Timestamp::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    /// A time server whose clock is this much ahead, for one question.
    fn server(ahead: i64, mode: u8) -> SocketAddr {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut packet = [0; PACKET];
            let (_, from) = socket.recv_from(&mut packet).unwrap();
            let now = Clock::system().now().as_seconds() + ahead;
            let seconds = u64::try_from(now).unwrap() + NTP_EPOCH;
            packet[0] = 0x20 | mode;
            packet[1] = 2;
            packet[40..44].copy_from_slice(&u32::try_from(seconds).unwrap().to_be_bytes());
            socket.send_to(&packet, from).unwrap();
        });
        address
    }

    #[tokio::test]
    async fn a_clock_that_is_ten_minutes_off_is_a_hard_finding() {
        for (ahead, level, says) in [
            (0, Level::Ok, "clock"),
            (600, Level::Hard, "minutes behind"),
            (-600, Level::Hard, "minutes ahead of"),
        ] {
            let address = server(ahead, 4);
            let offset = ask(address, &Clock::system()).await.unwrap();
            let finding = judged("clock", offset, 60);
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.seen.contains(says), "{finding:?}");
        }
        let wrong = ask(server(0, 3), &Clock::system()).await;
        assert!(wrong.unwrap_err().contains("not the answer"));
    }
}
