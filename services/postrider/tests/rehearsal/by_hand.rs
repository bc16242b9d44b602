//! The same network for a person: it stands, says where what is, and waits until the page is walked.
//!
//! `cargo test -p postrider --test rehearsal by_hand -- --ignored --nocapture`

use std::path::Path;
use std::time::{Duration, Instant};

use super::authority::Authority;
use super::scene::Scene;

/// Whoever has not ended by then has given up.
const LONGEST: Duration = Duration::from_hours(1);

/// Returns when this file is there, or too late.
async fn made(file: &Path, began: Instant) {
    while !file.exists() && began.elapsed() < LONGEST {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn say(scene: &Scene, authority: &Authority, (publish, done): (&Path, &Path)) {
    let (network, own) = (&scene.network, scene.surroundings());
    eprintln!(
        "The page is infra/guide/operator.md; begin with step 2. In its place:
  your server           {relay}
  the shop's machine    {shop}
  where you type        {desk}
  /var/lib/postrider    {data}
  --ip 192.0.2.1        --ip {own}
  --acme                --acme {acme}
  your DNS provider     once zone.txt is there: touch {publish}
                        (whoever gave you the address sets its PTR then, too)
  mail to shop.example  {mail}
When you are through, or give up: touch {done}",
        relay = network.relay.entrance(),
        shop = network.shop.entrance(),
        desk = scene.desk.display(),
        data = scene.operator.data(),
        own = own.join(" "),
        acme = authority.words(),
        publish = publish.display(),
        mail = scene.shop.mailbox().display(),
        done = done.display(),
    );
}

#[tokio::test]
#[ignore = "it waits for a person"]
async fn a_person_walks_the_guide_s_first_page() {
    let Some(scene) = Scene::new() else { return };
    let network = &scene.network;
    let trusted = &network.shop.trusted;
    let authority = Authority::start(&network.names, &scene.authority, trusted).await;
    let files = ["published", "done"].map(|name| scene.desk.join(name));
    let [publish, done] = &files;
    let mut names = scene.without_records();
    say(&scene, &authority, (publish, done));
    let began = Instant::now();
    made(publish, began).await;
    names.stop();
    let _names = scene.with_zone_and_ptr();
    made(done, began).await;
    let took = began.elapsed();
    let mail = scene.shop.arrived("Subject: Your estimate");
    let mail = mail.expect("the estimate of step 8 is in the mailbox");
    scene.is_trusted(&mail);
    eprintln!("walked in {took:.0?}");
}
