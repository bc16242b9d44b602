//! One request over a connection that somebody opened. No pool, no redirects, no cookies: whoever
//! asks a server something now and then opens a connection for it.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header, uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Why there is no answer. What the server says, whatever its status, is one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0} is no address that can be asked: it has no host")]
    NoHost(Uri),
    #[error("the exchange broke off, or what came is not HTTP")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Asks by HTTP/1.1 and reads the answer, of which at most `most` bytes. The request's URI is
/// absolute: its authority becomes `Host` (RFC 9112 §3.2). Has no time-out of its own.
pub async fn ask<S>(
    stream: S,
    request: Request<Bytes>,
    most: usize,
) -> Result<Response<Bytes>, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let request = in_origin_form(request)?.map(Full::new);
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, most).collect().await;
        let body = body.map_err(|fault| match fault.downcast::<LengthLimitError>() {
            Ok(_) => ClientError::TooLong(most),
            Err(fault) => ClientError::Broken(fault),
        })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        answered = &mut answer => return answered,
        // The server has closed: what it sent before is still to be read.
        _ended = connection => {}
    }
    answer.await
}

fn in_origin_form(request: Request<Bytes>) -> Result<Request<Bytes>, ClientError> {
    let (mut parts, body) = request.into_parts();
    let host = parts.uri.authority().map(uri::Authority::as_str);
    let Some(Ok(host)) = host.map(HeaderValue::from_str) else {
        return Err(ClientError::NoHost(parts.uri));
    };
    let path = parts.uri.path_and_query().cloned();
    parts.headers.insert(header::HOST, host);
    parts.uri = path.map_or_else(Uri::default, Uri::from);
    Ok(Request::from_parts(parts, body))
}

fn broken(fault: hyper::Error) -> ClientError {
    ClientError::Broken(Box::new(fault))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What a server that answers so is asked, and what comes of it.
    async fn asked(answer: &'static str) -> (String, Result<Response<Bytes>, ClientError>) {
        let (ours, mut theirs) = tokio::io::duplex(4_096);
        let server = async {
            let mut heard = vec![0; 4_096];
            let length = theirs.read(&mut heard).await.unwrap();
            theirs.write_all(answer.as_bytes()).await.unwrap();
            drop(theirs);
            String::from_utf8(heard[..length].to_vec()).unwrap()
        };
        let request = Request::get("https://ca.example:14000/dir?a=b");
        let request = request.body(Bytes::new()).unwrap();
        tokio::join!(server, ask(ours, request, 10))
    }

    #[tokio::test]
    async fn an_answer_is_read_whatever_its_status_and_however_it_ends() {
        for answer in [
            "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno",
            "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nConnection: close\r\n\r\nno",
        ] {
            let (heard, answer) = asked(answer).await;
            assert!(heard.starts_with("GET /dir?a=b HTTP/1.1\r\n"), "{heard}");
            assert!(heard.contains("host: ca.example:14000\r\n"), "{heard}");
            let answer = answer.unwrap();
            assert_eq!(answer.status(), 429);
            assert_eq!(answer.headers()["retry-after"], "7");
            assert_eq!(answer.body(), "no");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error() {
        let (_, cut) = asked("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nno").await;
        assert!(matches!(cut, Err(ClientError::Broken(_))), "{cut:?}");
        let (_, other) = asked("220 mail.example ESMTP\r\n").await;
        assert!(matches!(other, Err(ClientError::Broken(_))), "{other:?}");
        let (_, long) = asked("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890").await;
        assert!(matches!(long, Err(ClientError::TooLong(10))), "{long:?}");
    }
}
