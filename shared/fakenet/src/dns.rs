//! The DNS server of this internet, over UDP and TCP: every question is answered as a recursive
//! resolver would. What it answers stands in `Book` and, where that is silent, in `Usual`; this
//! file is the way from the socket and back.

mod answer;
mod ask;
mod book;
mod resolve;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{
    Edns, Header, HeaderCounts, Metadata, OpCode, Query, ResponseCode,
};
use hickory_server::proto::rr::{Name, RecordType};
use hickory_server::proto::serialize::binary::{BinDecoder, BinEncodable, BinEncoder};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponseBuilder, Queries};

pub use answer::{Answer, Answers, Kind};
pub(crate) use ask::ask_txt;
pub(crate) use book::{Book, fold};
use resolve::{Manner, Resolved, resolve};

/// A TCP client that says nothing for so long is left (RFC 7766 §6.2.3).
const TCP_IDLE: Duration = Duration::from_secs(30);

/// Answers in memory for one TCP client.
const TCP_ANSWERS: usize = 32;

/// What is answered where no answer was set.
pub(crate) trait Usual: Send + Sync + 'static {
    fn usual(&self, name: &str, kind: Kind) -> Answer;
}

/// Where a DNS server listens.
pub(crate) struct Sockets {
    pub(crate) udp: std::net::UdpSocket,
    pub(crate) tcp: std::net::TcpListener,
}

/// Starts to answer. The server ends when it is dropped or shut down.
pub(crate) fn serve<U: Usual>(
    sockets: Sockets,
    book: Arc<Book>,
    usual: Arc<U>,
) -> std::io::Result<Server<Desk<U>>> {
    sockets.udp.set_nonblocking(true)?;
    sockets.tcp.set_nonblocking(true)?;
    let raw = sockets.udp.try_clone()?;
    let mut server = Server::new(Desk { book, usual, raw });
    server.register_socket(tokio::net::UdpSocket::from_std(sockets.udp)?);
    let tcp = tokio::net::TcpListener::from_std(sockets.tcp)?;
    server.register_listener(tcp, TCP_IDLE, TCP_ANSWERS);
    Ok(server)
}

/// Takes questions one by one.
pub(crate) struct Desk<U> {
    book: Arc<Book>,
    usual: Arc<U>,
    // The server's own UDP socket once more, for bytes that are no message.
    raw: std::net::UdpSocket,
}

#[async_trait::async_trait]
impl<U: Usual> RequestHandler for Desk<U> {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response: R,
    ) -> ResponseInfo {
        let Ok(question) = request.request_info() else {
            return refuse(request, response, ResponseCode::FormErr).await;
        };
        if request.metadata.op_code != OpCode::Query {
            return refuse(request, response, ResponseCode::NotImp).await;
        }
        let name = question.query.original().name().clone();
        let asked = question.query.query_type();
        self.book.note(&text(&name), asked.to_string());
        let usual = |name: &str, kind| self.usual.usual(name, kind);
        let resolved = resolve(&self.book, usual, &name, kind(asked));
        if !resolved.delay.is_zero() {
            tokio::time::sleep(resolved.delay).await;
        }
        match resolved.manner {
            Manner::Silence => nothing(request),
            Manner::Garbage => {
                self.scribble(request.protocol(), request.src());
                nothing(request)
            }
            Manner::WrongId => {
                self.mislabel(request, &resolved);
                nothing(request)
            }
            _ => answer(request, response, &resolved).await,
        }
    }
}

impl<U> Desk<U> {
    fn scribble(&self, protocol: Protocol, to: SocketAddr) {
        if protocol == Protocol::Udp {
            let sent = self.raw.send_to(b"\xff\xfe\xfdthis is no DNS message", to);
            tracing::debug!(?sent, "fakenet sent garbage as a DNS answer");
        }
    }

    // The right answer to a question that nobody asked. Not by the server: it sends no such thing.
    fn mislabel(&self, request: &Request, resolved: &Resolved) {
        let mut metadata = metadata(request, resolved.code);
        metadata.id = metadata.id.wrapping_add(1);
        let builder = MessageResponseBuilder::new(&request.queries, None);
        let message = builder.build(metadata, &resolved.records, [], &resolved.soa, []);
        let mut bytes = Vec::new();
        let encoded = message.destructive_emit(&mut BinEncoder::new(&mut bytes));
        if encoded.is_ok() && request.protocol() == Protocol::Udp {
            let sent = self.raw.send_to(&bytes, request.src());
            tracing::debug!(?sent, "fakenet sent a DNS answer with a wrong id");
        }
    }
}

async fn answer<R: ResponseHandler>(
    request: &Request,
    mut response: R,
    resolved: &Resolved,
) -> ResponseInfo {
    let mut metadata = metadata(request, resolved.code);
    let mut records = resolved.records.as_slice();
    let lie = resolved.manner == Manner::WrongQuestion;
    let other = if lie { wrong_question() } else { None };
    let mut queries = &request.queries;
    match resolved.manner {
        Manner::WrongQuestion => queries = other.as_ref().unwrap_or(queries),
        Manner::Truncated if request.protocol() == Protocol::Udp => {
            metadata.truncation = true;
            records = &[];
        }
        _ => {}
    }
    let edns = edns(request);
    let builder = MessageResponseBuilder::new(queries, edns.as_ref());
    let message = builder.build(metadata, records, [], &resolved.soa, []);
    sent(request, response.send_response(message).await)
}

async fn refuse<R: ResponseHandler>(
    request: &Request,
    mut response: R,
    code: ResponseCode,
) -> ResponseInfo {
    let builder = MessageResponseBuilder::from_message_request(request);
    let message = builder.error_msg(&request.metadata, code);
    sent(request, response.send_response(message).await)
}

fn sent<E: std::fmt::Display>(request: &Request, result: Result<ResponseInfo, E>) -> ResponseInfo {
    result.unwrap_or_else(|error| {
        tracing::debug!(%error, "fakenet could not send a DNS answer");
        nothing(request)
    })
}

fn metadata(request: &Request, code: ResponseCode) -> Metadata {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = code;
    metadata.recursion_available = true;
    metadata
}

// RFC 6891 §6.1.1: an OPT record is answered with one. The size that the client takes rules how
// much fits (§6.2.3).
fn edns(request: &Request) -> Option<Edns> {
    request.edns.as_ref().map(|_| {
        let mut edns = Edns::new();
        edns.set_max_payload(request.max_payload()).set_version(0);
        edns
    })
}

// What the server wants to know of an answer that it did not send itself.
fn nothing(request: &Request) -> ResponseInfo {
    ResponseInfo::from(Header {
        metadata: metadata(request, ResponseCode::NoError),
        counts: HeaderCounts::default(),
    })
}

fn wrong_question() -> Option<Queries> {
    let name = Name::from_ascii("not-what-you-asked.invalid.").ok()?;
    let bytes = Query::query(name, RecordType::A).to_bytes().ok()?;
    Queries::read(&mut BinDecoder::new(&bytes), 1).ok()
}

fn kind(asked: RecordType) -> Kind {
    match asked {
        RecordType::A => Kind::A,
        RecordType::AAAA => Kind::Aaaa,
        RecordType::CNAME => Kind::Cname,
        RecordType::MX => Kind::Mx,
        RecordType::TXT => Kind::Txt,
        _ => Kind::Other,
    }
}

/// A name as the book keeps it.
fn text(name: &Name) -> String {
    fold(&name.to_ascii())
}
