//! The configuration that `init` writes: the documented default, with what was named in its place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::InitArgs;
use crate::config::{self, DatabaseConfig, quoted};

/// Where the doors' certificate and its key lie, beside the configuration.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "certificate-key.pem";

/// The documented file, some of whose values are replaced.
struct Text(String);

impl Text {
    /// Puts `value` where `key` has `default`, in TOML both.
    fn set(&mut self, key: &str, default: &str, value: &str) -> anyhow::Result<()> {
        let line = |value: &str| format!("\n{key} = {value}\n");
        let (old, new) = (line(default), line(value));
        if !self.0.contains(&old) {
            bail!("the documented configuration has no line {:?}", old.trim());
        }
        self.0 = self.0.replacen(&old, &new, 1);
        Ok(())
    }

    /// The same below the heading of a section, for keys that several have.
    fn set_in(
        &mut self,
        section: &str,
        key: &str,
        default: &str,
        value: &str,
    ) -> anyhow::Result<()> {
        let heading = format!("\n[{section}]\n");
        let at = self.0.find(&heading);
        let at = at.with_context(|| format!("the documented configuration has no [{section}]"))?;
        let mut below = Self(self.0.split_off(at));
        below.set(key, default, value)?;
        self.0.push_str(&below.0);
        Ok(())
    }
}

/// The text of the new relay's configuration.
pub(super) fn configuration(args: &InitArgs) -> anyhow::Result<String> {
    let mut text = Text(config::DEFAULT.to_owned());
    if let Some(host) = args.domain.as_ref().or(args.host.as_ref()) {
        text.0 = text.0.replace("relay.example", host.as_str());
    }
    for (key, address) in [("contact", &args.contact), ("reports", &args.reports)] {
        if let Some(address) = address {
            text.set(key, "\"\"", &quoted(&address.to_string()))?;
        }
    }
    if let Some(url) = &args.database {
        text.set("url", &quoted(&DatabaseConfig::default().url), &quoted(url))?;
    }
    if let Some(file) = &args.password_file {
        let file = absolute("--password-file", file)?;
        text.set("password_file", "\"\"", &file)?;
    }
    surroundings(&mut text, args)?;
    if args.domain.is_some() {
        doors(&mut text, args)?;
    }
    Ok(text.0)
}

/// The network it is in.
fn surroundings(text: &mut Text, args: &InitArgs) -> anyhow::Result<()> {
    if !args.dns_server.is_empty() {
        text.set("servers", "[]", &list(&args.dns_server))?;
    }
    if !args.allow_destination.is_empty() {
        text.set("allow_destinations", "[]", &list(&args.allow_destination))?;
        // Nobody of the internet is there to be asked.
        text.set("time_servers", "[\"pool.ntp.org:123\"]", "[]")?;
    }
    if !args.probe.is_empty() || !args.allow_destination.is_empty() {
        let usual = "[\"gmail.com\", \"outlook.com\"]";
        text.set("probe_domains", usual, &list(&args.probe))?;
    }
    Ok(())
}

/// The doors of a server on the internet, and its certificate.
fn doors(text: &mut Text, args: &InitArgs) -> anyhow::Result<()> {
    let addresses = if args.ip.is_empty() {
        own_addresses()
    } else {
        args.ip.clone()
    };
    // Tables of their own: they stand behind all sections.
    for address in addresses {
        let table = format!("\n[[egress]]\naddress = \"{address}\"\n");
        text.0.push_str(&table);
    }
    text.set("listen", "[\"127.0.0.1:8025\"]", "[\"[::]:443\"]")?;
    if args.acme {
        certificates_by_acme(text, args)?;
    } else {
        text.set("tls_certificate", "\"\"", &quoted(CERTIFICATE))?;
        text.set("tls_key", "\"\"", &quoted(KEY))?;
        let pair = format!("[{{ certificate = \"{CERTIFICATE}\", key = \"{KEY}\" }}]");
        text.set_in("smtp", "certificates", "[]", &pair)?;
    }
    text.set_in("smtp", "enabled", "false", "true")?;
    text.set_in("inbound", "enabled", "false", "true")?;
    Ok(())
}

/// Certificates of an authority, for both doors.
fn certificates_by_acme(text: &mut Text, args: &InitArgs) -> anyhow::Result<()> {
    let directory = args.acme_directory.as_deref();
    let directory = quoted(directory.unwrap_or(config::LETS_ENCRYPT));
    text.set("directory", "\"\"", &directory)?;
    if let Some(root) = &args.acme_root {
        text.set("root", "\"\"", &absolute("--acme-root", root)?)?;
    }
    let pairs = config::acme_pairs().map(|pair| {
        let file = quoted(&pair.certificate.to_string_lossy());
        format!("{{ certificate = {file}, key = {file} }}")
    });
    let pairs = format!("[{}]", pairs.join(", "));
    for section in ["http", "smtp"] {
        text.set_in(section, "certificates", "[]", &pairs)?;
    }
    Ok(())
}

