//! A request's body: read whole, within a size and a time, or not at all.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::{Config, Problem};

/// A body that has not been read. What a door leaves of it is dealt with by the server.
pub struct Body {
    incoming: Option<Incoming>,
    pace: Pace,
    began: bool,
    received: u64,
    /// The time spent on waiting for the client.
    waited: Duration,
    home: Option<oneshot::Sender<Unread>>,
}

/// What a door left of a body.
pub(crate) struct Unread {
    /// `None` where there is no use in waiting for more.
    incoming: Option<Incoming>,
    /// False where the client was never told that its body is wanted.
    pub(crate) began: bool,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is larger than {most} bytes")]
    TooLarge { most: u64 },
    #[error("the body did not come in the time it had")]
    Slow,
    /// The client hung up, or what it sent is not HTTP.
    #[error("the body broke off")]
    Broken,
}

#[derive(Clone, Copy)]
struct Pace {
    timeout: Duration,
    bytes_per_second: u64,
}

// What is reserved at once at most: a declared length is a claim, not bytes.
const FIRST_RESERVE: u64 = 256 * 1024;

impl Body {
    /// A body, and where it comes back to if it is not read to its end.
    pub(crate) fn new(incoming: Incoming, config: &Config) -> (Self, oneshot::Receiver<Unread>) {
        let (home, unread) = oneshot::channel();
        let pace = Pace {
            timeout: config.body_timeout,
            bytes_per_second: config.body_bytes_per_second.max(1),
        };
        (
            Self {
                incoming: Some(incoming),
                pace,
                began: false,
                received: 0,
                waited: Duration::ZERO,
                home: Some(home),
            },
            unread,
        )
    }

    /// What `Content-Length` says; `None` where the body comes in chunks.
    pub fn declared_length(&self) -> Option<u64> {
        self.incoming
            .as_ref()
            .map_or(Some(0), |incoming| incoming.size_hint().exact())
    }

    /// The whole body. Decides `TooLarge` by the declared length where there is one, before
    /// anything is read (and so before `100 Continue` is sent). A second call gives no bytes.
    pub async fn read(&mut self, most: u64) -> Result<Bytes, BodyError> {
        let declared = self.declared_length().unwrap_or(0);
        let mut whole = Collected::new(declared);
        while let Some(chunk) = self.chunk(most).await? {
            whole.add(chunk);
        }
        Ok(whole.into_bytes())
    }

    /// The next piece of the body, `None` after the last, for callers that find room for it step
    /// by step. `most` is for the whole body, as for `read`; time between calls is not counted
    /// against the client.
    pub async fn chunk(&mut self, most: u64) -> Result<Option<Bytes>, BodyError> {
        if !self.began && self.declared_length().is_some_and(|length| length > most) {
            return Err(BodyError::TooLarge { most });
        }
        let Some(incoming) = &mut self.incoming else {
            return Ok(None);
        };
        self.began = true;
        let begun = Instant::now();
        let left = self.pace.allowed(self.received).saturating_sub(self.waited);
        let frame = timeout(left, incoming.frame()).await;
        self.waited += begun.elapsed();
        let chunk = match frame {
            Err(_late) => return Err(self.given_up(BodyError::Slow)),
            Ok(Some(Err(_broken))) => return Err(self.given_up(BodyError::Broken)),
            // Trailers say nothing that we want to know.
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(None) => {
                self.incoming = None;
                self.home = None;
                return Ok(None);
            }
        };
        self.received += chunk.len() as u64;
        if self.received > most {
            return Err(BodyError::TooLarge { most });
        }
        Ok(Some(chunk))
    }

    fn given_up(&mut self, error: BodyError) -> BodyError {
        self.incoming = None;
        error
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let incoming = self.incoming.take();
        if incoming
            .as_ref()
            .is_some_and(hyper::body::Body::is_end_stream)
        {
            return;
        }
        if let Some(home) = self.home.take() {
            // Where nobody waits, the connection is gone and the body with it.
            let _gone = home.send(Unread {
                incoming,
                began: self.began,
            });
        }
    }
}

impl Unread {
    /// Reads and throws away up to `most` bytes for up to `time`. How much it was, if that was all.
    pub(crate) async fn discard(self, most: u64, time: Duration) -> Option<u64> {
        let mut incoming = self.incoming?;
        let all = async {
            let mut seen = 0;
            while let Some(frame) = incoming.frame().await {
                seen += frame.ok()?.data_ref().map_or(0, |data| data.len() as u64);
                if seen > most {
                    return None;
                }
            }
            Some(seen)
        };
        timeout(time, all).await.ok().flatten()
    }
}

impl Pace {
    /// The time that a body may have taken which has come so far: a floor under the rate, and a
    /// deadline for a body that never ends.
    fn allowed(self, received: u64) -> Duration {
        self.timeout + Duration::from_secs(received / self.bytes_per_second)
    }
}

/// Frames, joined; a body of one frame is not copied.
struct Collected {
    first: Bytes,
    rest: BytesMut,
    declared: u64,
}

impl Collected {
    fn new(declared: u64) -> Self {
        Self {
            first: Bytes::new(),
            rest: BytesMut::new(),
            declared,
        }
    }

    fn add(&mut self, data: Bytes) {
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            let reserve = usize::try_from(self.declared.min(FIRST_RESERVE)).unwrap_or_default();
            self.rest.reserve(reserve.max(self.first.len()));
            self.rest
                .extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() {
            self.first
        } else {
            self.rest.freeze()
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let refused = |status, message: String| Self::new(status, "validation_error", message);
        match error {
            BodyError::TooLarge { most } => refused(
                413,
                format!("The body is larger than {most} bytes; send less in one request."),
            ),
            BodyError::Slow => refused(
                408,
                "The body did not come in the time it had; send it faster.".to_owned(),
            ),
            BodyError::Broken => refused(
                400,
                "The body broke off before its end; send it again.".to_owned(),
            ),
        }
    }
}
