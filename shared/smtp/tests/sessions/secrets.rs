//! Nothing that may be a credential is kept for the black box, however clumsily it is sent.

use base64::Engine as _;
use postrider_smtp::Layer;

use crate::door::Door;

fn pack(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn no_credential_is_among_what_was_heard() {
    let (user, password) = ("joe-user", "7F3KQ2-SECRET");
    let plain = pack(&format!("\0{user}\0{password}"));
    let (user64, password64) = (pack(user), pack(password));
    let dialogues = [
        format!("AUTH PLAIN {plain}\r\n"),
        format!("AUTH PLAIN\r\n{plain}\r\n"),
        format!("auth\tplain\t{plain}\r\n"),
        format!("  AUTH   LOGIN   {user64}\r\n{password64}\r\n"),
        format!("AUTH LOGIN\r\n{user64}\r\n{password64}\r\n"),
        format!("AUTH LOGIN\r\n{user}\r\n{password}\r\n"),
        format!("AUTH {plain}\r\n"),
        format!("AUTH={plain}\r\n"),
        format!("AUTH:PLAIN {plain}\r\n"),
        format!("AUTHPLAIN {plain}\r\n"),
        format!("AUTH CRAM-MD5 {plain}\r\n{user64}\r\n{password64}\r\n"),
        format!("AUTH {password}\r\n"),
        format!("AUTH XOAUTH2 {password}\r\n"),
        format!("USER {user}\r\nPASS {password}\r\n"),
        format!("a1 LOGIN {user} {password}\r\n"),
        format!("STARTTLS {password}\r\nDATA {password}\r\nNOOP {password}\r\n"),
        format!("HELP {password}\r\nVRFY {password}\r\nEXPN {password}\r\nRSET {password}\r\n"),
        format!("GET /?key={password} HTTP/1.1\r\nAuthorization: Basic {plain}\r\n"),
        format!("DATA\r\n{password}\r\n"),
        format!("AUTH LOGIN\r\n*{password}\r\n"),
        format!("AUTH PLAIN {}\r\n", plain.repeat(900)),
    ];
    for said in dialogues {
        for layer in [Layer::Plain, Layer::Tls] {
            for step in [1, 5, usize::MAX] {
                let mut door = Door::open(layer);
                door.hear(b"EHLO vm\r\n");
                for piece in said.as_bytes().chunks(step) {
                    door.hear(piece);
                }
                let kept = door.heard.join("\n");
                for secret in [password, &password64, &plain, &user64, &plain[..12]] {
                    assert!(!kept.contains(secret), "{secret} of {said:?} in {kept:?}");
                }
                // Nor is it in what is printed of the session itself.
                assert!(!format!("{:?}", door.session).contains(password64.as_str()));
            }
        }
    }
}

#[test]
fn the_dialogue_can_be_followed_all_the_same() {
    let mut door = Door::open(Layer::Plain);
    door.hear(b"EHLO mas-dev1.local\r\n");
    door.hear(b"STARTTLS\r\n");
    door.hear(b"EHLO mas-dev1.local\r\nAUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n");
    door.hear(
        b"MAIL FROM: <a@b.example> SIZE=9\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
    );
    assert_eq!(
        door.heard,
        [
            "EHLO mas-dev1.local",
            "STARTTLS",
            "EHLO mas-dev1.local",
            "AUTH LOGIN",
            "(answer, 4 bytes)",
            "(answer, 8 bytes)",
            "MAIL FROM: <a@b.example> SIZE=9",
            "RCPT TO:<c@d.example>",
            "DATA",
            "QUIT",
        ]
    );
}
