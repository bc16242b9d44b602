//! `[simulator]`: a domain whose mail tries the whole line and stays on this machine.

use anyhow::{Context, bail};
use postrider_model::Domain;
use serde::Deserialize;

use super::Config;

/// The domain of the simulator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatorConfig {
    pub enabled: bool,
    /// Empty: `simulator.` and `service.host`.
    pub domain: String,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            domain: String::new(),
        }
    }
}

impl Config {
    /// Whose mail goes to the simulator; `None` where there is none.
    pub fn simulator(&self) -> anyhow::Result<Option<Domain>> {
        let SimulatorConfig { enabled, domain } = &self.simulator;
        if !enabled {
            return Ok(None);
        }
        let name = match domain.as_str() {
            "" => format!("simulator.{}", self.service.host),
            name => name.to_owned(),
        };
        let parsed = Domain::parse(&name);
        let domain = parsed.with_context(|| format!("simulator.domain: {name:?}"))?;
        let service = &self.service;
        if [&service.host, &service.send_domain, &service.bounce_domain].contains(&&domain) {
            bail!(
                "simulator.domain is {domain}, which takes mail of its own: give a domain that is nobody's, or nothing for simulator.{}",
                service.host
            );
        }
        Ok(Some(domain))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_simulator_lives_beside_the_service_unless_it_is_said_where() {
        for (text, want) in [
            ("", Some("simulator.relay.example")),
            (
                "[simulator]\ndomain = \"Try.Example\"\n",
                Some("try.example"),
            ),
            ("[simulator]\nenabled = false\n", None),
        ] {
            let config = Config::parse(text, Path::new("")).unwrap();
            let domain = config.simulator().unwrap().map(|domain| domain.to_string());
            assert_eq!(domain.as_deref(), want, "{text}");
        }
    }
}
