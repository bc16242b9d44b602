//! `[warmup]` and `[[egress]]`: how addresses that nobody knows yet grow.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use postrider_delivery::{Egress, WarmupClass, WarmupConfig as Warmup, WarmupTable};
use postrider_model::Timestamp;
use serde::Deserialize;

use super::{Config, Dial};

/// The table that is built in.
const TABLE: &str = include_str!("../../../../infra/warmup.toml");

/// Whether and by which table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WarmupConfig {
    pub enabled: bool,
    /// Empty: the table that is built in.
    pub table: PathBuf,
}

/// An address that this node's mail leaves from, as the outside sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressConfig {
    pub address: IpAddr,
    /// The day on which it began to send, `2026-01-31`; empty: on which it is first seen here.
    #[serde(default)]
    pub since: String,
    /// It is known already.
    #[serde(default)]
    pub skip: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    class: Vec<Class>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    providers: Vec<String>,
    days: Vec<u32>,
}

impl Default for WarmupConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            table: PathBuf::new(),
        }
    }
}

impl EgressConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let address = self.address;
        if address.is_unspecified() || address.is_loopback() {
            bail!(
                "egress.address is {address}: give an address that other mail servers see this relay come from"
            );
        }
        Ok(())
    }

    fn read(&self) -> anyhow::Result<Egress> {
        let since = match self.since.as_str() {
            "" => None,
            day => {
                let midnight = format!("{day}T00:00:00Z");
                let parsed = Timestamp::parse(&midnight);
                let parsed = parsed.with_context(|| {
                    format!("egress.since is {day:?}: give a day such as \"2026-01-31\", or nothing for the day on which it is first seen")
                })?;
                Some(parsed.day())
            }
        };
        Ok(Egress {
            name: self.address.to_canonical().to_string(),
            since,
            skip: self.skip,
        })
    }
}

impl Config {
    /// How this node's addresses are warmed up; `None` where they are not, for nothing of it ever
    /// leaves the machine.
    pub fn warmup(&self) -> anyhow::Result<Option<Warmup>> {
        if !self.warmup.enabled || self.delivery.dial == Dial::Loopback {
            return Ok(None);
        }
        let node = self.node();
        let unnamed = |family| Egress {
            name: format!("{node} {family}"),
            since: None,
            skip: false,
        };
        let (v4, v6) = self.egresses()?;
        Ok(Some(Warmup {
            table: self.table()?,
            v4: v4.unwrap_or_else(|| unnamed("IPv4")),
            v6: v6.unwrap_or_else(|| unnamed("IPv6")),
        }))
    }

    pub(super) fn check_warmup(&self) -> anyhow::Result<()> {
        self.egresses()?;
        let built_in = Path::new("");
        if self.warmup.table != built_in {
            return Ok(());
        }
        self.table().map(drop)
    }

    // Which of several the kernel would take is not known here.
    fn egresses(&self) -> anyhow::Result<(Option<Egress>, Option<Egress>)> {
        let (mut v4, mut v6) = (None, None);
        for one in &self.egress {
            let (family, place) = if one.address.to_canonical().is_ipv4() {
                ("IPv4", &mut v4)
            } else {
                ("IPv6", &mut v6)
            };
            if place.replace(one.read()?).is_some() {
                bail!(
                    "egress.address is {}, a second address of {family}: a node sends from one of each family, name that one",
                    one.address
                );
            }
        }
        Ok((v4, v6))
    }

    fn table(&self) -> anyhow::Result<WarmupTable> {
        if self.warmup.table.as_os_str().is_empty() {
            return read_table(TABLE).context("the built-in table of warm-up");
        }
        let path = self.path(&self.warmup.table);
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("warmup.table: cannot read {}", path.display()))?;
        read_table(&text).with_context(|| format!("warmup.table: {}", path.display()))
    }
}

fn read_table(text: &str) -> anyhow::Result<WarmupTable> {
    let file: TableFile = toml::from_str(text)?;
    let classes = file.class.into_iter().map(|class| WarmupClass {
        providers: class.providers,
        days: class.days,
    });
    Ok(WarmupTable::new(&classes.collect::<Vec<_>>())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> anyhow::Result<Option<Warmup>> {
        Config::parse(text, Path::new("/nowhere"))?.warmup()
    }

    #[test]
    fn a_node_has_one_address_of_each_family_and_a_birthday_for_it() {
        let node = "[delivery]\nnode = \"one\"\n";
        let warmup = parsed(node).unwrap().unwrap();
        assert_eq!(
            (warmup.v4.name.as_str(), warmup.v6.name.as_str()),
            ("one IPv4", "one IPv6")
        );
        let text = format!(
            "{node}[[egress]]\naddress = \"192.0.2.7\"\nsince = \"2026-01-31\"\n[[egress]]\naddress = \"2001:DB8::7\"\nskip = true\n"
        );
        let warmup = parsed(&text).unwrap().unwrap();
        let born = Timestamp::parse("2026-01-31T00:00:00Z").unwrap().day();
        assert_eq!(
            (warmup.v4.name.as_str(), warmup.v4.since),
            ("192.0.2.7", Some(born))
        );
        assert_eq!(
            (warmup.v6.name.as_str(), warmup.v6.skip),
            ("2001:db8::7", true)
        );
        for none in [
            "[warmup]\nenabled = false\n",
            "[delivery]\ndial = \"loopback\"\n",
        ] {
            assert_eq!(parsed(none).unwrap(), None, "{none}");
        }
    }

    #[test]
    fn what_cannot_be_warmed_up_is_refused_with_what_to_change() {
        for (text, says) in [
            ("[[egress]]\naddress = \"relay.example\"\n", "line 2"),
            ("[[egress]]\nsince = \"2026-01-31\"\n", "address"),
            (
                "[[egress]]\naddress = \"192.0.2.7\"\nsince = \"31.1.2026\"\n",
                "egress.since is \"31.1.2026\"",
            ),
            (
                "[[egress]]\naddress = \"192.0.2.7\"\n[[egress]]\naddress = \"192.0.2.8\"\n",
                "a second address of IPv4",
            ),
            ("[warmup]\ntable = \"none.toml\"\n", "/nowhere/none.toml"),
        ] {
            let fault = format!("{:#}", parsed(text).unwrap_err());
            assert!(fault.contains(says), "{text}: {fault}");
        }
        for (text, says) in [
            ("", "class"),
            ("[[class]]\nproviders = [\"*\"]\ndays = [-1]\n", "line 3"),
            ("[[class]]\nproviders = [\"gogle\"]\ndays = [1]\n", "gogle"),
        ] {
            let fault = format!("{:#}", read_table(text).unwrap_err());
            assert!(fault.contains(says), "{text}: {fault}");
        }
    }
}
