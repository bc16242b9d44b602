//! Certificates that a relay has by itself, from a real authority.

mod authority;
mod between;
mod refused;
mod scene;

use postrider_tls::trusting;

use self::authority::{Authority, Habits, LOOKS_AT};
use self::scene::{
    Scene, attempts, brought, found, given, https, logged, read, refused, remove, smtp_shows_rsa,
};
use crate::harness::{Door, Page, Sandbox, until};

#[tokio::test]
async fn certificates_come_by_themselves_and_the_doors_show_them_without_a_restart() {
    let Some(Scene {
        mut sandbox,
        authority,
    }) = Scene::with(Habits::default()).await
    else {
        return;
    };
    sandbox.serve().await;
    let open = format!("[{}:{LOOKS_AT}]", sandbox.network.host());
    logged(&sandbox, &["postrider is serving", &open]).await;
    let (connector, issuer) = authority.trusted().await;
    let door = https(&sandbox, connector);
    brought(&sandbox, "a door that programs trust", async || {
        let answer = door.say(b"GET /healthz HTTP/1.0\r\n\r\n").await?;
        (answer.status == 200 && smtp_shows_rsa(&sandbox, &issuer)).then_some(())
    })
    .await;
    let page = Page::of(&sandbox.place).await;
    assert!(page.sum("postrider_acme_last_success_timestamp_seconds", &[]) > 1_700_000_000.0);
    assert!(read(&sandbox, "rsa.pem").contains("PRIVATE KEY"));
    secrets_are_the_owners(&sandbox);
    all_else_on_port_80_goes_to_https(&sandbox).await;

    // One that is gone comes again after a restart, by the same account.
    let account = read(&sandbox, "account.json");
    sandbox.stop_relay().await;
    let (kept, orders) = (read(&sandbox, "ecdsa.pem"), authority.orders());
    remove(&sandbox, "rsa.pem");
    sandbox.serve().await;
    brought(&sandbox, "another certificate", async || {
        smtp_shows_rsa(&sandbox, &issuer).then_some(())
    })
    .await;
    assert_eq!(read(&sandbox, "account.json"), account);
    assert_eq!(read(&sandbox, "ecdsa.pem"), kept);
    assert!(authority.orders() > orders, "{}", authority.printed());
}

fn secrets_are_the_owners(sandbox: &Sandbox) {
    use std::os::unix::fs::PermissionsExt;
    for file in ["account.json", "ecdsa.pem", "rsa.pem"] {
        let path = sandbox.place.folder.join("acme").join(file);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

async fn all_else_on_port_80_goes_to_https(sandbox: &Sandbox) {
    let door = Door {
        address: (sandbox.network.host(), LOOKS_AT).into(),
        tls: None,
    };
    for (method, path, want) in [
        ("GET", "/confirm/a%2Fb?to=a%20b", 301),
        ("POST", "/emails", 308),
    ] {
        let answer = door.ask(method, path, &[], b"").await;
        let place = format!("https://relay.test{path}");
        assert_eq!(
            (answer.status, answer.field("location")),
            (want, Some(&*place))
        );
    }
    let stranger = door.get("/.well-known/acme-challenge/abc").await;
    assert_eq!(stranger.status, 404);
}

#[tokio::test]
async fn a_certificate_is_renewed_before_it_ends() {
    let habits = Habits {
        seconds: 30,
        ..Habits::default()
    };
    let Some(Scene {
        mut sandbox,
        authority,
    }) = Scene::with(habits).await
    else {
        return;
    };
    sandbox.serve().await;
    given(&sandbox).await;
    let first = read(&sandbox, "ecdsa.pem");
    brought(&sandbox, "the next one", async || {
        (read(&sandbox, "ecdsa.pem") != first).then_some(())
    })
    .await;
    let (connector, _) = authority.trusted().await;
    let door = https(&sandbox, connector);
    until("a door with one that is good", async || {
        door.say(b"GET /healthz HTTP/1.0\r\n\r\n").await
    })
    .await;
}

#[tokio::test]
async fn an_authority_that_has_forgotten_the_account_gives_another() {
    let Some(Scene {
        mut sandbox,
        authority,
    }) = Scene::with(Habits::default()).await
    else {
        return;
    };
    sandbox.serve().await;
    given(&sandbox).await;
    sandbox.stop_relay().await;
    let account = read(&sandbox, "account.json");
    // It keeps nothing.
    drop(authority);
    let _authority = Authority::start(&sandbox, &Habits::default()).await;
    remove(&sandbox, "rsa.pem");
    sandbox.serve().await;
    let (line, _) = refused(&sandbox, "accountDoesNotExist").await;
    assert!(line.contains("new account"), "{line}");
    brought(&sandbox, "another account", async || {
        attempts(&sandbox)["succeeded_at"].as_str()?;
        attempts(&sandbox)["failure"].is_null().then_some(())
    })
    .await;
    assert_ne!(read(&sandbox, "account.json"), account);
}

#[tokio::test]
async fn an_address_that_another_program_has_holds_up_certificates_alone() {
    let Some(Scene {
        mut sandbox,
        authority,
    }) = Scene::with(Habits::default()).await
    else {
        return;
    };
    let address = (sandbox.network.host(), LOOKS_AT);
    let other = std::net::TcpListener::bind(address).unwrap();
    sandbox.serve().await;
    let line = logged(&sandbox, &["acme.listen: cannot listen there"]).await;
    let named = format!("{}:{}", address.0, address.1);
    for word in ["WARN", &*named, "in use", "end the program"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    let finding = until("the doctor's finding", async || {
        (!read(&sandbox, "shut.json").is_empty()).then(|| found(&sandbox, "port-80"))
    })
    .await;
    assert_eq!(
        (&finding["about"], &finding["level"]),
        (&named.into(), &"soft".into())
    );
    for (field, words) in [("seen", "since 20"), ("remedy", "end the program")] {
        let said = finding[field].as_str().unwrap();
        assert!(said.contains(words), "{said}");
    }
    let serving = logged(&sandbox, &["postrider is serving"]).await;
    let open = format!("[{}:{}]", address.0, address.1);
    assert!(!serving.contains(&open), "{serving}");
    let shut = "postrider_acme_addresses_shut";
    assert_eq!(Page::of(&sandbox.place).await.count(shut, &[]), 1);

    // Mail comes in, and leaves.
    let mut place = sandbox.place.clone();
    let placeholder = trusting(read(&sandbox, "ecdsa.pem").as_bytes()).unwrap();
    place.http = https(&sandbox, placeholder);
    let id = place.send_to("ann@port80.test").await;
    assert!(place.settled(&id).await.has("delivered"));

    // Nobody was asked who could not have come in.
    assert!(attempts(&sandbox).is_null());
    assert_eq!(authority.orders(), 0);
    drop(other);
    given(&sandbox).await;
    assert_eq!(read(&sandbox, "shut.json"), "");
    assert_eq!(Page::of(&sandbox.place).await.count(shut, &[]), 0);
}
