//! Lists of a tenant's mail.

use postrider_model::{EventKind, MessageId, Stream, Tag, TenantId, Timestamp};

use super::Ports;
use super::fixture::{
    DAY, add_tenant, address, at, commit, commit_all, deliver, email, message, message_to,
};
use crate::{ListedEmail, Listing, MailFilter, MailPage, NewMessage, PageStart};

async fn list(
    ports: &Ports,
    tenant: TenantId,
    filter: &MailFilter,
    limit: u8,
    start: PageStart,
) -> Option<Listing> {
    let page = MailPage { limit, start };
    let listed = ports.mail.list(tenant, filter, page).await;
    listed.expect("a look at a list")
}

fn ids(listing: &Listing) -> Vec<MessageId> {
    listing.emails.iter().map(|email| email.id).collect()
}

/// All that the filter lets through, walked from the newest to the oldest and back again; both
/// ways have to agree. Newest first.
async fn walk(ports: &Ports, tenant: TenantId, filter: &MailFilter, limit: u8) -> Vec<MessageId> {
    let (mut found, mut start) = (Vec::new(), PageStart::Newest);
    loop {
        let page = list(ports, tenant, filter, limit, start).await;
        let page = page.expect("a page");
        found.extend(ids(&page));
        if !page.more {
            break;
        }
        assert_eq!(
            page.emails.len(),
            usize::from(limit),
            "a page before the last is full"
        );
        start = PageStart::After(found[found.len() - 1]);
    }
    let Some(last) = found.last() else {
        return found;
    };
    let mut back = vec![*last];
    loop {
        let start = PageStart::Before(back[0]);
        let page = list(ports, tenant, filter, limit, start).await;
        let page = page.expect("a page");
        back.splice(0..0, ids(&page));
        if !page.more {
            break;
        }
        assert_eq!(
            page.emails.len(),
            usize::from(limit),
            "a page before the last is full"
        );
    }
    assert_eq!(back, found, "the same on the way back");
    found
}

fn newest_first<'m>(messages: impl Iterator<Item = &'m NewMessage>) -> Vec<MessageId> {
    let mut ids: Vec<_> = messages.map(|message| message.id).collect();
    ids.sort();
    ids.reverse();
    ids
}

