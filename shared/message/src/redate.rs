//! Another Date for a message that is to leave at another time.

use std::borrow::Cow;

use postrider_model::Timestamp;

use crate::field::{Field, split};

/// The message (stamped, without its signatures) with `at` as its Date, where its Date is the one
/// that `stamp` wrote for `was`. A Date that its author gave says when it was written and stays.
pub fn redate(stamped: &[u8], was: Timestamp, at: Timestamp) -> Cow<'_, [u8]> {
    let Ok(message) = split(stamped) else {
        return Cow::Borrowed(stamped);
    };
    let mut start = 0;
    for field in &message.fields {
        let end = start + field.raw.len();
        if field.is("Date") && is_ours(field, was) {
            let (before, behind) = (stamped.get(..start), stamped.get(end..));
            let date = format!("Date: {}\r\n", at.to_rfc5322());
            let parts = [before.unwrap_or_default(), date.as_bytes()];
            return Cow::Owned([&parts.concat(), behind.unwrap_or_default()].concat());
        }
        start = end;
    }
    Cow::Borrowed(stamped)
}

fn is_ours(field: &Field<'_>, was: Timestamp) -> bool {
    field.text() == was.to_rfc5322()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_date_that_was_made_for_the_old_time_gives_way() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let (was, new) = (at("2026-02-01T08:00:00.25Z"), at("2026-02-10T09:30:00Z"));
        let message = |date: &str| {
            format!("From: a@b.example\r\n{date}Subject: Date: x\r\n\r\nDate: {date}\r\n")
        };
        let ours = message("Date: Sun, 01 Feb 2026 08:00:00 +0000\r\n");
        let (head, body) = ours.split_once("\r\n\r\n").unwrap();
        let want = format!(
            "{}\r\n\r\n{body}",
            head.replace("Sun, 01 Feb 2026 08:00:00", "Tue, 10 Feb 2026 09:30:00")
        );
        assert_eq!(redate(ours.as_bytes(), was, new), want.as_bytes());
        for theirs in [
            "Date: Sun, 01 Feb 2026 09:00:00 +0100\r\n",
            "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n",
            "",
        ] {
            let theirs = message(theirs);
            assert_eq!(redate(theirs.as_bytes(), was, new), theirs.as_bytes());
        }
    }

    #[test]
    fn there_and_back_is_the_same_message() {
        let stamped = b"Received: by a; x\r\nFrom: a@b.example\r\nDate: Sun, 01 Feb 2026 08:00:00 +0000\r\n\r\nhello\r\n";
        let was = Timestamp::parse("2026-02-01T08:00:00Z").unwrap();
        let new = Timestamp::parse("2026-12-24T23:59:59Z").unwrap();
        let there = redate(stamped, was, new);
        assert_ne!(&*there, stamped);
        assert_eq!(&*redate(&there, new, was), stamped);
    }
}
