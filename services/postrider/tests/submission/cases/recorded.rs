//! Dialogues of clients that do not run here, as they were recorded: what the client says is said to
//! the relay, and each reply has the code that the client was given.

use std::path::Path;

use postrider_tls::{connect, opportunistic};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::PATIENCE;
use crate::harness::client::Stream;
use crate::line::{Line, pack, whole};
use crate::scene::Scene;

/// Those whose replies do not hang on how the recorded server was set up.
const CLIENTS: [&str; 15] = [
    "aiosmtplib",
    "curl",
    "cram_md5_by_hand",
    "dotnet",
    "express_maintenance",
    "go",
    "indy",
    "nodemailer",
    "perl",
    "phpmailer",
    "ruby",
    "smtplib",
    "swaks",
    "symfony",
    "user_only",
];

#[tokio::test]
async fn recorded_clients_are_answered_as_they_were() {
    let scene = Scene::begin().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/smtp/samples");
    for name in CLIENTS {
        let sample = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        Replay::begin(&scene, name, &sample)
            .await
            .play(&sample)
            .await;
    }
}

struct Replay<'s> {
    scene: &'s Scene,
    name: &'s str,
    tcp: Option<TcpStream>,
    tls: Option<Box<dyn Stream>>,
    heard: Vec<u8>,
    packet: Vec<u8>,
}

impl<'s> Replay<'s> {
    async fn begin(scene: &'s Scene, name: &'s str, sample: &str) -> Self {
        let mut replay = Self {
            scene,
            name,
            tcp: Some(Line::open(scene.smtp).await),
            tls: None,
            heard: Vec::new(),
            packet: Vec::new(),
        };
        if !sample.lines().any(|line| line == "layer plain") {
            replay.secure().await;
        }
        replay
    }

    async fn secure(&mut self) {
        let tcp = self.tcp.take().unwrap();
        let stream = connect(&opportunistic(), "relay.test", tcp).await.unwrap();
        self.tls = Some(Box::new(stream));
    }

    async fn play(mut self, sample: &str) {
        let mut content = false;
        for line in sample.lines() {
            if let Some(text) = line.strip_prefix("C: ") {
                let text = self.own(text);
                // A text without a header, as it was recorded, is no message.
                if std::mem::take(&mut content) && !text.contains(':') {
                    self.packet.extend_from_slice(b"\r\n");
                }
                self.packet.extend_from_slice(text.as_bytes());
                self.packet.extend_from_slice(b"\r\n");
            } else if line == "! tls" {
                self.secure().await;
            } else if let Some(want) = line.strip_prefix("S: ") {
                self.say().await;
                let reply = self.reply().await;
                content = want.starts_with("354 ");
                let code = match want {
                    _ if want.starts_with("(EHLO") => "250",
                    // Here every recipient is taken.
                    _ if want.starts_with("550 5.1.1 ") => "250",
                    _ => &want[..3],
                };
                assert!(reply.starts_with(code), "{}: {want}: {reply}", self.name);
            }
        }
    }

    // The names and passwords of the recording are the scene's here.
    fn own(&self, text: &str) -> String {
        let (user, password) = (self.scene.user.as_str(), self.scene.password.as_str());
        let mut own = text.replace(&pack("secret"), &pack(password));
        for identity in ["joe", ""] {
            let recorded = pack(&format!("{identity}\0joe\0secret"));
            let identity = identity.replace("joe", user);
            let ours = pack(&format!("{identity}\0{user}\0{password}"));
            own = own.replace(&recorded, &ours);
        }
        own
    }

    async fn say(&mut self) {
        let packet = std::mem::take(&mut self.packet);
        match (&mut self.tcp, &mut self.tls) {
            (Some(tcp), _) => tcp.write_all(&packet).await.unwrap(),
            (None, Some(tls)) => {
                tls.write_all(&packet).await.unwrap();
                tls.flush().await.unwrap();
            }
            (None, None) => panic!("{}: nobody is there", self.name),
        }
    }

    async fn reply(&mut self) -> String {
        let heard = &mut self.heard;
        let reply = match (&mut self.tcp, &mut self.tls) {
            (Some(tcp), _) => timeout(PATIENCE, reply(tcp, heard)).await,
            (None, Some(tls)) => timeout(PATIENCE, reply(tls, heard)).await,
            (None, None) => panic!("{}: nobody is there", self.name),
        };
        reply.unwrap_or_else(|_| panic!("{}: no answer", self.name))
    }
}

async fn reply(stream: &mut (impl AsyncRead + Unpin), heard: &mut Vec<u8>) -> String {
    loop {
        if let Some(end) = whole(heard) {
            let reply: Vec<u8> = heard.drain(..end).collect();
            return String::from_utf8(reply).unwrap();
        }
        if stream.read_buf(heard).await.unwrap_or(0) == 0 {
            return String::from("(closed)");
        }
    }
}
