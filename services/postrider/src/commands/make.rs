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
    let text = configuration(&args)?;
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

// The documented default with what was named in its place.
fn configuration(args: &InitArgs) -> anyhow::Result<String> {
    let mut text = config::DEFAULT.to_owned();
    if let Some(host) = &args.host {
        text = text.replace("relay.example", host.as_str());
    }
    let mut set = |key: &str, default: &str, value: &str| {
        let line = |value: &str| format!("\n{key} = {}\n", quoted(value));
        text = text.replacen(&line(default), &line(value), 1);
    };
    if let Some(url) = &args.database {
        set("url", &DatabaseConfig::default().url, url);
    }
    if let Some(file) = &args.password_file {
        // Named from here; the configuration names it from its own folder.
        let file = std::path::absolute(file).context("--password-file")?;
        let file = file.to_str().context("--password-file is not UTF-8")?;
        set("password_file", "", file);
    }
    Ok(text)
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
    use std::path::{Path, PathBuf};

    use super::*;

    fn made(database: Option<&str>, password_file: Option<&Path>) -> Config {
        let args = InitArgs {
            dir: PathBuf::from("relay"),
            host: Some("mail.test".parse().unwrap()),
            database: database.map(str::to_owned),
            password_file: password_file.map(Path::to_owned),
            json: false,
        };
        Config::parse(&configuration(&args).unwrap(), &args.dir).unwrap()
    }

    #[test]
    fn init_writes_down_what_was_named_and_nothing_else() {
        let url = "postgres://relay@db.test/mail";
        let config = made(Some(url), Some(Path::new("secrets/db \"1\"")));
        assert_eq!(config.database.url, url);
        assert!(config.database.password_file.is_absolute());
        assert!(config.database.password_file.ends_with("secrets/db \"1\""));
        assert_eq!(config.service.send_domain.as_str(), "send.mail.test");
        let plain = made(None, None);
        assert_eq!(plain.database.url, DatabaseConfig::default().url);
        assert_eq!(plain.database.password_file, PathBuf::new());
    }
}
