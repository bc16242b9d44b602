//! One HTTP/1.1 connection that is kept, without a library: the load generator shares the
//! machine with what it measures.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::pipe::{self, Layer, Pipe};

/// Where a relay's HTTP listens.
pub(crate) type Door = SocketAddr;

/// Longer than the relay itself waits for room.
const PATIENCE: Duration = Duration::from_mins(1);
const HEAD_MOST: usize = 64 * 1024;
/// Written at once.
const FIRST_MOST: usize = 64 * 1024;

/// A connection, opened when it is first needed.
pub(crate) struct Client {
    door: Door,
    layer: Layer,
    stream: Option<Box<dyn Pipe>>,
    input: Vec<u8>,
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(door: Door) -> Self {
        Self {
            door,
            layer: Layer::Clear,
            stream: None,
            input: Vec::new(),
        }
    }

    /// To a door that is served under TLS.
    pub(crate) fn under_tls(door: Door) -> Self {
        Self {
            layer: Layer::Tls,
            ..Self::new(door)
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.stream.is_none()
    }

    /// `POST /emails`.
    pub(crate) async fn post(
        &mut self,
        token: &str,
        body: &[&str],
        key: Option<&str>,
    ) -> io::Result<Answer> {
        let key = key.map_or(String::new(), |key| format!("Idempotency-Key: {key}\r\n"));
        let length: usize = body.iter().map(|part| part.len()).sum();
        let request = format!(
            "POST /emails HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\n{key}Content-Length: {length}\r\n\r\n"
        );
        self.ask(&request, body).await
    }

    /// `POST` of JSON by whom the JSON itself says.
    pub(crate) async fn post_json(&mut self, path: &str, body: &str) -> io::Result<Answer> {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        self.ask(&request, &[body]).await
    }

    /// `GET` of a path; `token` empty for pages that need none.
    pub(crate) async fn get(&mut self, path: &str, token: &str) -> io::Result<Answer> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {token}\r\n\r\n");
        self.ask(&request, &[]).await
    }

    async fn ask(&mut self, head: &str, body: &[&str]) -> io::Result<Answer> {
        let answer = timeout(PATIENCE, self.exchange(head, body)).await;
        let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if answer.is_err() {
            self.stream = None;
            self.input.clear();
        }
        answer
    }

    async fn exchange(&mut self, head: &str, body: &[&str]) -> io::Result<Answer> {
        if self.stream.is_none() {
            self.stream = Some(pipe::open(self.door, self.layer).await?);
        }
        let Some(stream) = &mut self.stream else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        // A small request is one packet; a large one is not copied for each client.
        let mut first = head.as_bytes().to_vec();
        let mut rest = body;
        while let [part, others @ ..] = rest
            && first.len() + part.len() <= FIRST_MOST
        {
            first.extend_from_slice(part.as_bytes());
            rest = others;
        }
        stream.write_all(&first).await?;
        for part in rest {
            stream.write_all(part.as_bytes()).await?;
        }
        stream.flush().await?;
        let (head, end) = loop {
            if let Some(end) = memmem::find(&self.input, b"\r\n\r\n") {
                let head = self.input.get(..end).unwrap_or_default();
                break (
                    Head::parse(head).ok_or(io::ErrorKind::InvalidData)?,
                    end + 4,
                );
            }
            if self.input.len() > HEAD_MOST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            more(stream, &mut self.input).await?;
        };
        while self.input.len() < end + head.length {
            more(stream, &mut self.input).await?;
        }
        let body = self
            .input
            .get(end..end + head.length)
            .unwrap_or_default()
            .to_vec();
        self.input.drain(..end + head.length);
        if head.closes {
            self.stream = None;
        }
        Ok(Answer {
            status: head.status,
            body,
        })
    }
}

async fn more(stream: &mut Box<dyn Pipe>, input: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(input).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// What there is to know before the body.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: usize,
    closes: bool,
}

impl Head {
    /// Of the relay's own answers, which always carry their length.
    fn parse(head: &[u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let (mut length, mut closes) = (0, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            } else if name.eq_ignore_ascii_case("connection") {
                closes = value.trim().eq_ignore_ascii_case("close");
            }
        }
        Some(Self {
            status,
            length,
            closes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn a_head_is_read_whatever_the_case_of_its_names() {
        let head = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 12\r\nCONNECTION: close";
        let want = Head {
            status: 429,
            length: 12,
            closes: true,
        };
        assert_eq!(Head::parse(head), Some(want));
        for wrong in [&b"HTTP/1.1"[..], b"HTTP/1.1 x y", b"\xff"] {
            assert_eq!(Head::parse(wrong), None);
        }
    }

    #[tokio::test]
    async fn a_connection_is_kept_from_one_request_to_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = Client::new(listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            for answer in [
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab",
                "HTTP/1.1 404 x\r\n\r\n",
            ] {
                assert_ne!(stream.read(&mut request).await.unwrap(), 0);
                let (first, second) = answer.split_at(15);
                stream.write_all(first.as_bytes()).await.unwrap();
                stream.write_all(second.as_bytes()).await.unwrap_or(());
            }
        };
        let ask = async {
            let first = client.post("t", &["{}"], Some("k")).await.unwrap();
            assert_eq!((first.status, first.body.as_slice()), (200, &b"ab"[..]));
            let second = client.get("/x", "t").await.unwrap();
            assert_eq!((second.status, second.body.len()), (404, 0));
        };
        tokio::join!(serve, ask);
    }
}
