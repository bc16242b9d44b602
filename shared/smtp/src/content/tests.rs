use super::*;

/// What was read, and what is left behind the end where there was one.
fn read(input: &[u8], step: usize) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut reader = ContentReader::default();
    let mut out = Vec::new();
    let mut fed = 0;
    for piece in input.chunks(step) {
        match reader.read(piece, &mut out) {
            Progress::More => fed += piece.len(),
            Progress::End(taken) => return (out, Some(input[fed + taken..].to_vec())),
        }
    }
    (out, None)
}

/// The rule, one byte at a time and as plainly as it can be said.
fn by_the_book(input: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut out = Vec::new();
    let mut at = 0;
    let mut line_start = true;
    while at < input.len() {
        let rest = &input[at..];
        if line_start && rest.starts_with(b".\r\n") {
            return (out, Some(rest[3..].to_vec()));
        }
        if line_start && rest.starts_with(b".") {
            at += 1;
            line_start = false;
        } else if rest.starts_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            at += 2;
            line_start = true;
        } else if rest[0] == b'\r' || rest[0] == b'\n' {
            // The last byte of all may be half of a CRLF.
            if rest != b"\r" {
                out.extend_from_slice(b"\r\n");
            }
            at += 1;
            line_start = false;
        } else {
            out.push(rest[0]);
            at += 1;
            line_start = false;
        }
    }
    (out, None)
}

#[test]
fn dots_are_unstuffed_and_the_end_is_found_in_any_pieces() {
    for (given, want) in [
        (".\r\n", ""),
        ("a\r\n.\r\n", "a\r\n"),
        ("\r\n.\r\n", "\r\n"),
        ("..\r\n.\r\n", ".\r\n"),
        ("...\r\n.\r\n", "..\r\n"),
        (".a\r\n.\r\n", "a\r\n"),
        ("a\r\n..\r\nb.\r\n.\r\n", "a\r\n.\r\nb.\r\n"),
        ("a.\r\n.b\r\n.\r\n", "a.\r\nb\r\n"),
    ] {
        let input = format!("{given}QUIT\r\n");
        for step in 1..=input.len() {
            let (content, behind) = read(input.as_bytes(), step);
            assert_eq!(
                String::from_utf8(content).unwrap(),
                want,
                "{given:?} in pieces of {step}"
            );
            if let Some(behind) = behind {
                assert!(b"QUIT\r\n".ends_with(&behind));
            } else {
                panic!("{given:?} in pieces of {step} never ended");
            }
        }
    }
}

#[test]
fn bare_line_ends_become_crlf_and_are_no_line_start_for_a_dot() {
    for (given, want) in [
        ("a\nb\r\n.\r\n", "a\r\nb\r\n"),
        ("a\rb\r\n.\r\n", "a\r\nb\r\n"),
        ("a\r\r\nb\r\n.\r\n", "a\r\n\r\nb\r\n"),
        ("a\n\rb\r\n.\r\n", "a\r\n\r\nb\r\n"),
        ("a\n..b\r\n.\r\n", "a\r\n..b\r\n"),
        ("a\r..b\r\n.\r\n", "a\r\n..b\r\n"),
        ("a\r\n.\nb\r\n.\r\n", "a\r\n\r\nb\r\n"),
        ("a\r\n.\rb\r\n.\r\n", "a\r\n\r\nb\r\n"),
    ] {
        for step in 1..=given.len() {
            let (content, behind) = read(given.as_bytes(), step);
            assert_eq!(
                String::from_utf8(content).unwrap(),
                want,
                "{given:?} in pieces of {step}"
            );
            assert_eq!(behind.as_deref(), Some(b"".as_slice()));
        }
    }
}

