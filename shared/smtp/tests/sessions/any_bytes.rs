//! Whatever is sent, in whatever pieces.

use postrider_smtp::{Layer, Limits};
use proptest::prelude::*;

use crate::door::{Door, limits};

fn heard_in_pieces(layer: Layer, bytes: &[u8], cuts: &[usize]) -> Vec<String> {
    let mut door = Door::new(layer, small());
    door.session.greet();
    let mut rest = bytes;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        door.hear(piece);
        rest = after;
    }
    door.look()
}

fn small() -> Limits {
    Limits {
        size: 60,
        drain: 400,
        recipients: 3,
        errors: 6,
        sign_ins: 2,
    }
}

// Lines that mean the same however they arrive: each ends in CRLF, and nothing follows what may end
// a session because of what follows.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop_oneof![
        Just("EHLO vm"),
        Just("helo"),
        Just("RSET"),
        Just("NOOP x"),
        Just("VRFY a"),
        Just("HELP"),
        Just("AUTH PLAIN AGpvZQBzZWNyZXQ="),
        Just("AUTH PLAIN AGpvZQB3cm9uZw=="),
        Just("AUTH PLAIN"),
        Just("AUTH LOGIN"),
        Just("AUTH LOGIN am9l"),
        Just("c2VjcmV0"),
        Just("*"),
        Just("AUTH NTLM"),
        Just("MAIL FROM:<a@b.example>"),
        Just("MAIL FROM:<a@b.example> size=900"),
        Just("MAIL FROM: a@b.example BODY=8BITMIME FOO"),
        Just("RCPT TO:<c@d.example>"),
        Just("RCPT TO:<no@d.example>"),
        Just("RCPT TO:<>"),
        Just("QUIT"),
        Just("nonsense"),
        Just(""),
    ];
    prop_oneof![
        12 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => Just(b"NOOP ".iter().copied().chain([b'x'; 3_000]).collect()),
        1 => proptest::collection::vec(any::<u8>().prop_filter("no line end", |byte| *byte != b'\n'), 0..40),
        3 => Just(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: x\r\n..\r\n.".to_vec()),
        1 => Just(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nlonger than sixty bytes, which is all there is room for here\r\n.".to_vec()),
    ]
    .prop_map(|mut line| {
        line.extend_from_slice(b"\r\n");
        line
    })
}

// A bundle whose DATA is refused goes on differently with what is in the same packet.
fn depends_on_packets(done: &[String]) -> bool {
    done.iter().any(|text| text.contains("ContentUnasked"))
}

proptest! {
    #[test]
    fn the_same_lines_in_any_pieces_are_the_same_session(
        signed_in: bool,
        lines in proptest::collection::vec(line(), 0..16),
        cuts in proptest::collection::vec(1_usize..50, 1..20),
    ) {
        let mut bytes = if signed_in {
            b"EHLO vm\r\nAUTH PLAIN AGpvZQBzZWNyZXQ=\r\n".to_vec()
        } else {
            Vec::new()
        };
        bytes.extend(lines.concat());
        let whole = heard_in_pieces(Layer::Tls, &bytes, &[usize::MAX]);
        let pieces = heard_in_pieces(Layer::Tls, &bytes, &cuts);
        let single = heard_in_pieces(Layer::Tls, &bytes, &[1]);
        if ![&whole, &pieces, &single].iter().any(|done| depends_on_packets(done)) {
            prop_assert_eq!(&whole, &pieces);
            prop_assert_eq!(&whole, &single);
        }
    }

    #[test]
    fn no_bytes_make_a_session_stumble_or_say_what_is_not_a_reply(
        secure: bool,
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        lines in proptest::collection::vec(line(), 0..6),
        cuts in proptest::collection::vec(1_usize..90, 1..20),
    ) {
        let layer = if secure { Layer::Tls } else { Layer::Plain };
        let mixed: Vec<u8> = lines.concat().into_iter().chain(bytes).collect();
        let done = heard_in_pieces(layer, &mixed, &cuts);
        // Nothing comes after the end.
        let end = done.iter().position(|text| text == "close");
        prop_assert!(end.is_none_or(|at| at + 1 == done.len()));
    }

    #[test]
    fn whatever_stands_in_content_stays_in_it(
        lines in proptest::collection::vec("(MAIL FROM:<x@y.example>|RCPT TO:<x@y.example>|DATA|QUIT|RSET|\\.\\.?|[ -~é]{0,20}|a\r.|b\n.|\n.\n|c\r.\r|\u{0}\\.)", 0..10),
        cuts in proptest::collection::vec(1_usize..30, 1..9),
    ) {
        // As a good client sends it: dots stuffed behind CRLF.
        let text = lines.join("\r\n") + "\r\n";
        let stuffed = text.replace("\r\n.", "\r\n..");
        let stuffed = if stuffed.starts_with('.') { format!(".{stuffed}") } else { stuffed };
        let mut door = Door::with_recipient(limits());
        door.hear(b"DATA\r\n");
        door.look();
        let wire = format!("{stuffed}.\r\n");
        let mut rest = wire.as_bytes();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            door.hear(piece);
            rest = after;
        }
        let want = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
        let want = format!("content {}", want.as_bytes().escape_ascii());
        let refused = want.starts_with("content !");
        let reply = if refused { "550 5.7.1 No" } else { "250 2.0.0 queued as 1" };
        prop_assert_eq!(door.look(), [want.as_str(), reply]);
    }
}
