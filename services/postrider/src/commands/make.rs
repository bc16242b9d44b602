//! `postrider init` and `postrider migrate`.

use anyhow::{Context, bail};
use serde_json::json;

use super::config_path;
use crate::cli::{InitArgs, Place};
use crate::config::{self, Config, DatabaseConfig, quoted};
use crate::core::furnish;
use crate::database::{Database, Location};
use crate::{folder, print};

/// Makes a folder with all that a relay cannot be without.
pub(super) async fn init(args: InitArgs) -> anyhow::Result<()> {
    let path = args.dir.join("postrider.toml");
    if path
        .try_exists()
        .with_context(|| format!("cannot look for {}", path.display()))?
    {
        bail!("{} is there already; nothing was changed", path.display());
    }
    folder::create(&args.dir)?;
    let mut text = match &args.host {
        Some(host) => config::DEFAULT.replace("relay.example", host.as_str()),
        None => config::DEFAULT.to_owned(),
    };
    if let Some(url) = &args.database {
        let default = format!("url = {}", quoted(&DatabaseConfig::default().url));
        text = text.replace(&default, &format!("url = {}", quoted(url)));
    }
    furnish(&Config::parse(&text, &args.dir)?).await?;
    // Last: what is there is whole.
    folder::write_atomically(&path, text.as_bytes())?;
    let mut next = vec![
        "publish the records of `postrider dkim show`",
        "postrider tenant add --name NAME --reply-to ADDRESS",
        "postrider serve",
    ];
    if args.host.is_none() {
        next.insert(
            0,
            "set service.host, service.send_domain and service.bounce_domain in the configuration, before the first tenant: From addresses are for ever",
        );
    }
    print::answer(&json!({"config": path, "next": next}), args.json)
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
