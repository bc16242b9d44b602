//! A server with a door for tests, and a client that writes bytes as given.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use postrider_http::{Answer, Config, Door, Problem, Request, serve};
use postrider_runtime::Shutdown;
use postrider_tls::Acceptor;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub(crate) const MOST: u64 = 1024 * 1024;

#[derive(Default)]
pub(crate) struct TestDoor {
    /// Told when `/wait` has begun.
    pub begun: Notify,
    pub may_end: Notify,
    pub ended: AtomicBool,
}

#[async_trait]
impl Door for TestDoor {
    async fn answer(&self, mut request: Request) -> Answer {
        let segments = request.path.segments().to_vec();
        let first = segments.first().map(String::as_str).unwrap_or_default();
        match (&request.method, first) {
            (&Method::GET | &Method::HEAD, "hello") => Answer::json(
                200,
                &json!({ "to": request.query.all("to").collect::<Vec<_>>(), "rest": &segments[1..] }),
            ),
            (_, "hello") => Problem::method_not_allowed("GET, HEAD").into(),
            (_, "length") => match request.body.read(MOST).await {
                Ok(body) => Answer::json(200, &json!({ "length": body.len() })),
                Err(error) => Problem::from(error).into(),
            },
            (_, "large") => Answer::text(200, vec![b'a'; 64 * 1024 * 1024]),
            (_, "panic") => panic!("as asked"),
            (_, "wait") => {
                self.begun.notify_one();
                self.may_end.notified().await;
                self.ended.store(true, Ordering::SeqCst);
                self.begun.notify_one();
                Answer::text(200, "done")
            }
            _ => {
                let name = http::HeaderName::from_static("x-more");
                Answer::from(Problem::not_found()).header(name, http::HeaderValue::from_static("1"))
            }
        }
    }
}

pub(crate) struct Server {
    pub address: SocketAddr,
    pub door: Arc<TestDoor>,
    pub shutdown: Shutdown,
    pub tasks: JoinSet<()>,
    /// The certificate to trust where it speaks TLS.
    pub ca: String,
}

pub(crate) async fn plain(config: Config) -> Server {
    start(config, None, String::new()).await
}

pub(crate) async fn secure(config: Config) -> Server {
    let made = rcgen::generate_simple_self_signed(["relay.example".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let acceptor = Acceptor::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    start(config, Some(acceptor), certificate).await
}

async fn start(config: Config, tls: Option<Acceptor>, ca: String) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (door, shutdown) = (
        Arc::new(TestDoor::default()),
        Shutdown::new(Duration::from_secs(5)),
    );
    let mut tasks = JoinSet::new();
    let ours: Arc<dyn Door> = Arc::<TestDoor>::clone(&door);
    tasks.spawn(serve(listener, tls, ours, config, shutdown.clone()));
    Server {
        address,
        door,
        shutdown,
        tasks,
        ca,
    }
}

impl Server {
    pub(crate) async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Writes these bytes on a new connection and reads until the server closes it.
    pub(crate) async fn say(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.dial().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        read_to_end(&mut stream).await
    }

    pub(crate) async fn stop(mut self) {
        self.shutdown.begin();
        self.tasks.join_next().await.unwrap().unwrap();
    }
}

pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// Reads until what has come ends with this.
pub(crate) async fn read_until(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    end: &str,
) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

/// The JSON in an answer.
pub(crate) fn json_of(answer: &str) -> serde_json::Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}
