//! An HTTP/1.1 client that writes whatever it is given and reads whatever comes back.

use std::net::SocketAddr;

use postrider_tls::Connector;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// Where and how an HTTP server is reached.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    /// The connector and the name that the certificate must prove.
    pub(crate) tls: Option<(Connector, String)>,
}

/// Something that bytes go through both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Door {
    /// `http://127.0.0.1:8025/some/path` without its path.
    pub(crate) fn plain(url: &str) -> Self {
        let rest = url.strip_prefix("http://").unwrap();
        let address = rest.split('/').next().unwrap().parse().unwrap();
        Self { address, tls: None }
    }

    pub(crate) async fn connect(&self) -> Box<dyn Stream> {
        self.try_connect().await.unwrap()
    }

    async fn try_connect(&self) -> std::io::Result<Box<dyn Stream>> {
        let tcp = TcpStream::connect(self.address).await?;
        Ok(match &self.tls {
            None => Box::new(tcp),
            Some((connector, name)) => {
                Box::new(postrider_tls::connect(connector, name, tcp).await?)
            }
        })
    }

    /// Writes these bytes and reads to the connection's end. `None` where nothing came, because
    /// nobody listens or the connection was cut.
    pub(crate) async fn say(&self, bytes: &[u8]) -> Option<Answer> {
        let (mut read, mut write) = tokio::io::split(self.try_connect().await.ok()?);
        let mut came = Vec::new();
        // A server that answers early may close while we still write.
        let both = async { tokio::join!(write.write_all(bytes), read.read_to_end(&mut came)) };
        let (_written, _read) = timeout(PATIENCE, both).await.expect("no end of the answer");
        Answer::read(&came)
    }

    /// A whole request on a connection of its own.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let request = request(method, path, fields, body);
        let answer = self.say(&request).await;
        answer.unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"").await
    }
}

/// The bytes of a request after which the server closes.
pub(crate) fn request(method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: relay.test\r\nconnection: close\r\n");
    for (name, value) in fields {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() || method == "POST" {
        let length = body.len().to_string();
        head.extend(["content-length: ", &length, "\r\n"]);
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

impl Answer {
    /// Takes apart what a server wrote. `None` where it wrote nothing whole.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Self {
            status,
            head,
            body: bytes[end + 4..].to_vec(),
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|fault| panic!("{fault}: {}\n{}", self.head, self.text()))
    }

    /// A header field's value; the name in lowercase.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split("\r\n").skip(1);
        lines.find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The id of a message that was accepted.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        assert_eq!(self.status, 200, "{}\n{}", self.head, self.text());
        self.json()["id"].as_str().unwrap().to_owned()
    }

    /// Status, name and message of a refusal, its form checked against the contract (§3, §4.3).
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let json = self.json();
        assert_eq!(json["statusCode"], self.status, "{json}");
        assert!(
            self.field("content-type")
                .unwrap()
                .contains("application/json"),
            "{}",
            self.head
        );
        assert_eq!(json["request_id"].as_str(), self.field("x-request-id"));
        for name in ["error", "code", "type"] {
            assert!(json.get(name).is_none(), "{name} in {json}");
        }
        let word = |name: &str| json[name].as_str().unwrap().to_owned();
        (self.status, word("name"), word("message"))
    }
}