fn tag(name: &str, value: &str) -> Tag {
    Tag {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// Mail of one tenant, in both streams, some of it tagged, to several.
async fn some_mail(ports: &Ports, tenant: TenantId) -> Vec<NewMessage> {
    let mut messages = Vec::new();
    for n in 0..24 {
        let mut given = match n % 4 {
            0 => message_to(tenant, &["ann@example.org", "bob@example.net"]),
            1 => message_to(tenant, &["Ann@Example.org", "aNN@example.org"]),
            _ => message_to(tenant, &["bob@example.net"]),
        };
        if n % 3 == 0 {
            given.summary.stream = Stream::Bulk;
        }
        if n % 2 == 0 {
            given.summary.tags.push(tag("kind", "invoice"));
        }
        if n % 6 == 0 {
            given.summary.tags.push(tag("shop", "north"));
        }
        messages.push(given);
    }
    for done in commit_all(ports, &messages).await {
        done.expect("a commit");
    }
    messages
}

pub async fn a_list_is_newest_first_a_page_at_a_time(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let all = MailFilter::default();
    let none = list(ports, tenant, &all, 10, PageStart::Newest).await;
    assert_eq!(
        none.map(|page| (page.emails, page.more)),
        Some((vec![], false))
    );
    let messages = some_mail(ports, tenant).await;
    let wanted = newest_first(messages.iter());
    for limit in [1, 5, 12, 23, 24, 25, 100] {
        assert_eq!(walk(ports, tenant, &all, limit).await, wanted, "{limit}");
    }
    let page = |start| list(ports, tenant, &all, 5, start);
    let first = page(PageStart::Newest).await.expect("a page");
    assert_eq!((ids(&first), first.more), (wanted[..5].to_vec(), true));
    let second = page(PageStart::After(wanted[4])).await.expect("a page");
    assert_eq!((ids(&second), second.more), (wanted[5..10].to_vec(), true));
    let before = page(PageStart::Before(wanted[10])).await.expect("a page");
    assert_eq!((ids(&before), before.more), (wanted[5..10].to_vec(), true));
    let newest = page(PageStart::Before(wanted[5])).await.expect("a page");
    assert_eq!((ids(&newest), newest.more), (wanted[..5].to_vec(), false));
    let none = page(PageStart::Before(wanted[0])).await.expect("a page");
    assert_eq!((ids(&none), none.more), (vec![], false));
}

pub async fn a_list_tells_of_each_message_what_a_look_at_it_does(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let messages = some_mail(ports, tenant).await;
    deliver(ports, &messages[3], 5).await;
    let all = MailFilter::default();
    let page = list(ports, tenant, &all, 100, PageStart::Newest).await;
    let page = page.expect("a page");
    for (listed, given) in page.emails.iter().rev().zip(&messages) {
        let stored = email(ports, given).await.expect("the message");
        let wanted = ListedEmail {
            id: stored.id,
            accepted_at: stored.accepted_at,
            expires_at: stored.expires_at,
            size: stored.size,
            summary: stored.summary,
            last_event: stored.last_event,
        };
        assert_eq!(listed, &wanted);
    }
    assert_eq!(page.emails[20].last_event, EventKind::Delivered);
}

pub async fn a_list_holds_what_was_asked_for_and_nothing_else(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let messages = some_mail(ports, tenant).await;
    some_mail(ports, other).await;
    let recipients = [
        None,
        Some(address("ANN@example.org")),
        Some(address("bob@example.net")),
        Some(address("bob@example.org")),
    ];
    let tags = [
        None,
        Some(tag("kind", "invoice")),
        Some(tag("shop", "north")),
        Some(tag("kind", "north")),
        Some(tag("Kind", "invoice")),
    ];
    let streams = [None, Some(Stream::Transactional), Some(Stream::Bulk)];
    let mut empty = 0;
    for recipient in &recipients {
        for tag in &tags {
            for stream in streams {
                let filter = MailFilter {
                    recipient: recipient.clone(),
                    tag: tag.clone(),
                    stream,
                };
                let wanted = newest_first(messages.iter().filter(|m| matches(m, &filter)));
                empty += usize::from(wanted.is_empty());
                for limit in [2, 100] {
                    let found = walk(ports, tenant, &filter, limit).await;
                    assert_eq!(found, wanted, "{filter:?}");
                }
            }
        }
    }
    assert!(
        empty < 40,
        "{empty} of 60 lists are empty: they would show nothing"
    );
}

/// What a list has to hold, said in another way.
fn matches(message: &NewMessage, filter: &MailFilter) -> bool {
    let recipient = filter.recipient.as_ref().is_none_or(|wanted| {
        let folded = wanted.folded();
        let mut to = message.recipients.iter();
        to.any(|recipient| recipient.address.folded() == folded)
    });
    let summary = &message.summary;
    let tag = filter.tag.as_ref();
    recipient
        && tag.is_none_or(|tag| summary.tags.contains(tag))
        && filter.stream.is_none_or(|stream| summary.stream == stream)
}

pub async fn a_page_stays_where_it_is_when_more_comes_in(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let wanted = newest_first(some_mail(ports, tenant).await.iter());
    let all = MailFilter::default();
    let after = PageStart::After(wanted[9]);
    let before = list(ports, tenant, &all, 5, after).await;
    let newer = message(tenant);
    commit(ports, &newer).await;
    assert_eq!(list(ports, tenant, &all, 5, after).await, before);
    let newest = list(ports, tenant, &all, 5, PageStart::Before(wanted[0])).await;
    let newest = newest.expect("a page");
    assert_eq!((ids(&newest), newest.more), (vec![newer.id], false));
}

pub async fn a_page_may_begin_at_a_message_that_its_filter_leaves_out(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let messages = some_mail(ports, tenant).await;
    let filter = MailFilter {
        stream: Some(Stream::Bulk),
        ..MailFilter::default()
    };
    // Not of that stream itself.
    let start = &messages[10];
    let page = list(ports, tenant, &filter, 2, PageStart::After(start.id)).await;
    let older = newest_first(messages[..10].iter().filter(|m| matches(m, &filter)));
    assert_eq!(page.map(|page| ids(&page)), Some(older[..2].to_vec()));
}

pub async fn a_page_that_begins_at_nothing_is_none(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    some_mail(ports, tenant).await;
    let unknown = message(tenant).id;
    for filter in [
        MailFilter::default(),
        MailFilter {
            recipient: Some(address("ann@example.org")),
            ..MailFilter::default()
        },
    ] {
        for start in [PageStart::After(unknown), PageStart::Before(unknown)] {
            assert_eq!(list(ports, tenant, &filter, 5, start).await, None);
        }
    }
}

pub async fn what_was_dropped_or_erased_is_listed_no_more(ports: &Ports) {
    let (kept, erased) = (add_tenant(ports).await, add_tenant(ports).await);
    let (of_kept, of_erased) = (some_mail(ports, kept).await, some_mail(ports, erased).await);
    for given in &of_kept[..20] {
        end(ports, given).await;
    }
    retain(ports, at(0).after(31 * DAY).after(DAY)).await;
    while !ports
        .upkeep
        .erase(erased)
        .await
        .expect("a step")
        .is_nothing()
    {}
    let filters = [
        MailFilter::default(),
        MailFilter {
            tag: Some(tag("kind", "invoice")),
            ..MailFilter::default()
        },
        MailFilter {
            recipient: Some(address("bob@example.net")),
            ..MailFilter::default()
        },
    ];
    for filter in &filters {
        assert_eq!(walk(ports, erased, filter, 7).await, []);
        let left = of_kept[20..].iter().filter(|m| matches(m, filter));
        assert_eq!(walk(ports, kept, filter, 7).await, newest_first(left));
    }
    for (tenant, gone) in [(kept, &of_kept[0]), (erased, &of_erased[0])] {
        let page = list(ports, tenant, &filters[0], 5, PageStart::After(gone.id)).await;
        assert_eq!(page, None);
    }
}

/// All its recipients are delivered.
async fn end(ports: &Ports, message: &NewMessage) {
    for recipient in &message.recipients {
        let mut alone = message.clone();
        alone.recipients = vec![recipient.clone()];
        deliver(ports, &alone, 5).await;
    }
}

async fn retain(ports: &Ports, now: Timestamp) {
    loop {
        let removed = ports.upkeep.retain(now, DAY, 30 * DAY).await;
        if removed.expect("a batch of retention").is_nothing() {
            return;
        }
    }
}
