use std::collections::HashSet;

use super::*;

#[test]
fn every_entry_is_one_short_sentence_under_an_id_of_its_own() {
    let mut ids = HashSet::new();
    let mut last = "";
    for entry in Entry::ALL {
        assert!(ids.insert(entry.id), "{} twice", entry.id);
        assert!(last < entry.id, "{} is out of order", entry.id);
        last = entry.id;
        let visible = |c: char| c.is_ascii_graphic() || c == ' ';
        assert!(entry.sentence.chars().all(visible), "{}", entry.id);
        assert!(entry.sentence.len() <= SENTENCE_MOST, "{}", entry.id);
        let end = entry.sentence.ends_with(['.', ')']);
        assert!(end && !entry.sentence.contains("  "), "{}", entry.id);
        // A value of twenty characters must be readable in each place.
        let room = SENTENCE_MOST - entry.bare_length();
        assert!(room >= 20 * entry.places().len().min(2), "{}", entry.id);
    }
}

#[test]
fn codes_agree_with_each_other() {
    for entry in Entry::ALL {
        let Some(smtp) = entry.smtp else { continue };
        let class = smtp.code / 100;
        assert_eq!(u16::from(smtp.enhanced.0), class, "{}", entry.id);
        let Some(http) = entry.http else { continue };
        let passes = matches!(http.status, 429 | 500..) || http.name.starts_with("concurrent");
        // 452 to RCPT is the one that is no matter of time (RFC 5321 §4.5.3.1.10).
        assert!(
            passes == (class == 4) || entry.id == "PR-305",
            "{}",
            entry.id
        );
    }
}

#[test]
fn values_from_outside_stay_in_their_place() {
    let long = "x".repeat(500);
    for value in ["\r\n250 ok", "naïve ✉", long.as_str(), "{user}"] {
        for entry in Entry::ALL {
            let values: Vec<_> = entry
                .places()
                .into_iter()
                .map(|name| (name, value))
                .collect();
            let said = entry.say(&values);
            assert!(said.len() <= SENTENCE_MOST, "{} {}", entry.id, said.len());
            assert!(said.chars().all(|c| c.is_ascii_graphic() || c == ' '));
        }
    }
    let said = Entry::MECHANISM.say(&[("mechanism", "CRAM-MD5")]);
    assert!(
        said.starts_with("Sign-in by CRAM-MD5 is not offered"),
        "{said}"
    );
}

#[test]
fn the_catalogue() {
    let line = |entry: &Entry| {
        let smtp = entry.smtp.map_or("-".to_owned(), |smtp| {
            format!("{} {}", smtp.code, smtp.enhanced)
        });
        let http = entry.http.map_or("-".to_owned(), |http| {
            format!("{} {}", http.status, http.name)
        });
        format!("{} | {smtp} | {http} | {}", entry.id, entry.sentence)
    };
    let lines: Vec<_> = Entry::ALL.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
