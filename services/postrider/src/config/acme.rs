//! `[acme]`: the authority that the certificates are had from, for whom, and where they lie.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::bail;
use postrider_model::EmailAddress;
use postrider_tls::KeyKind;
use serde::Deserialize;

use super::{CertificatePair, Config};
use crate::zone::Zone;

/// Where certificates come from by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AcmeConfig {
    pub directory: String,
    pub contact: String,
    pub listen: Vec<SocketAddr>,
    pub root: PathBuf,
}

/// Where most relays have theirs from.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// A chain with its key in one file, so that both change in one moment. Beside the configuration.
const FILES: [(KeyKind, &str); 2] = [
    (KeyKind::Ecdsa, "acme/ecdsa.pem"),
    (KeyKind::Rsa, "acme/rsa.pem"),
];

impl AcmeConfig {
    pub fn is_on(&self) -> bool {
        !self.directory.is_empty()
    }

    fn check(&self) -> anyhow::Result<()> {
        if !is_https(&self.directory) {
            bail!(
                "acme.directory is {:?}: give the address of an authority's directory, such as \"https://acme-v02.api.letsencrypt.org/directory\", or nothing",
                self.directory
            );
        }
        if !self.contact.is_empty() && EmailAddress::parse(&self.contact).is_err() {
            bail!(
                "acme.contact is {:?}: give a mail address, or nothing for operator.contact",
                self.contact
            );
        }
        if self.listen.is_empty() {
            bail!(
                "acme.listen is empty: the authority asks on port 80 of each name; name an address that gets what comes there, such as \"[::]:80\""
            );
        }
        Ok(())
    }
}

// RFC 8555 §7.1.1. Nothing is trimmed: what is shown is what is asked.
fn is_https(address: &str) -> bool {
    let parsed = address.parse::<http::Uri>().ok();
    parsed.is_some_and(|uri| {
        let host = uri.host().unwrap_or_default();
        uri.scheme_str() == Some("https") && !host.is_empty()
    })
}

/// What a door names that shows both.
pub fn acme_pairs() -> [CertificatePair; 2] {
    FILES.map(|(_, file)| CertificatePair {
        certificate: PathBuf::from(file),
        key: PathBuf::from(file),
    })
}

impl Config {
    /// Where the account, the certificates and what came of the attempts lie.
    pub fn acme_folder(&self) -> PathBuf {
        self.path(Path::new("acme"))
    }

    /// The certificates that doors show of those that are had by ACME; none where it is off.
    pub fn acme_files(&self) -> Vec<(KeyKind, PathBuf)> {
        if !self.acme.is_on() {
            return Vec::new();
        }
        self.shown_of_ours(&self.doors_pairs())
    }

    fn shown_of_ours(&self, pairs: &[CertificatePair]) -> Vec<(KeyKind, PathBuf)> {
        let files = FILES
            .iter()
            .map(|(kind, file)| (*kind, self.path(Path::new(file))));
        let is_shown = |file: &PathBuf| pairs.iter().any(|pair| pair.certificate == *file);
        files.filter(|(_, file)| is_shown(file)).collect()
    }

    /// The names that they are for: the host, and, where the HTTP door shows one of them, those of
    /// the MTA-STS policies and where browsers go. An order fails as a whole, so a name that others
    /// answer for is not in it, nor a link's host without a dot, which no authority of the web takes.
    pub fn acme_names(&self) -> Vec<String> {
        if self.shown_of_ours(&self.http_pairs()).is_empty() {
            return vec![self.service.host.to_string()];
        }
        let mut names = Zone::new(self, Vec::new()).certificate_names();
        let http = self.http_host();
        let is_name = http.parse::<IpAddr>().is_err() && http.contains('.');
        if is_name && !names.contains(&http) {
            names.push(http);
        }
        names
    }

