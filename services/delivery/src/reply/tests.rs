use std::time::Duration;

use postrider_model::EnhancedCode;
use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, duplex};

use super::*;

/// All replies in these bytes, and the fault that ended them.
fn parse(chunks: &[&[u8]]) -> (Vec<RawReply>, Option<String>) {
    let mut parser = ReplyParser::default();
    let mut replies = Vec::new();
    for chunk in chunks {
        parser.push(chunk);
        loop {
            match parser.next() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(fault) => return (replies, Some(fault.to_string())),
            }
        }
    }
    (replies, None)
}

fn raw(code: u16, text: &str) -> RawReply {
    RawReply {
        code,
        text: text.as_bytes().to_vec(),
    }
}

#[test]
fn replies_are_read_as_remotes_write_them() {
    for (given, want) in [
        ("250 ok\r\n", vec![raw(250, "ok")]),
        ("250\r\n", vec![raw(250, "")]),
        ("250 \r\n", vec![raw(250, "")]),
        ("250ok\r\n", vec![raw(250, "ok")]),
        ("250 ok\n", vec![raw(250, "ok")]),
        ("250-a\r\n250-\r\n250 c\r\n", vec![raw(250, "a\n\nc")]),
        ("250-a\r\n250\r\n", vec![raw(250, "a\n")]),
        (
            "220 hi\r\n421 bye\r\n",
            vec![raw(220, "hi"), raw(421, "bye")],
        ),
        ("250 a\0b\r\n", vec![raw(250, "a\0b")]),
        ("250 a\rb\r\n", vec![raw(250, "a\rb")]),
        ("250 un", vec![]),
    ] {
        assert_eq!(parse(&[given.as_bytes()]), (want, None), "{given:?}");
    }
}

#[test]
fn what_is_no_reply_is_garbage() {
    for given in [
        "\r\n",
        "25\r\n",
        "HTTP/1.1 400 Bad Request\r\n",
        "2x0 ok\r\n",
        "2500 ok\r\n",
        " 250 ok\r\n",
        "250-a\r\n251 b\r\n",
        "250-a\r\nb\r\n",
        "\0\0\0\0\r\n",
    ] {
        let (replies, fault) = parse(&[given.as_bytes()]);
        assert!(replies.is_empty(), "{given:?}");
        assert_eq!(fault, Some(ReplyFault::Garbage.to_string()), "{given:?}");
    }
}

#[test]
fn lines_and_replies_are_bounded() {
    let line = |length: usize| format!("250 {}\r\n", "x".repeat(length - 6));
    let many = |lines: usize, length: usize| {
        let more = format!("250-{}\r\n", "x".repeat(length - 6));
        format!("{}250 end\r\n", more.repeat(lines - 1))
    };
    for (name, given, fits) in [
        ("a line of 2,048", line(2_048), true),
        ("a line of 2,049", line(2_049), false),
        ("a line of 1 MB", line(1_000_000), false),
        ("100 lines", many(100, 20), true),
        ("101 lines", many(101, 20), false),
        ("16 lines of 2,048", many(16, 2_048), true),
        ("40 lines of 2,048", many(40, 2_048), false),
    ] {
        let (replies, fault) = parse(&[given.as_bytes()]);
        assert_eq!(replies.len(), usize::from(fits), "{name}");
        let too_long = ReplyFault::TooLong.to_string();
        assert_eq!(fault, (!fits).then_some(too_long), "{name}");
    }
}

#[test]
fn the_enhanced_code_counts_where_its_class_is_the_codes() {
    for (given, code, text) in [
        (
            "550 5.1.1 no such user\r\n",
            Some((5, 1, 1)),
            "no such user",
        ),
        ("550 4.1.1 no such user\r\n", None, "4.1.1 no such user"),
        ("550 no such user\r\n", None, "no such user"),
        ("550 5.1.1\r\n", Some((5, 1, 1)), ""),
        (
            "550-5.7.1 a\r\n550-5.7.1 b\r\n550 c\r\n",
            Some((5, 7, 1)),
            "a\nb\nc",
        ),
        (
            "550-5.7.1 a\r\n550 5.1.1 b\r\n",
            Some((5, 7, 1)),
            "a\n5.1.1 b",
        ),
        ("550-a\r\n550 5.1.1 b\r\n", None, "a\n5.1.1 b"),
    ] {
        let (replies, _) = parse(&[given.as_bytes()]);
        let reply = replies[0].to_reply();
        let want = code.map(|(class, subject, detail)| EnhancedCode(class, subject, detail));
        assert_eq!(
            (reply.enhanced, reply.text.as_str()),
            (want, text),
            "{given:?}"
        );
    }
}