// SEC Consult, «SMTP smuggling» (2023-12), and The-Login's tests for it: ends of data that some
// server somewhere took for one. Every combination of what may stand before and behind the dot,
// but the one that RFC 5321 §4.1.1.4 has.
#[test]
fn no_smuggling_sequence_ends_the_content() {
    let ends = [
        "\n", "\r", "\r\n", "\r\r", "\n\n", "\n\r", "\r\r\n", "\r\n\r", "\0\r\n", "\r\0\n",
        "\r\n\0", "\0\n", "\n\0", "\r\0", "\0\r", "\u{85}", "\u{2028}", "\u{b}", "\u{c}", " \r\n",
        "\r\n ", "\t\r\n", "\\r\\n", "", " ",
    ];
    let smuggled = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\n";
    for before in ends {
        for dots in [".", "..", ".\0", "\0.", ". ", " ."] {
            for behind in ends {
                let input = format!("text{before}{dots}{behind}{smuggled}x");
                // What is an end by the RFC: the bytes CRLF . CRLF, wherever they come from.
                let lawful = memchr::memmem::find(input.as_bytes(), b"\r\n.\r\n");
                for step in [1, 2, 3, 5, 1_000] {
                    let (content, left) = read(input.as_bytes(), step);
                    assert_eq!(
                        left.is_some(),
                        lawful.is_some(),
                        "{before:?}{dots:?}{behind:?}"
                    );
                    if lawful.is_none() {
                        assert!(
                            content.ends_with(b"DATA\r\nx"),
                            "{before:?}{dots:?}{behind:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_bare_is_left_for_the_next_server() {
    for input in [
        "a\n.\nb\n",
        "a\r.\rb\r",
        "a\n.\r\nb\r\n",
        "\r\r\n.\r\r\n",
        "a\r\n.\r.\n.\r\r\n",
    ] {
        let (content, _) = read(input.as_bytes(), 1);
        let mut rest = content.as_slice();
        while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
            assert!(rest[at..].starts_with(b"\r\n"), "{input:?}");
            rest = &rest[at + 2..];
        }
    }
}

#[test]
fn dots_at_the_edge_of_a_buffer_are_seen() {
    for size in [4_096, 16_384, 65_536] {
        for shift in 0..6 {
            let mut input = vec![b'a'; size - shift];
            input.extend_from_slice(b"\r\n..x\r\n.\r\n");
            let (content, behind) = read(&input, size);
            assert!(content.ends_with(b"a\r\n.x\r\n"), "{size} less {shift}");
            assert_eq!(behind, Some(Vec::new()));
        }
    }
}

fn awkward() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    proptest::collection::vec(
        prop_oneof![
            4 => Just(b'\r'),
            4 => Just(b'\n'),
            4 => Just(b'.'),
            1 => Just(0),
            3 => any::<u8>(),
        ],
        0..80,
    )
}

proptest::proptest! {
    #[test]
    fn any_pieces_read_as_the_rule_says(input in awkward(), cuts in proptest::collection::vec(1_usize..9, 1..80)) {
        let mut reader = ContentReader::default();
        let mut out = Vec::new();
        let mut fed = 0;
        let mut left = None;
        for cut in cuts.iter().cycle() {
            let piece = &input[fed..(fed + cut).min(input.len())];
            match reader.read(piece, &mut out) {
                Progress::More => fed += piece.len(),
                Progress::End(taken) => {
                    left = Some(input[fed + taken..].to_vec());
                    break;
                }
            }
            if fed == input.len() {
                break;
            }
        }
        proptest::prop_assert_eq!((out, left), by_the_book(&input));
    }

    #[test]
    fn what_a_good_client_stuffs_comes_back(lines in proptest::collection::vec("\\.{0,3}[^\r\n]{0,20}", 0..12)) {
        let wire: String = lines
            .iter()
            .map(|line| format!("{}{line}\r\n", if line.starts_with('.') { "." } else { "" }))
            .chain([".\r\n".to_owned()])
            .collect();
        let (content, behind) = read(wire.as_bytes(), 7);
        let want: String = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
        proptest::prop_assert_eq!(String::from_utf8(content).unwrap(), want);
        proptest::prop_assert_eq!(behind, Some(Vec::new()));
    }
}

#[test]
fn long_contents_are_read_as_short_ones() {
    let clean = "a line of text as there are many\r\n".repeat(3 * BLOCK / 34);
    let odd = [
        "\r",
        "\n",
        "\r\n",
        ".",
        "\r\n.",
        "\r\n.\r\n",
        "\n.",
        "\r.",
        "x",
    ];
    for place in (BLOCK - 3..BLOCK + 3).chain(2 * BLOCK - 3..2 * BLOCK + 3) {
        for odd in odd {
            let (before, behind) = clean.split_at(place);
            let input = [before, odd, behind, "\r\n.\r\nQUIT"].concat();
            let (want, left) = by_the_book(input.as_bytes());
            for step in [input.len(), BLOCK, BLOCK + 1, 2_000] {
                let (got, behind) = read(input.as_bytes(), step);
                assert!(got == want, "{odd:?} at {place} in pieces of {step}");
                let behind = behind.expect("an end");
                assert!(left.as_ref().is_some_and(|left| left.ends_with(&behind)));
            }
        }
    }
}
