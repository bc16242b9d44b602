//! Encoded words (RFC 2047): text outside ASCII in header fields, both ways.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 as the world writes it: padding or none, stray bits in the last character.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Most encoded characters in one word. RFC 2047 §2: 75 with the frame (12 here); shorter, so
/// that a word stands beside the longer field names too.
const PAYLOAD_MOST: usize = 48;
/// Longest encoded word that is read, in bytes. RFC 2047 §2 allows 75; many are longer.
const ENCODED_MOST: usize = 2_000;
/// A word of ASCII longer than this cannot be folded and is encoded instead.
const WORD_MOST: usize = 500;

/// Reads bytes in a named charset; an unknown one is taken for UTF-8, and what is not legal in
/// it is replaced.
pub(crate) fn decode_charset(charset: &str, bytes: &[u8]) -> String {
    let plain = ["", "utf-8", "utf8", "us-ascii", "ascii"];
    if !plain.iter().any(|name| name.eq_ignore_ascii_case(charset))
        && let Some(decode) =
            mail_parser::decoders::charsets::map::charset_decoder(charset.as_bytes())
    {
        return decode(bytes);
    }
    String::from_utf8_lossy(bytes).into_owned()
}

/// Decodes all encoded words of a field's text. White space between two of them is not part of
/// the text (RFC 2047 §6.2), and a character may be cut across two words of one charset.
pub(crate) fn decode(text: &str) -> String {
    if !text.contains("=?") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut pending: Option<(&str, Vec<u8>)> = None;
    let mut rest = text;
    while let Some(start) = rest.find("=?") {
        let (before, word) = rest.split_at(start);
        let Some((charset, bytes, after)) = encoded_word(word) else {
            flush(&mut pending, &mut out);
            out.push_str(before);
            out.push_str("=?");
            rest = word.get(2..).unwrap_or_default();
            continue;
        };
        let adjacent = before.chars().all(|c| matches!(c, ' ' | '\t'));
        match &mut pending {
            Some((known, collected)) if adjacent && known.eq_ignore_ascii_case(charset) => {
                collected.extend_from_slice(&bytes);
            }
            _ => {
                let drop_space = pending.is_some() && adjacent;
                flush(&mut pending, &mut out);
                if !drop_space {
                    out.push_str(before);
                }
                pending = Some((charset, bytes));
            }
        }
        rest = after;
    }
    flush(&mut pending, &mut out);
    out.push_str(rest);
    out
}

/// Decoded for people and for our own use: control characters, which an encoded word can hold,
/// become spaces, so that a decoded text is always one line.
pub(crate) fn one_line(text: &str) -> String {
    decode(text).replace(char::is_control, " ")
}

fn flush(pending: &mut Option<(&str, Vec<u8>)>, out: &mut String) {
    if let Some((charset, bytes)) = pending.take() {
        out.push_str(&decode_charset(charset, &bytes));
    }
}

// `=?charset*language?encoding?text?=` at the start of `word` (RFC 2047 §2, RFC 2231 §5).
fn encoded_word(word: &str) -> Option<(&str, Vec<u8>, &str)> {
    // Bounded, so that a header full of openings is not searched again from each of them.
    let window = word.get(..word.floor_char_boundary(ENCODED_MOST))?;
    let (charset, rest) = window.strip_prefix("=?")?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (text, behind) = rest.split_once("?=")?;
    let after = word.get(window.len() - behind.len()..)?;
    let charset = charset.split('*').next().unwrap_or(charset);
    if charset.is_empty() || !charset.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let bytes = match encoding {
        "q" | "Q" => decode_q(text),
        "b" | "B" => BASE64.decode(text.trim_matches(' ')).ok()?,
        _ => return None,
    };
    Some((charset, bytes, after))
}

fn decode_q(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'_' => out.push(b' '),
            b'=' => {
                let mut two = bytes.clone();
                if let Some(byte) = hex(two.next(), two.next()) {
                    out.push(byte);
                    bytes = two;
                } else {
                    out.push(b'=');
                }
            }
            b => out.push(b),
        }
    }
    out
}

