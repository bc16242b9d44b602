//! What is said of a running sandbox: to programs in `dev.json`, to people on the screen.

use std::path::{Path, PathBuf};

use anyhow::Context;
use postrider_model::Domain;
use serde_json::json;

use super::internet::Internet;
use super::state::State;
use crate::cli::{DevArgs, KNOWN};
use crate::relay::Relay;
use crate::{folder, print};

/// What other programs are told of a running sandbox: `DIR/dev.json`.
pub(super) struct Announced {
    http: String,
    /// `HOST:PORT`: it takes every mode.
    smtp: String,
    api_key: String,
    tenant: String,
    metrics: String,
    admin: String,
    admin_token: String,
    /// PKCS#8, PEM: licence tokens of the vendor `sandbox` are signed with it.
    vendor_key: String,
    mailbox: String,
    ca: PathBuf,
    /// The domain whose mail stays in the relay.
    simulator: Option<Domain>,
}

impl Announced {
    pub(super) fn new(
        args: &DevArgs,
        data: &Path,
        relay: &Relay,
        internet: &Internet,
        state: &State,
    ) -> anyhow::Result<Self> {
        let http = relay.http.first().context("the HTTP door has no address")?;
        let smtp = relay.smtp.first().context("the SMTP door has no address")?;
        let smtp = match &args.public {
            Some(name) => format!("{name}:{}", smtp.port()),
            None => smtp.to_string(),
        };
        Ok(Self {
            http: super::settings::url(args, *http),
            smtp,
            api_key: state.api_key.clone().context("the sandbox has no key")?,
            tenant: state.tenant.clone().context("the sandbox has no tenant")?,
            metrics: format!("http://{}", relay.metrics),
            admin: format!(
                "http://{}",
                relay.admin.context("the admin API has no address")?
            ),
            admin_token: state
                .admin_token
                .clone()
                .context("the sandbox has no token")?,
            vendor_key: state
                .vendor_key
                .clone()
                .context("the sandbox has no vendor")?,
            mailbox: internet.mailbox_url(),
            ca: data.join("ca.pem"),
            simulator: relay.simulator.clone(),
        })
    }

    pub(super) fn write(&self, data: &Path) -> anyhow::Result<()> {
        let announced = json!({
            "http": self.http,
            "smtp": self.smtp,
            "api_key": self.api_key,
            "metrics": self.metrics,
            "admin": self.admin,
            "admin_token": self.admin_token,
            "vendor_key": self.vendor_key,
            "mailbox": self.mailbox,
            "ca": self.ca,
            "simulator": self.simulator,
        });
        folder::write_atomically(
            &data.join(ANNOUNCEMENT),
            &serde_json::to_vec_pretty(&announced)?,
        )
    }

    pub(super) fn print(&self, args: &DevArgs) -> anyhow::Result<()> {
        let tls = if args.public.is_some() {
            format!(" --cacert {}", self.ca.display())
        } else {
            String::new()
        };
        let place = if args.data == Path::new(".postrider") {
            String::new()
        } else {
            format!(" --data {}", args.data.display())
        };
        let page = self
            .mailbox
            .strip_suffix("dev/mailbox")
            .unwrap_or(&self.mailbox);
        print::line(&format!(
            r#"Postrider sandbox: every domain is fake, nothing leaves this machine.

  HTTP     {http}
  SMTP     {smtp}   (TLS at once or STARTTLS; any user name, the key as password)
  key      {key}
  mailbox  {page}   (what the fake exchangers received)
  metrics  {metrics}/metrics
  admin    {admin}/admin/v1   (its token, and a vendor's key, in dev.json)

Send a message by HTTP, and by SMTP:

  curl -sS{tls} {http}/emails -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{{"to":"ann@example.org","subject":"Hello","text":"It works."}}'
  swaks --server {smtp} -tls --auth-user sandbox --auth-password {key} --from me@garage.test --to ann@example.org

A password that fits any form: postrider key create {tenant} --smtp{place}

{KNOWN}
"#,
            http = self.http,
            smtp = self.smtp,
            tenant = self.tenant,
            key = self.api_key,
            metrics = self.metrics,
            admin = self.admin,
        ))
    }
}

const ANNOUNCEMENT: &str = "dev.json";

/// Takes it away: nothing runs here (any more).
pub(super) fn remove(data: &Path) -> anyhow::Result<()> {
    let path = data.join(ANNOUNCEMENT);
    match std::fs::remove_file(&path) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => {
            Err(fault).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
