//! Which token of its vendor a tenant was enrolled with.

use super::Ports;
use super::fixture::{add_tenant, address, at, commit, message};

pub async fn of_a_tenants_tokens_the_newest_holds(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    for (issued, reply_to, holds, why) in [
        (5, "a@x.example", true, "the first"),
        (5, "A@X.example", true, "the same again, written otherwise"),
        (5, "b@x.example", false, "the same with another address"),
        (4, "a@x.example", false, "an older one"),
        (6, "b@x.example", true, "a newer one"),
        (5, "a@x.example", false, "the first again"),
    ] {
        let reply_to = address(reply_to);
        let used = ports.enrolments.use_token(tenant, at(issued), &reply_to);
        assert_eq!(used.await.expect("an answer"), holds, "{why}");
    }
}

pub async fn a_token_holds_for_one_tenant(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let reply_to = address("a@x.example");
    let used = async |tenant, seconds| {
        let used = ports.enrolments.use_token(tenant, at(seconds), &reply_to);
        used.await.expect("an answer")
    };
    assert!(used(a, 9).await);
    assert!(used(b, 3).await, "the other's is newer");
    let nobody = super::fixture::new_tenant().tenant.id;
    assert!(!used(nobody, 9).await, "of no tenant");
}

pub async fn an_operator_finds_whose_mail_it_is(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let mut mail = message(a);
    mail.recipients[0].address = address("Ann@found.example");
    let (id, vendors) = (mail.id, &ports.vendors);
    commit(ports, &mail).await;
    assert_eq!(vendors.sender_of(id).await.expect("an answer"), Some(a));
    let other = message(b);
    let nothing = vendors.sender_of(other.id).await;
    assert_eq!(nothing.expect("an answer"), None);
    let to = address("ann@FOUND.example");
    let writing = vendors.writing_to(None, &to).await.expect("an answer");
    assert_eq!(writing, [a]);
}