/// The hexadecimal digit of a number under 16, in capitals.
pub(crate) fn digit(n: u8) -> char {
    char::from_digit(u32::from(n), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

/// The byte that two hexadecimal digits name.
pub(crate) fn hex(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |b: Option<u8>| char::from(b?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// A text as the tokens of an unstructured field, to be written with one space before each:
/// plain words stay, runs of words that need it become encoded words.
pub(crate) fn encode_text(text: &str) -> Vec<String> {
    let decoded;
    let mut text = text;
    // Encoded words that the text has already stay as they are, unless others must be made
    // beside them: the space between would vanish for the reader.
    let mut guard = text.contains("=?") && decode(text) == text;
    if text.contains("=?") && text.split(' ').any(|word| needs_encoding(word, guard)) {
        decoded = decode(text);
        text = &decoded;
        guard = true;
    }
    let (mut tokens, mut run): (Vec<String>, Vec<&str>) = (vec![], vec![]);
    let mut spaces = String::new();
    for word in text.split(' ') {
        if word.is_empty() && run.is_empty() {
            spaces.push(' ');
        } else if word.is_empty() || needs_encoding(word, guard) {
            run.push(word);
        } else {
            close_run(&mut run, &mut tokens, &mut spaces);
            tokens.push(std::mem::take(&mut spaces) + word);
        }
    }
    close_run(&mut run, &mut tokens, &mut spaces);
    tokens
}

// Empty words at the end of a run are spaces that stand before the next plain word.
fn close_run(run: &mut Vec<&str>, tokens: &mut Vec<String>, spaces: &mut String) {
    let mut behind = String::new();
    while run.last().is_some_and(|word| word.is_empty()) {
        run.pop();
        behind.push(' ');
    }
    if !run.is_empty() {
        let mut words = encode_words(&run.join(" ")).into_iter();
        tokens.extend(words.next().map(|first| std::mem::take(spaces) + &first));
        tokens.extend(words);
        run.clear();
    }
    spaces.push_str(&behind);
}

// With `guard`, also what would be read as the encoded word that it only looks like.
fn needs_encoding(word: &str, guard: bool) -> bool {
    word.len() > WORD_MOST
        || !word.bytes().all(|b| b.is_ascii_graphic())
        || guard && word.contains("=?")
}

/// A text wholly as encoded words. The characters used in them may stand in a phrase too
/// (RFC 2047 §5 (3)).
pub(crate) fn encode_words(text: &str) -> Vec<String> {
    let escaped = text.bytes().filter(|&b| !is_q_safe(b)).count();
    // Readable where it can be, short where it cannot.
    let by_q = escaped * 2 <= text.len().max(8);
    let (mut words, mut chunk) = (vec![], String::new());
    let mut cost = 0;
    for c in text.chars() {
        let more = if by_q { q_cost(c) } else { c.len_utf8() };
        let most = if by_q {
            PAYLOAD_MOST
        } else {
            PAYLOAD_MOST / 4 * 3
        };
        if cost + more > most {
            words.push(frame(&std::mem::take(&mut chunk), by_q));
            cost = 0;
        }
        chunk.push(c);
        cost += more;
    }
    if !chunk.is_empty() {
        words.push(frame(&chunk, by_q));
    }
    words
}

fn q_cost(c: char) -> usize {
    match u8::try_from(c) {
        Ok(b' ') => 1,
        Ok(b) if is_q_safe(b) => 1,
        _ => c.len_utf8() * 3,
    }
}

// RFC 2047 §5 (3), without `_`, which is the space.
fn is_q_safe(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'!' | b'*' | b'+' | b'-' | b'/')
}

fn frame(chunk: &str, by_q: bool) -> String {
    if !by_q {
        return format!("=?utf-8?b?{}?=", BASE64.encode(chunk));
    }
    let mut word = String::from("=?utf-8?q?");
    for b in chunk.bytes() {
        match b {
            b' ' => word.push('_'),
            b if is_q_safe(b) => word.push(char::from(b)),
            b => word.extend(['=', digit(b >> 4), digit(b & 15)]),
        }
    }
    word + "?="
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_read_as_rfc_2047_section_8_shows_them() {
        for (given, want) in [
            ("plain", "plain"),
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=  \t=?ISO-8859-2?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?iso-8859-1?q?caf=E9?=", "café"),
            ("=?UTF-8?B?4pyT?= ok", "✓ ok"),
            ("=?utf-8?q?=E2=9C?= =?utf-8?q?=93?=", "✓"),
            ("=?utf-8*de?q?x?=", "x"),
            ("a =? b", "a =? b"),
            ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
            ("=?utf-8?q?=zz?=", "=zz"),
        ] {
            assert_eq!(decode(given), want, "{given}");
        }
    }

    #[test]
    fn only_what_needs_it_is_encoded() {
        assert_eq!(encode_text("Your invoice 42"), ["Your", "invoice", "42"]);
        assert_eq!(
            encode_text("Größe ok"),
            ["=?utf-8?q?Gr=C3=B6=C3=9Fe?=", "ok"]
        );
        assert_eq!(encode_text("=?utf-8?q?a?= b"), ["=?utf-8?q?a?=", "b"]);
        assert_eq!(
            encode_text("what =? this"),
            ["what", "=?utf-8?q?=3D=3F?=", "this"]
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in "\\PC{0,120}") {
            proptest::prop_assume!(!text.contains("=?"));
            let text = text.trim();
            let tokens = encode_text(text);
            proptest::prop_assert_eq!(decode(&tokens.join(" ")), text);
            for token in tokens {
                proptest::prop_assert!(token.is_ascii());
                proptest::prop_assert!(!token.starts_with("=?") || token.len() <= 75);
            }
        }

        #[test]
        fn no_text_breaks_the_decoder(text in "[=?a-zQqB8_ \\-]{0,60}") {
            decode(&text);
        }
    }
}