#[test]
fn bytes_after_a_reply_are_seen() {
    let mut parser = ReplyParser::default();
    parser.push(b"220 go\r\n");
    parser.next().unwrap().unwrap();
    assert!(!parser.buffered());
    parser.push(b"220 go\r\n2");
    parser.next().unwrap().unwrap();
    assert!(parser.buffered());
}

#[tokio::test(start_paused = true)]
async fn a_drip_ends_at_the_deadline_of_the_whole_reply() {
    let (mut near, mut far) = duplex(64);
    let start = Instant::now();
    let drip = async {
        loop {
            if far.write_all(b"2").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let mut reader = ReplyReader::default();
    let deadline = start + Duration::from_mins(1);
    tokio::select! {
        heard = reader.hear(&mut near, deadline) => {
            assert!(matches!(heard, Err(ReplyFault::TimedOut)));
        }
        () = drip => unreachable!(),
    }
    assert!(start.elapsed() >= Duration::from_mins(1));
    assert!(start.elapsed() < Duration::from_secs(61));
}

#[tokio::test]
async fn a_closed_line_is_told_from_silence_and_garbage() {
    for (sent, want) in [
        ("", "Closed"),
        ("250-a\r\n", "Closed"),
        ("what?\r\n", "Garbage"),
    ] {
        let (mut near, mut far) = duplex(64);
        far.write_all(sent.as_bytes()).await.unwrap();
        drop(far);
        let deadline = Instant::now() + Duration::from_secs(5);
        let fault = ReplyReader::default().hear(&mut near, deadline).await;
        assert_eq!(format!("{:?}", fault.unwrap_err()), want, "{sent:?}");
    }
    let (mut near, _far) = duplex(64);
    let fault = ReplyReader::default().hear(&mut near, Instant::now()).await;
    assert!(matches!(fault, Err(ReplyFault::TimedOut)));
}

#[tokio::test]
async fn a_reply_that_never_ends_costs_less_than_64_kib() {
    for line in [
        "250-more\r\n".to_owned(),
        format!("250-{}\r\n", "x".repeat(2_000)),
        "x".to_owned(),
    ] {
        let (mut near, mut far) = duplex(1 << 16);
        let mut reader = ReplyReader::default();
        let flood = async { while far.write_all(line.as_bytes()).await.is_ok() {} };
        let deadline = Instant::now() + Duration::from_mins(1);
        tokio::select! {
            heard = reader.hear(&mut near, deadline) => {
                assert!(matches!(heard, Err(ReplyFault::TooLong)), "{heard:?}");
            }
            () = flood => unreachable!(),
        }
        assert!(held(&reader.parser) + READ_MOST < 64 * 1_024);
    }
}

#[tokio::test]
async fn what_lies_ready_is_overheard_without_waiting() {
    let (mut near, mut far) = duplex(64);
    let mut reader = ReplyReader::default();
    assert!(reader.overhear(&mut near).await.unwrap().is_none());
    far.write_all(b"421 bye\r\n").await.unwrap();
    let heard = reader.overhear(&mut near).await.unwrap().unwrap();
    assert_eq!(heard, raw(421, "bye"));
    drop(far);
    let heard = reader.overhear(&mut near).await;
    assert!(matches!(heard, Err(ReplyFault::Closed)));
}

fn held(parser: &ReplyParser) -> usize {
    let text = parser
        .begun
        .as_ref()
        .map_or(0, |reply| reply.text.capacity());
    parser.unread.capacity() + text
}

/// Lines of which many are replies.
fn sent() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "[2-5][0-9]{2}[ -][ -~]{0,20}\r\n".prop_map(String::into_bytes),
        2 => "250-[a-z]{0,9}\r?\n".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn replies_do_not_depend_on_how_they_are_cut(
        bytes in sent(),
        cuts in proptest::collection::vec(1_usize..30, 1..20),
    ) {
        let mut chunks = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (chunk, more) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(parse(&chunks), parse(&[&bytes]));
    }

    #[test]
    fn no_input_makes_the_parser_hold_more_than_it_may(
        bytes in proptest::collection::vec(any::<u8>(), 0..9_000),
    ) {
        let mut parser = ReplyParser::default();
        for chunk in bytes.chunks(READ_MOST) {
            parser.push(chunk);
            let ended = loop {
                match parser.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
            prop_assert!(held(&parser) < 64 * 1_024 - READ_MOST);
            if ended {
                break;
            }
        }
    }
}
