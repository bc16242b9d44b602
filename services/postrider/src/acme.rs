//! Certificates that a running relay has by itself: when one is due, it is asked for, and written
//! where the doors look. How an authority is spoken with is `postrider-acme`'s affair.

mod attempts;
mod door;
mod due;
mod keeper;

use std::path::Path;

use anyhow::Context;
use postrider_tls::{Issued, KeyKind, self_signed};

use crate::config::Config;
use crate::folder;

pub(crate) use attempts::Attempts;
pub(crate) use door::ChallengeDoor;
pub(crate) use keeper::{Gauges, Keeper};

/// Puts certificates by nobody where doors look and nothing is, so that they open before an
/// authority was asked.
pub(crate) fn write_placeholders(config: &Config) -> anyhow::Result<()> {
    let files = config.acme_files();
    if !files.is_empty() {
        folder::create(&config.acme_folder())?;
    }
    for (kind, file) in files {
        let is_there = file.try_exists();
        if !is_there.with_context(|| format!("cannot look for {}", file.display()))? {
            let placeholder = placeholder(&config.acme_names(), kind)?;
            write_pair(&file, &placeholder)?;
        }
    }
    Ok(())
}

fn placeholder(names: &[String], kind: KeyKind) -> anyhow::Result<Issued> {
    self_signed(names, kind).context("acme: no placeholder can be made")
}

/// A chain and its key in one file, which is renamed into place: whoever reads it at any moment has
/// both of the old ones or both of the new ones. Mode 0600.
fn write_pair(file: &Path, issued: &Issued) -> anyhow::Result<()> {
    let both = format!("{}\n{}", issued.certificate_pem.trim_end(), issued.key_pem);
    folder::write_atomically(file, both.as_bytes())
}

#[cfg(test)]
mod tests {
    use postrider_tls::{Acceptor, Certificate};

    use super::*;

    #[test]
    fn doors_open_with_placeholders_and_what_is_there_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let pair = "{ certificate = \"acme/KIND.pem\", key = \"acme/KIND.pem\" }";
        let pairs = ["ecdsa", "rsa"]
            .map(|kind| pair.replace("KIND", kind))
            .join(", ");
        let text = format!(
            "[acme]\ndirectory = \"https://ca.example/dir\"\n[http]\ncertificates = [{pairs}]\n"
        );
        let config = Config::parse(&text, folder.path()).unwrap();
        write_placeholders(&config).unwrap();
        let files = config.acme_files();
        let read = |place: usize| std::fs::read_to_string(&files[place].1).unwrap();
        let first = [read(0), read(1)];
        for both in &first {
            Acceptor::from_pem(both.as_bytes(), both.as_bytes()).unwrap();
            let certificate = Certificate::from_pem("it", both.as_bytes()).unwrap();
            assert!(certificate.is_self_signed);
            let names = config.acme_names();
            assert!(names.iter().all(|name| certificate.is_for(name)));
        }
        write_placeholders(&config).unwrap();
        assert_eq!([read(0), read(1)], first);
    }
}
