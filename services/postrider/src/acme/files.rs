//! The files that doors show: a chain and its key in each.

use std::path::Path;

use anyhow::Context;
use postrider_tls::{Acceptor, Certificate, Issued, self_signed};

use crate::config::Config;
use crate::folder;

/// Puts certificates by nobody where doors look and nothing is that they could show, so that they
/// open before an authority was asked. What was there and is damaged is kept beside it, as `.bad`.
pub(crate) fn write_placeholders(config: &Config) -> anyhow::Result<()> {
    let files = config.acme_files();
    if !files.is_empty() {
        folder::create(&config.acme_folder())?;
    }
    for (kind, file) in files {
        let text = text_of(&file)?;
        if text.as_deref().is_some_and(|text| shown(text).is_some()) {
            continue;
        }
        if text.is_some() {
            set_aside(&file)?;
        }
        let placeholder = self_signed(&config.acme_names(), kind);
        write_pair(
            &file,
            &placeholder.context("acme: no placeholder can be made")?,
        )?;
    }
    Ok(())
}

/// Does this where a disk that is slow holds up nobody else.
pub(super) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.context("the work on the disk was stopped")?
}

/// What the file holds; none where there is none. That it cannot be read does not say that.
pub(super) fn text_of(file: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match std::fs::read(file) {
        Ok(text) => Ok(Some(text)),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(fault).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// The certificate of a pair that a door could show: a chain, and the key that belongs to it.
pub(super) fn shown(text: &[u8]) -> Option<Certificate> {
    Acceptor::from_pem(text, text).ok()?;
    Certificate::from_pem("", text).ok()
}

fn set_aside(file: &Path) -> anyhow::Result<()> {
    let aside = file.with_extension("pem.bad");
    let moved = std::fs::rename(file, &aside);
    moved.with_context(|| format!("cannot rename {}", file.display()))?;
    tracing::warn!(
        file = %file.display(),
        kept_as = %aside.display(),
        "no door can show this certificate and key: another pair is asked for"
    );
    Ok(())
}

/// A chain and its key in one file, which is renamed into place: whoever reads it at any moment has
/// both of the old ones or both of the new ones. Mode 0600.
pub(super) fn write_pair(file: &Path, issued: &Issued) -> anyhow::Result<()> {
    let both = format!("{}\n{}", issued.certificate_pem.trim_end(), issued.key_pem);
    folder::write_atomically(file, both.as_bytes())
}

/// Removes what a process that was killed left half written: it may hold a key. Only for the one
/// that has the folder.
pub(crate) fn remove_leftovers(config: &Config) {
    let Ok(entries) = std::fs::read_dir(config.acme_folder()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(".pem.new") || name.contains(".json.new") {
            // It is tried again at the next start.
            let _stays = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
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
        // A chain without its key, as another program writes it.
        let alone = first[0].split_once("-----BEGIN PRIVATE").unwrap().0;
        std::fs::write(&files[0].1, alone).unwrap();
        write_placeholders(&config).unwrap();
        assert!(shown(read(0).as_bytes()).is_some());
        assert_eq!(read(1), first[1]);
        let bad = std::fs::read_to_string(files[0].1.with_extension("pem.bad"));
        assert_eq!(bad.unwrap(), alone);
        std::fs::write(folder.path().join("acme/rsa.pem.new12-3"), "half").unwrap();
        remove_leftovers(&config);
        assert!(!folder.path().join("acme/rsa.pem.new12-3").exists());
        assert_eq!(read(1), first[1]);
    }
}