/// The public addresses that this machine's packets leave from. Nothing is sent: a datagram socket
/// that is connected only says which address it would use.
fn own_addresses() -> Vec<IpAddr> {
    let from = |any: IpAddr, to: IpAddr| {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
        socket.connect(SocketAddr::new(to, 53)).ok()?;
        let own = socket.local_addr().ok()?.ip();
        postrider_delivery::is_public(own).then_some(own)
    };
    // Any address of the internet does.
    let v4 = from(
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv4Addr::new(9, 9, 9, 9).into(),
    );
    let anywhere = Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe);
    let v6 = from(Ipv6Addr::UNSPECIFIED.into(), anywhere.into());
    v4.into_iter().chain(v6).collect()
}

fn list<T: ToString>(values: &[T]) -> String {
    let values: Vec<_> = values
        .iter()
        .map(|value| quoted(&value.to_string()))
        .collect();
    format!("[{}]", values.join(", "))
}

// Named from here; the configuration names it from its own folder.
fn absolute(option: &'static str, file: &Path) -> anyhow::Result<String> {
    let file = std::path::absolute(file).context(option)?;
    let file = file.to_str();
    Ok(quoted(
        file.with_context(|| format!("{option} is not UTF-8"))?,
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::config::Config;

    fn made(words: &[&str]) -> Config {
        let line = ["postrider", "init", "relay"].iter().chain(words);
        let Command::Init(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not init");
        };
        Config::parse(&configuration(&args).unwrap(), &args.dir).unwrap()
    }

    #[test]
    fn init_writes_down_what_was_named_and_nothing_else() {
        let url = "postgres://relay@db.test/mail";
        let file = "secrets/db \"1\"";
        let config = made(&[
            "--host",
            "mail.test",
            "--database",
            url,
            "--password-file",
            file,
            "--contact",
            "ann@corp.test",
            "--reports",
            "reports@corp.test",
        ]);
        assert_eq!(config.database.url, url);
        assert!(config.database.password_file.is_absolute());
        assert!(config.database.password_file.ends_with(file));
        assert_eq!(config.service.send_domain.as_str(), "send.mail.test");
        assert_eq!(config.operator.contact, "ann@corp.test");
        assert_eq!(config.operator.reports, "reports@corp.test");
        let plain = made(&["--host", "mail.test"]);
        let mut usual = Config::default();
        usual.folder.clone_from(&plain.folder);
        usual.service = plain.service.clone();
        assert_eq!(plain, usual);
    }

    #[test]
    fn a_domain_on_the_internet_gets_doors_and_certificates() {
        let config = made(&[
            "--domain",
            "mail.test",
            "--ip",
            "192.0.2.1",
            "--ip",
            "2001:db8::1",
        ]);
        assert_eq!(config.egress.len(), 2);
        assert_eq!(config.http.listen[0].port(), 443);
        assert!(config.smtp.enabled && config.inbound.enabled);
        assert_eq!(
            config.smtp.certificates[0].certificate,
            config.http.tls_certificate
        );
        assert_eq!(config.doctor, config::DoctorConfig::default());
    }

    #[test]
    fn an_authority_is_asked_where_that_was_said() {
        let own = ["--domain", "mail.test", "--ip", "192.0.2.1", "--acme"];
        let config = made(&[&own[..], &["--contact", "ann@corp.test"]].concat());
        assert_eq!(config.acme.directory, config::LETS_ENCRYPT);
        assert_eq!(config.acme_contact(), "ann@corp.test");
        assert_eq!(config.acme_files().len(), 2);
        assert_eq!(config.http.certificates, config.smtp.certificates);
        let other = [
            "--acme-directory",
            "https://ca.test/dir",
            "--acme-root",
            "ca.pem",
        ];
        let config = made(&[&own[..], &other].concat());
        assert_eq!(config.acme.directory, "https://ca.test/dir");
        assert!(config.acme.root.is_absolute());
        for words in [
            &["--acme"][..],
            &["--domain", "mail.test", "--acme-directory", "x"],
        ] {
            let line = ["postrider", "init", "relay"].iter().chain(words);
            assert!(Cli::try_parse_from(line).is_err(), "{words:?}");
        }
    }

    #[test]
    fn in_a_closed_network_nobody_of_the_internet_is_asked() {
        let config = made(&[
            "--domain",
            "mail.test",
            "--ip",
            "10.9.0.1",
            "--dns-server",
            "10.9.0.3",
            "--allow-destination",
            "10.9.0.0/24",
            "--probe",
            "shop.test",
        ]);
        assert_eq!(config.dns.servers[0].to_string(), "10.9.0.3:53");
        assert_eq!(config.delivery.allow_destinations, ["10.9.0.0/24"]);
        assert_eq!(config.doctor.probe_domains[0].as_str(), "shop.test");
        assert!(config.doctor.time_servers.is_empty());
    }
}