    /// All that an attempt depends on: with another of these it need not wait.
    pub fn acme_about(&self) -> String {
        let (acme, names) = (&self.acme, self.acme_names().join(" "));
        let (root, contact) = (acme.root.display(), self.acme_contact());
        let (listen, servers) = (&acme.listen, &self.dns.servers);
        let directory = &acme.directory;
        format!(
            "{directory} {names}; root {root}; contact {contact}; listen {listen:?}; dns {servers:?}"
        )
    }

    /// Who is named to the authority; may be empty.
    pub fn acme_contact(&self) -> &str {
        match self.acme.contact.as_str() {
            "" => &self.operator.contact,
            contact => contact,
        }
    }

    pub(super) fn check_acme(&self) -> anyhow::Result<()> {
        if !self.acme.is_on() {
            return Ok(());
        }
        self.acme.check()?;
        let host = self.service.host.to_string();
        if !host.contains('.') && self.acme.root.as_os_str().is_empty() {
            bail!(
                "service.host is {host:?}: no authority that browsers trust gives a certificate for a name without a dot; give the whole name, such as \"{host}.example.org\", or the file of your network's own authority in acme.root"
            );
        }
        self.check_acme_alone()?;
        let ours: Vec<_> = FILES
            .iter()
            .map(|(_, file)| self.path(Path::new(file)))
            .collect();
        let halves = self.doors_pairs().into_iter();
        let mut halves = halves.filter(|pair| ours.contains(&pair.certificate));
        if let Some(half) = halves.find(|pair| pair.key != pair.certificate) {
            bail!(
                "{} has its key in it: name the same file as the key, not {}",
                half.certificate.display(),
                half.key.display()
            );
        }
        if self.acme_files().is_empty() {
            bail!(
                "acme.directory is set, and no door shows what comes from there: name \"acme/ecdsa.pem\", or \"acme/rsa.pem\", as certificate and as key under smtp.certificates or http.certificates"
            );
        }
        Ok(())
    }

    /// What the HTTP door shows, as seen from here; none where it speaks plain HTTP.
    pub fn http_pairs(&self) -> Vec<CertificatePair> {
        let alone = (!self.http.tls_certificate.as_os_str().is_empty()).then(|| CertificatePair {
            certificate: self.http.tls_certificate.clone(),
            key: self.http.tls_key.clone(),
        });
        let pairs = self.http.certificates.iter().cloned().chain(alone);
        pairs.map(|pair| self.located(&pair)).collect()
    }

    /// What the SMTP door shows, as seen from here; none where it is off.
    pub fn smtp_pairs(&self) -> Vec<CertificatePair> {
        let pairs = self.smtp.certificates.iter();
        let pairs = pairs.filter(|_| self.smtp.enabled);
        pairs.map(|pair| self.located(pair)).collect()
    }

    fn doors_pairs(&self) -> Vec<CertificatePair> {
        let mut pairs = [self.http_pairs(), self.smtp_pairs()].concat();
        if self.admin.enabled && !self.admin.tls_certificate.as_os_str().is_empty() {
            pairs.push(self.located(&CertificatePair {
                certificate: self.admin.tls_certificate.clone(),
                key: self.admin.tls_key.clone(),
            }));
        }
        pairs
    }

