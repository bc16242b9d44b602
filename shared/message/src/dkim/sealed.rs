//! What our own signatures on a stored message say, and the message without them.

use postrider_model::Timestamp;

use crate::field::Field;
use crate::lines::line_end;

/// What stands behind the DKIM-Signature fields that a sealed message begins with: takes off what
/// `sign` gave. A stamp lets no foreign signature in and begins with Received, so that the fields
/// at the top are exactly ours.
pub fn unsigned(sealed: &[u8]) -> &[u8] {
    let mut rest = sealed;
    while rest.starts_with(b"DKIM-Signature:") {
        rest = behind_field(rest);
    }
    rest
}

/// When the signatures end that a sealed message begins with: the `x=` of the first, in whole
/// seconds; `None` where there is none.
pub fn sealed_until(sealed: &[u8]) -> Option<Timestamp> {
    let behind = behind_field(sealed).len();
    let first = Field::new(sealed.get(..sealed.len() - behind)?);
    let text = first.is("DKIM-Signature").then(|| first.text())?;
    let mut tags = text.split(';').map(str::trim);
    let seconds = tags.find_map(|tag| tag.strip_prefix("x="))?;
    let seconds: i64 = seconds.parse().ok()?;
    Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?))
}

fn behind_field(mut rest: &[u8]) -> &[u8] {
    while let Some(end) = line_end(rest) {
        rest = rest.get(end + 2..).unwrap_or_default();
        if !rest.starts_with(b" ") && !rest.starts_with(b"\t") {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_seal_is_read_from_its_first_signature() {
        for (given, want) in [
            (
                "DKIM-Signature: v=1; s=e1;\r\n\tt=10; x=20;\r\n\tb=ab\r\nDKIM-Signature: x=30\r\n\r\n",
                Some(20),
            ),
            (
                "DKIM-Signature: v=1;\r\n\tx=20\r\nFrom: a@b.example\r\n\r\n",
                Some(20),
            ),
            ("DKIM-Signature: v=1; b=x=20\r\n\r\n", None),
            ("DKIM-Signature: v=1; x=99999999999999999\r\n\r\n", None),
            ("From: a@b.example\r\nDKIM-Signature: x=20\r\n\r\n", None),
            ("", None),
        ] {
            let want = want.map(|seconds| Timestamp::from_micros(seconds * 1_000_000));
            assert_eq!(sealed_until(given.as_bytes()), want, "{given}");
        }
    }
}
