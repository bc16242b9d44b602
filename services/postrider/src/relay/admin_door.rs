//! The admin API's listener, in every process that it is on for, whatever its roles.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use postrider_tls::{Acceptor, IdentityFiles, keep_current};

use super::{Machine, Relay, done, listen};
use crate::admin_api::AdminDoor;
use crate::config::Config;
use crate::core::Core;

/// Vendors' servers and operators: few, but not one at a time.
const CONNECTIONS_MOST: usize = 256;
/// How soon a renewed certificate is shown.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl Relay {
    pub(super) fn start_admin(
        &mut self,
        config: &Config,
        core: &Core,
        machine: &Machine,
    ) -> anyhow::Result<()> {
        if !config.admin.enabled {
            return Ok(());
        }
        let tls = self.admin_certificates(config)?;
        let listener = listen("admin.listen", config.admin.listen, machine)?;
        self.admin = Some(listener.local_addr()?);
        let door = Arc::new(AdminDoor::new(Arc::clone(&core.office)));
        let limits = postrider_http::Config {
            max_connections: CONNECTIONS_MOST,
            ..Default::default()
        };
        let serving = postrider_http::serve(listener, tls, door, limits, self.shutdown.clone());
        self.spawn("admin API", done(serving));
        Ok(())
    }

    fn admin_certificates(&mut self, config: &Config) -> anyhow::Result<Option<Acceptor>> {
        let admin = &config.admin;
        if admin.tls_certificate.as_os_str().is_empty() {
            return Ok(None);
        }
        let files = vec![IdentityFiles {
            certificate: config.path(&admin.tls_certificate),
            key: config.path(&admin.tls_key),
        }];
        let acceptor = Acceptor::from_files(&files);
        let acceptor = acceptor.context("admin.tls_certificate, admin.tls_key")?;
        let shutdown = self.shutdown.clone();
        let kept = keep_current(acceptor.clone(), files, LOOK_EVERY, shutdown, || {});
        self.spawn("admin certificates", done(kept));
        Ok(Some(acceptor))
    }
}