    fn located(&self, pair: &CertificatePair) -> CertificatePair {
        CertificatePair {
            certificate: self.path(&pair.certificate),
            key: self.path(&pair.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: &str = "[acme]\ndirectory = \"https://ca.example/dir\"\n";
    const SHOWN: &str = "[http]\ntls_certificate = \"acme/rsa.pem\"\ntls_key = \"acme/rsa.pem\"\n";

    #[test]
    fn only_what_a_door_shows_is_had() {
        let parse = |text: &str| Config::parse(text, Path::new("/srv/relay")).unwrap();
        assert!(parse("").acme_files().is_empty());
        let config = parse(&format!("{ON}{SHOWN}"));
        let rsa = PathBuf::from("/srv/relay/acme/rsa.pem");
        assert_eq!(config.acme_files(), [(KeyKind::Rsa, rsa)]);
    }

    #[test]
    fn what_browsers_are_told_is_in_the_certificate() {
        let names = |text: &str| {
            let config = Config::parse(&text.replace("[http]\n", SHOWN), Path::new(""));
            config.unwrap().acme_names()
        };
        let usual = names("[http]\n");
        assert_eq!(usual[..2], ["relay.example", "mta-sts.relay.example"]);
        assert_eq!(usual.len(), 4);
        for (url, want) in [
            ("https://relay.example:8443", 4),
            ("http://192.0.2.1", 4),
            ("http://[2001:db8::1]:80", 4),
            ("https://links.example/a", 5),
            ("http://localhost:8025", 4),
        ] {
            let all = names(&format!("[http]\npublic_url = \"{url}\"\n"));
            assert_eq!(all.len(), want, "{url}");
        }
        // Others have HTTPS: only SMTP shows what is had.
        let smtp = "[smtp]\nenabled = true\ncertificates = [{ certificate = \"acme/rsa.pem\", key = \"acme/rsa.pem\" }]\n";
        let text = format!("[http]\npublic_url = \"https://links.example\"\n{smtp}");
        let alone = Config::parse(&text, Path::new("")).unwrap().acme_names();
        assert_eq!(alone, ["relay.example"]);
    }

    #[test]
    fn browsers_are_sent_where_public_url_says() {
        for (url, want) in [
            ("", "relay.example"),
            ("https://links.example:8443/a", "links.example:8443"),
            ("https://[2001:db8::1]:1", "[2001:db8::1]:1"),
            ("http://links.example:8025", "relay.example"),
        ] {
            let text = format!("[http]\npublic_url = \"{url}\"\n");
            let config = Config::parse(&text, Path::new("")).unwrap();
            assert_eq!(config.https_authority(), want, "{url}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        let two = "[http]\ntls_certificate = \"acme/rsa.pem\"\ntls_key = \"key.pem\"\n";
        for (text, says) in [
            (
                "[acme]\ndirectory = \"http://ca.example\"\n".to_owned(),
                "acme.directory",
            ),
            (
                ON.replace("/dir", "/dir ") + SHOWN,
                "\"https://ca.example/dir \"",
            ),
            (ON.replace("ca.example/dir", "") + SHOWN, "acme.directory"),
            (ON.replace("/dir", "/\u{e4} b") + SHOWN, "acme.directory"),
            (format!("{ON}contact = \"me\"\n{SHOWN}"), "acme.contact"),
            (format!("{ON}listen = []\n{SHOWN}"), "acme.listen"),
            (
                format!("{ON}[service]\nhost = \"relay\"\n{SHOWN}"),
                "service.host is \"relay\"",
            ),
            (
                format!("{ON}listen = [\"127.0.0.1:8025\"]\n{SHOWN}"),
                "http.listen has 127.0.0.1:8025: only one",
            ),
            (
                format!("{ON}listen = [\"0.0.0.0:80\", \"[::]:80\"]\n{SHOWN}"),
                "acme.listen has 0.0.0.0:80 and acme.listen has [::]:80",
            ),
            (
                format!("{ON}{SHOWN}listen = [\"0.0.0.0:80\"]\n"),
                "acme.listen has [::]:80 and http.listen has 0.0.0.0:80",
            ),
            (ON.to_owned(), "no door shows"),
            (format!("{ON}{two}"), "has its key in it"),
        ] {
            let fault = format!("{:#}", Config::parse(&text, Path::new("")).unwrap_err());
            assert!(fault.contains(says), "{text}: {fault}");
        }
        // In a closed network there may be such names, and who vouches for them.
        let closed = format!("{ON}root = \"root.pem\"\n[service]\nhost = \"relay\"\n{SHOWN}");
        let config = Config::parse(&closed, Path::new("")).unwrap();
        assert_eq!(config.acme_names()[0], "relay");
    }
}
