//! The Unix socket in a relay's folder: one JSON verb on a line, one JSON answer on a line.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use postrider_runtime::Shutdown;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Office, Verb};

/// How long a client may take to say its verb.
const VERB_WAIT: Duration = Duration::from_secs(10);
/// How long a verb may take; larger than any database wait.
const ANSWER_WAIT: Duration = Duration::from_mins(1);
/// How long a verb about the queue may take: there may be millions of rows.
const QUEUE_WAIT: Duration = Duration::from_hours(6);
const LINE_MOST: u64 = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Value),
    Refused(String),
}

/// Answers verbs until shutdown. The socket is readable and writable by its owner only.
pub async fn serve(path: &Path, office: Arc<Office>, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = bind(path)?;
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => break,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let office = Arc::clone(&office);
                    clients.spawn(async move {
                        if let Err(fault) = answer_one(stream, &office).await {
                            tracing::warn!(fault = format!("{fault:#}"), "a command went away");
                        }
                    });
                }
            }
            Some(_) = clients.join_next() => {}
        }
    }
    office.stopping.begin();
    // A verb that has begun is finished: its change is on disk or it is not.
    let drained = timeout(shutdown.drain(), async {
        while clients.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        tracing::warn!("commands were cut off by the stop");
    }
    remove(path)
}

fn bind(path: &Path) -> anyhow::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    // Whoever holds the database's lock is the only relay here: an old socket is a leftover.
    remove(path)?;
    let listener = UnixListener::bind(path).with_context(|| {
        format!(
            "cannot listen on {} (a path of at most 107 bytes)",
            path.display()
        )
    })?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(fault) if fault.kind() != ErrorKind::NotFound => {
            Err(fault).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

async fn answer_one(stream: UnixStream, office: &Office) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    timeout(
        VERB_WAIT,
        (&mut stream).take(LINE_MOST).read_line(&mut line),
    )
    .await??;
    let answer = match serde_json::from_str::<Verb>(&line) {
        Err(fault) => Answer::Refused(format!("this relay does not know the command: {fault}")),
        Ok(verb) => match office.execute(verb).await {
            Ok(value) => Answer::Done(value),
            Err(fault) => Answer::Refused(format!("{fault:#}")),
        },
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.get_mut().write_all(&line).await?;
    Ok(())
}

/// Asks a running relay. `None` where none listens on this socket.
pub async fn ask(path: &Path, verb: &Verb) -> anyhow::Result<Option<Value>> {
    let stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(fault)
            if matches!(
                fault.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(fault) => {
            return Err(fault).with_context(|| format!("cannot reach {}", path.display()));
        }
    };
    let mut stream = BufReader::new(stream);
    let mut line = serde_json::to_vec(verb)?;
    line.push(b'\n');
    stream.get_mut().write_all(&line).await?;
    let wait = match verb {
        Verb::Queue { .. } => QUEUE_WAIT,
        _ => ANSWER_WAIT,
    };
    let mut answer = String::new();
    timeout(wait, (&mut stream).take(LINE_MOST).read_line(&mut answer)).await??;
    match serde_json::from_str(&answer).context("the relay closed the connection")? {
        Answer::Done(value) => Ok(Some(value)),
        Answer::Refused(why) => bail!("{why}"),
    }
}
