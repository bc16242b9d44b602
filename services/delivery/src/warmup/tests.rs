use async_trait::async_trait;
use postrider_store::Granted;
use std::collections::HashMap;

use super::*;

/// Counts as a database does.
#[derive(Default)]
struct Counted {
    sent: Mutex<HashMap<Allowance, u32>>,
    since: Mutex<HashMap<String, i64>>,
    asked: Mutex<u32>,
}

#[async_trait]
impl Warmups for Counted {
    async fn sends_since(&self, egress: &str, today: i64) -> Result<i64, StoreError> {
        Ok(*self.since.lock().entry(egress.to_owned()).or_insert(today))
    }

    async fn take(&self, of: &Allowance, want: u32, most: u32) -> Result<Granted, StoreError> {
        *self.asked.lock() += 1;
        let mut sent = self.sent.lock();
        let sent = sent.entry(of.clone()).or_default();
        let taken = Granted::of(*sent, want, most);
        *sent = taken.in_all;
        Ok(taken)
    }

    async fn give_back(&self, of: &Allowance, unused: u32) -> Result<(), StoreError> {
        *self.sent.lock().entry(of.clone()).or_default() -= unused;
        Ok(())
    }
}

fn egress(name: &str) -> Egress {
    Egress {
        name: name.to_owned(),
        since: None,
        skip: false,
    }
}

fn config() -> WarmupConfig {
    let classes = [
        WarmupClass {
            providers: vec!["google".to_owned()],
            days: vec![10, 20],
        },
        WarmupClass {
            providers: vec!["*".to_owned()],
            days: vec![4],
        },
    ];
    WarmupConfig {
        table: WarmupTable::new(&classes).unwrap(),
        v4: egress("192.0.2.7"),
        v6: egress("2001:db8::7"),
    }
}

const V4: &str = "198.51.100.1";
const V6: &str = "2001:db8:1::1";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn wish(to: &str, recipients: usize, now: &str) -> Wish {
    Wish {
        to: to.parse().unwrap(),
        provider: Provider::Google,
        stream: Stream::Transactional,
        recipients,
        now: at(now),
    }
}

async fn taken(warmup: &Warmup, wish: &Wish) -> Option<usize> {
    match warmup.take(wish).await.unwrap() {
        Grant::Warm => None,
        Grant::Some(part, _) => Some(part.recipients),
    }
}

#[tokio::test]
async fn each_family_grows_by_itself_until_it_is_warm_and_a_restart_changes_nothing() {
    let store = Arc::new(Counted::default());
    let start = || Warmup::new(store.clone(), config());
    let warmup = start();
    let first = "2026-03-01T22:00:00Z";
    assert_eq!(taken(&warmup, &wish(V4, 8, first)).await, Some(8));
    assert_eq!(taken(&warmup, &wish(V4, 8, first)).await, Some(2));
    let warmup = start();
    assert_eq!(taken(&warmup, &wish(V4, 1, first)).await, Some(0));
    assert_eq!(taken(&warmup, &wish(V6, 12, first)).await, Some(10));
    // IPv4 in IPv6's clothes.
    assert_eq!(
        taken(&warmup, &wish("::ffff:198.51.100.1", 1, first)).await,
        Some(0)
    );
    let second = "2026-03-02T00:00:00Z";
    assert_eq!(taken(&warmup, &wish(V4, 30, second)).await, Some(20));
    let third = "2026-03-03T00:00:00Z";
    assert_eq!(taken(&warmup, &wish(V4, 5_000, third)).await, None);
}

