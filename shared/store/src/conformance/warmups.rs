//! Warm-up: since when an address sends, and what it has sent.

use std::sync::Arc;

use super::Ports;
use super::fixture::number;
use crate::{Allowance, Granted};

/// An allowance of an address that no other case uses.
fn allowance() -> Allowance {
    Allowance {
        egress: format!("192.0.2.7 {}", number()),
        provider: "google".to_owned(),
        day: 20_000,
    }
}

async fn take(ports: &Ports, of: &Allowance, want: u32, most: u32) -> u32 {
    let taken = ports.warmups.take(of, want, most).await;
    taken.expect("an allowance to be taken").now
}

pub async fn an_address_has_one_birthday(ports: &Ports) {
    let one = allowance().egress;
    let since = async |day| {
        let since = ports.warmups.sends_since(&one, day).await;
        since.expect("a birthday")
    };
    assert_eq!(since(20_000).await, 20_000);
    assert_eq!(since(20_030).await, 20_000);
    assert_eq!(since(19_000).await, 20_000);
    let other = ports.warmups.sends_since(&allowance().egress, 20_030).await;
    assert_eq!(other.expect("a birthday"), 20_030);
}

pub async fn an_allowance_is_taken_to_its_end_and_no_further(ports: &Ports) {
    let one = allowance();
    assert_eq!(take(ports, &one, 30, 50).await, 30);
    // A lower bound than what is taken already leaves nothing; what is left is given in part.
    assert_eq!(take(ports, &one, 5, 25).await, 0);
    assert_eq!(take(ports, &one, 30, 50).await, 20);
    assert_eq!(take(ports, &one, 1, 50).await, 0);
    // Beyond a lower bound it is told by how much.
    let over = ports.warmups.take(&one, 1, 25).await;
    let taken = Granted { now: 0, in_all: 50 };
    assert_eq!(over.expect("an allowance to be asked for"), taken);
    let other_day = Allowance {
        day: one.day + 1,
        ..one.clone()
    };
    let other_provider = Allowance {
        provider: "microsoft".to_owned(),
        ..one.clone()
    };
    assert_eq!(take(ports, &other_day, 60, 50).await, 50);
    assert_eq!(take(ports, &other_provider, 60, 50).await, 50);
}

pub async fn what_is_given_back_may_be_taken_again(ports: &Ports) {
    let one = allowance();
    let give_back = async |unused| {
        let given = ports.warmups.give_back(&one, unused).await;
        given.expect("an allowance to be given back");
    };
    // Nothing was taken: nothing is owed.
    give_back(5).await;
    assert_eq!(take(ports, &one, 60, 50).await, 50);
    give_back(7).await;
    assert_eq!(take(ports, &one, 60, 50).await, 7);
    give_back(80).await;
    assert_eq!(take(ports, &one, 60, 50).await, 50);
}

pub async fn many_who_take_at_once_get_no_more_than_there_is(ports: &Ports) {
    let one = Arc::new(allowance());
    let takes = (0..40).map(|_| {
        let (warmups, one) = (Arc::clone(&ports.warmups), Arc::clone(&one));
        async move { warmups.take(&one, 3, 100).await }
    });
    let mut sum = 0;
    for taken in futures_util::future::join_all(takes).await {
        sum += taken.expect("an allowance to be taken").now;
    }
    assert_eq!(sum, 100);
}
