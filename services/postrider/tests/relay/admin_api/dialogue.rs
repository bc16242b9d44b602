//! The SMTP door beside the admin API, and sessions with it.

use std::path::Path;

use postrider_tls::{KeyKind, self_signed};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};

/// The lines of a configuration for an SMTP door with a certificate of its own, which lies there.
pub(super) fn smtp_door(folder: &Path) -> String {
    let made = self_signed(&["relay.test".to_owned()], KeyKind::Ecdsa).unwrap();
    let (certificate, key) = (folder.join("smtp.pem"), folder.join("smtp-key.pem"));
    std::fs::write(&certificate, made.certificate_pem).unwrap();
    std::fs::write(&key, made.key_pem).unwrap();
    format!(
        "\n[smtp]\nenabled = true\nlisten = [{{ address = \"127.0.0.1:0\", banner_after_ms = 10 }}]\ncertificates = [{{ certificate = \"{}\", key = \"{}\" }}]\n",
        certificate.display(),
        key.display()
    )
}

/// Says these lines after the greeting. Gives the code of the session, which stands at the end of the
/// last reply, a refusal.
pub(super) async fn refused(stream: impl AsyncRead + AsyncWrite + Unpin, lines: &[&str]) -> String {
    let mut stream = BufReader::new(stream);
    let mut said = reply(&mut stream).await;
    for line in lines {
        stream
            .write_all(format!("{line}\r\n").as_bytes())
            .await
            .unwrap();
        stream.flush().await.unwrap();
        said = reply(&mut stream).await;
    }
    let (_, code) = said.rsplit_once('(').unwrap();
    code.trim_end().trim_end_matches(')').to_owned()
}

/// The last line of a reply.
async fn reply(stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>) -> String {
    let mut said = String::new();
    while said.as_bytes().get(3) != Some(&b' ') {
        said.clear();
        let read = stream.read_line(&mut said).await.unwrap();
        assert_ne!(read, 0, "the door has closed the connection");
    }
    said
}