#[tokio::test]
async fn providers_count_apart_and_what_is_used_up_is_not_asked_for_again() {
    let store = Arc::new(Counted::default());
    let warmup = Warmup::new(store.clone(), config());
    let now = "2026-03-01T10:00:00Z";
    assert_eq!(taken(&warmup, &wish(V4, 11, now)).await, Some(10));
    let asked = *store.asked.lock();
    for _ in 0..3 {
        assert_eq!(taken(&warmup, &wish(V4, 1, now)).await, Some(0));
    }
    assert_eq!(*store.asked.lock(), asked);
    let strato = Wish {
        provider: Provider::Strato,
        ..wish(V4, 9, now)
    };
    assert_eq!(taken(&warmup, &strato).await, Some(4));
}

#[tokio::test]
async fn bulk_leaves_half_of_the_day_to_transactional_mail() {
    let store = Arc::new(Counted::default());
    let warmup = Warmup::new(store, config());
    let now = "2026-03-01T10:00:00Z";
    let bulk = Wish {
        stream: Stream::Bulk,
        ..wish(V4, 9, now)
    };
    assert_eq!(taken(&warmup, &bulk).await, Some(5));
    assert_eq!(taken(&warmup, &bulk).await, Some(0));
    assert_eq!(taken(&warmup, &wish(V4, 9, now)).await, Some(5));
}

#[tokio::test]
async fn what_was_not_sent_may_be_taken_again() {
    let warmup = Warmup::new(Arc::new(Counted::default()), config());
    let wish = wish(V4, 20, "2026-03-01T10:00:00Z");
    let Grant::Some(part, _) = warmup.take(&wish).await.unwrap() else {
        panic!("warm");
    };
    assert_eq!(part.recipients, 10);
    warmup.give_back(wish.to, part, 3).await;
    assert_eq!(taken(&warmup, &wish).await, Some(3));
}

/// Takes a part, and holds it.
async fn part(warmup: &Warmup, wish: &Wish) -> Part {
    match warmup.take(wish).await.unwrap() {
        Grant::Some(part, _) if part.recipients > 0 => part,
        other => panic!("{other:?}"),
    }
}

