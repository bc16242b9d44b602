//! `postrider init`, `zone` and `migrate`.

mod mailboxes;
mod settings;

use anyhow::{Context, bail};
use serde_json::json;

use super::config_path;
use crate::cli::{InitArgs, Place};
use crate::config::Config;
use crate::core::furnish;
use crate::database::{Database, Location};
use crate::zone::Zone;
use crate::{acme, folder, print};

/// Makes a folder with all that a relay cannot be without.
pub(super) async fn init(args: InitArgs) -> anyhow::Result<()> {
    let path = args.dir.join("postrider.toml");
    if path
        .try_exists()
        .with_context(|| format!("cannot look for {}", path.display()))?
    {
        bail!("{} is there already; nothing was changed", path.display());
    }
    let text = settings::configuration(&args)?;
    let config = Config::parse(&text, &args.dir)?;
    mailboxes::check(&args, &config)?;
    folder::create(&args.dir)?;
    furnish(&config).await?;
    let zone = Zone::of(&config)?;
    let zone_path = args.dir.join("zone.txt");
    folder::write_atomically(&zone_path, zone.text().as_bytes())?;
    if config.acme.is_on() {
        acme::write_placeholders(&config)?;
    } else if args.domain.is_some() {
        write_placeholder(&config, &zone)?;
    }
    // Last: what is there is whole.
    folder::write_atomically(&path, text.as_bytes())?;
    let next = next_steps(&args, &zone, &config);
    print::answer(
        &json!({"config": path, "zone": zone_path, "next": next}),
        args.json,
    )
}

fn next_steps(args: &InitArgs, zone: &Zone, config: &Config) -> Vec<String> {
    let mut next = Vec::new();
    if args.host.is_none() && args.domain.is_none() {
        next.push(
            "set service.host, service.send_domain and service.bounce_domain in the configuration, before the first tenant: From addresses are for ever".to_owned(),
        );
    }
    if args.contact.is_none() {
        next.push(
            "name a mailbox that somebody reads in operator.contact of the configuration: `serve` does not start without".to_owned(),
        );
    }
    if args.domain.is_some() && zone.addresses.is_empty() {
        next.push(
            "name the address under [[egress]]: this machine has no public one of its own; then `postrider zone` prints the records anew".to_owned(),
        );
    }
    let dir = args.dir.display();
    next.push(format!("publish the records of {dir}/zone.txt"));
    if args.domain.is_some() {
        for address in &zone.addresses {
            next.push(format!(
                "have the name of {address} (PTR) set to {}, by whoever gave you the address",
                zone.host
            ));
        }
    }
    next.extend(firewall(config));
    next.push(format!("postrider doctor --wait --data {dir}"));
    next.push(format!("postrider serve --data {dir}"));
    // Who brings the shops; `tenant add` is for those that nobody brings.
    next.push(format!(
        "postrider vendor add SLUG --name NAME --contact ADDRESS --data {dir}"
    ));
    next.push(format!("postrider vendor key add SLUG FILE --data {dir}"));
    next
}

/// What a firewall has to let through, and what nobody else reaches.
fn firewall(config: &Config) -> Vec<String> {
    let (own, open): (Vec<_>, Vec<_>) = config
        .listens()
        .into_iter()
        .partition(|one| one.address.ip().is_loopback());
    let open = open
        .iter()
        .map(|one| format!("{} ({})", one.address.port(), one.what));
    let open: Vec<_> = open.collect();
    let own = own
        .iter()
        .map(|one| format!("{} ({})", one.address, one.what));
    let own: Vec<_> = own.collect();
    let mut steps = Vec::new();
    if !open.is_empty() {
        steps.push(format!(
            "let these ports come to this machine: {}",
            open.join(", ")
        ));
    }
    if !own.is_empty() {
        steps.push(format!(
            "put a proxy before what others are to reach of {}: it is open to this machine alone",
            own.join(", ")
        ));
    }
    steps
}

// So that the doors open at the first start, before an authority was asked.
fn write_placeholder(config: &Config, zone: &Zone) -> anyhow::Result<()> {
    let (certificate, key) = (&config.http.tls_certificate, &config.http.tls_key);
    // Somebody's own stay.
    if config.path(certificate).exists() || config.path(key).exists() {
        return Ok(());
    }
    let issued =
        postrider_tls::self_signed(&zone.certificate_names(), postrider_tls::KeyKind::Ecdsa)?;
    folder::write_atomically(&config.path(key), issued.key_pem.as_bytes())?;
    let certificate = config.path(certificate);
    folder::write_atomically(&certificate, issued.certificate_pem.as_bytes())
}

/// `postrider zone`.
pub(super) fn zone(place: &Place) -> anyhow::Result<()> {
    let config = Config::read(&config_path(place)?)?;
    let text = Zone::of(&config)?.text();
    if place.json {
        return print::answer(&json!({"zone": text}), true);
    }
    print::line(text.trim_end())
}

/// Brings the database to this version's schema.
pub(super) async fn migrate(place: &Place) -> anyhow::Result<()> {
    let config = Config::read(&config_path(place)?)?;
    Database::migrate(&config).await?;
    let database = Location::of(&config)?.to_string();
    print::answer(
        &json!({"database": database, "schema": "up to date"}),
        place.json,
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn init_names_each_port_that_a_firewall_has_to_know() {
        let own = "put a proxy before what others are to reach of";
        for (words, open, inside) in [
            (
                &["--domain", "mail.test", "--ip", "192.0.2.1", "--acme"][..],
                Some(
                    "25 (other mail servers), 80 (the authority that gives certificates), 443 (HTTP), 465 (SMTP), 587 (SMTP), 2525 (SMTP)",
                ),
                "127.0.0.1:9125 (metrics)",
            ),
            (
                &["--host", "mail.test"],
                None,
                "127.0.0.1:8025 (HTTP), 127.0.0.1:9125 (metrics)",
            ),
        ] {
            let line = ["postrider", "init", "relay"].iter().chain(words);
            let Command::Init(args) = Cli::try_parse_from(line).unwrap().command else {
                panic!("not init");
            };
            let text = settings::configuration(&args).unwrap();
            let config = Config::parse(&text, &args.dir).unwrap();
            let open = open.map(|open| format!("let these ports come to this machine: {open}"));
            let inside = format!("{own} {inside}: it is open to this machine alone");
            let want: Vec<_> = open.into_iter().chain([inside]).collect();
            assert_eq!(firewall(&config), want);
        }
    }
}
