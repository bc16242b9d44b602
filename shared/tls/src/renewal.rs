//! Certificates that are renewed while the process runs: whoever renews them only writes files.

use std::time::Duration;

use postrider_runtime::Shutdown;

use crate::{Acceptor, IdentityFiles};

/// Looks at the files this often and takes what they hold as soon as it has changed and is whole.
/// A pair that is only half written does not fit together: the old one stays, and the next look
/// finds the rest. Others than before are told to `renewed`. Returns when shutdown begins.
pub async fn keep_current(
    acceptor: Acceptor,
    files: Vec<IdentityFiles>,
    every: Duration,
    shutdown: Shutdown,
    renewed: impl Fn(),
) {
    // Who made the acceptor may have read them before they changed: the first look takes them anew.
    let mut seen = None;
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            () = tokio::time::sleep(every) => {}
        }
        let now = Some(contents(&files).await);
        if now == seen {
            continue;
        }
        match acceptor.reload_files(&files) {
            Ok(are_others) => {
                if are_others {
                    tracing::info!("the certificates were renewed");
                    renewed();
                }
                seen = now;
            }
            // Told at each look: the old certificate's end comes nearer.
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the certificates have changed and cannot be used; the old ones stay"
                );
            }
        }
    }
}

async fn contents(files: &[IdentityFiles]) -> Vec<Option<Vec<u8>>> {
    let mut contents = Vec::new();
    for IdentityFiles { certificate, key } in files {
        for path in [certificate, key] {
            contents.push(tokio::fs::read(path).await.ok());
        }
    }
    contents
}