/// Takes nothing, and how it is found then.
async fn shortage(warmup: &Warmup, wish: &Wish) -> Shortage {
    match warmup.take(wish).await.unwrap() {
        Grant::Some(part, shortage) if part.recipients == 0 => shortage,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_allowance_is_used_up_when_nobody_holds_it_any_more() {
    let warmup = Warmup::new(Arc::new(Counted::default()), config());
    let wish = wish(V4, 10, "2026-03-01T10:00:00Z");
    let Grant::Some(part, _) = warmup.take(&wish).await.unwrap() else {
        panic!("warm");
    };
    let short = shortage(&warmup, &wish).await;
    assert!(short.may_pass());
    drop(part);
    // All of it was sent.
    assert!(!short.may_pass());
    assert!(!shortage(&warmup, &wish).await.may_pass());
}

#[tokio::test]
async fn bulk_whose_half_is_sent_waits_for_no_attempt_that_is_under_way() {
    let warmup = Warmup::new(Arc::new(Counted::default()), config());
    let one = wish(V4, 1, "2026-03-01T10:00:00Z");
    let bulk = Wish {
        stream: Stream::Bulk,
        ..wish(V4, 5, "2026-03-01T10:00:00Z")
    };
    assert_eq!(taken(&warmup, &bulk).await, Some(5));
    // At each moment one is under way, also when the database is asked again, and some send nothing.
    let mut hanging = part(&warmup, &one).await;
    for minutes in 0..4 {
        let now = one.now.after(CLOSED_FOR * minutes);
        let next = part(&warmup, &Wish { now, ..one }).await;
        warmup.give_back(one.to, hanging, 1).await;
        hanging = next;
        let short = shortage(&warmup, &Wish { now, ..bulk }).await;
        assert!(!short.may_pass(), "after {minutes} minutes");
    }
    assert_eq!(hanging.recipients, 1);
}

#[tokio::test]
async fn bulk_waits_where_transactional_mail_holds_of_its_half() {
    let warmup = Warmup::new(Arc::new(Counted::default()), config());
    let one = wish(V4, 1, "2026-03-01T10:00:00Z");
    let bulk = Wish {
        stream: Stream::Bulk,
        ..wish(V4, 4, "2026-03-01T10:00:00Z")
    };
    assert_eq!(taken(&warmup, &bulk).await, Some(4));
    let (of_half, beyond) = (part(&warmup, &one).await, part(&warmup, &one).await);
    let short = shortage(&warmup, &bulk).await;
    drop(beyond);
    assert!(short.may_pass());
    warmup.give_back(one.to, of_half, 1).await;
    assert!(short.may_pass());
    // What was beyond is sent, and is the half's last: nothing that comes later gives it back.
    let hanging = part(&warmup, &one).await;
    let short = shortage(&warmup, &bulk).await;
    assert!(!short.may_pass());
    assert_eq!(hanging.recipients, 1);
}

#[tokio::test]
async fn what_comes_back_while_it_is_asked_for_leaves_nothing_closed() {
    let store = Arc::new(Counted::default());
    let warmup = Warmup::new(store.clone(), config());
    let wish = wish(V4, 10, "2026-03-01T10:00:00Z");
    let Grant::Some(part, _) = warmup.take(&wish).await.unwrap() else {
        panic!("warm");
    };
    // The database says that nothing is left, and before that is heard all of it is back.
    let line = &warmup.v4;
    let asked = line.holds.shortage("google");
    warmup.give_back(wish.to, part, 10).await;
    line.close(
        ("google", wish.stream, wish.now.day()),
        asked.clone(),
        wish.now,
    );
    assert!(asked.may_pass());
    assert_eq!(taken(&warmup, &wish).await, Some(10));
}

#[tokio::test]
async fn what_another_node_gives_back_is_found_after_a_minute() {
    let store = Arc::new(Counted::default());
    let (one, other) = (
        Warmup::new(store.clone(), config()),
        Warmup::new(store, config()),
    );
    let wish = wish(V4, 10, "2026-03-01T10:00:00Z");
    let Grant::Some(part, _) = other.take(&wish).await.unwrap() else {
        panic!("warm");
    };
    assert_eq!(taken(&one, &wish).await, Some(0));
    other.give_back(wish.to, part, 10).await;
    assert_eq!(taken(&one, &wish).await, Some(0));
    let now = wish.now.after(CLOSED_FOR);
    assert_eq!(taken(&one, &Wish { now, ..wish }).await, Some(10));
}

#[tokio::test]
async fn a_known_address_and_one_of_an_older_birthday_are_warm() {
    let now = "2026-03-01T10:00:00Z";
    for known in [
        Egress {
            skip: true,
            ..egress("192.0.2.7")
        },
        Egress {
            since: Some(at("2026-02-01T00:00:00Z").day()),
            ..egress("192.0.2.7")
        },
    ] {
        let config = WarmupConfig {
            v4: known,
            ..config()
        };
        let warmup = Warmup::new(Arc::new(Counted::default()), config);
        assert_eq!(taken(&warmup, &wish(V4, 5_000, now)).await, None);
        assert_eq!(taken(&warmup, &wish(V6, 11, now)).await, Some(10));
    }
}

#[test]
fn what_is_over_goes_on_the_next_day_in_its_order_bulk_behind() {
    let mut before = at("2026-03-02T00:00:00Z");
    for now in [
        "2026-03-01T00:00:00Z",
        "2026-03-01T00:00:01Z",
        "2026-03-01T12:00:00Z",
        "2026-03-01T23:59:59Z",
    ] {
        let next = next_day(at(now), Stream::Transactional);
        assert!(next >= before, "{now}: {next}");
        assert!(next <= at("2026-03-02T00:20:00Z"), "{now}: {next}");
        let bulk = next_day(at(now), Stream::Bulk);
        assert_eq!(bulk.since(next), BULK_AFTER, "{now}");
        before = next;
    }
}
