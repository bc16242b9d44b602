//! What is another in a report than in the one before: what who waits has to read.

use super::finding::{Finding, Level, Report, shown};

/// Findings that show a measurement, which is another at each look.
const MEASURED: [&str; 3] = ["clock", "disk", "fsync"];

impl Report {
    /// What changed since the report before, for people: how many findings there are, those that
    /// are new, or were mended, and those that are gone. `None` where all is as it was.
    pub(crate) fn changes_since(&self, before: &Self) -> Option<String> {
        let was_wrong = |one: &Finding| before.findings.iter().any(|old| is_wrong_with(old, one));
        let is_new = |one: &&Finding| {
            let stood = before.findings.iter().any(|old| is_same(old, one));
            !stood && (one.level != Level::Ok || was_wrong(one))
        };
        let is_gone = |old: &&Finding| {
            let mut now = self.findings.iter();
            old.level != Level::Ok && !now.any(|one| is_about_the_same(one, old))
        };
        let new = self.findings.iter().filter(is_new).map(shown);
        let gone = before.findings.iter().filter(is_gone);
        let gone = gone.map(|old| format!("gone  {:<12} {}\n", old.id, old.about));
        let changes: Vec<_> = gone.chain(new).collect();
        (!changes.is_empty()).then(|| format!("{}\n{}", self.counts(), changes.concat()))
    }
}

fn is_about_the_same(one: &Finding, other: &Finding) -> bool {
    (one.id, &one.about) == (other.id, &other.about)
}

fn is_wrong_with(old: &Finding, one: &Finding) -> bool {
    old.level != Level::Ok && is_about_the_same(old, one)
}

fn is_same(old: &Finding, one: &Finding) -> bool {
    let says_the_same = one.level == Level::Ok
        || MEASURED.contains(&one.id)
        || (seen(old), &old.remedy, &old.paste) == (seen(one), &one.remedy, &one.paste);
    is_about_the_same(old, one) && old.level == one.level && says_the_same
}

// How long a certificate has left is less at each look; that it has ended is another word.
fn seen(one: &Finding) -> String {
    let is_counted = |c: char| one.id == "certificate" && c.is_ascii_digit();
    one.seen.chars().filter(|c| !is_counted(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hours_of_a_certificate_are_no_news_and_its_end_is() {
        let report = |seen: &str| {
            let finding = Finding::soft("certificate", "acme/rsa.pem", seen);
            Report::new(vec![finding.remedy("renew it")])
        };
        let before = report("it ends in 10 hours");
        assert_eq!(report("it ends in 9 hours").changes_since(&before), None);
        let ended = report("it ended 0 days ago; programs refuse it");
        let told = ended.changes_since(&before).unwrap();
        assert!(told.contains("it ended 0 days ago"), "{told}");
        let later = report("it ended 1 days ago; programs refuse it");
        assert_eq!(later.changes_since(&ended), None);
    }

    #[test]
    fn who_waits_is_told_what_is_new_mended_or_gone_and_nothing_else() {
        let clock = |seen: &str| Finding::soft("clock", "clock", seen);
        let before = Report::new(vec![
            Finding::ok("host", "relay.example", "192.0.2.1"),
            clock("6 s behind"),
            Finding::soft("dnsbl", "bl.example", "listed"),
            Finding::hard("ptr", "192.0.2.1", "no answer"),
            Finding::hard("spf", "bounce.relay.example", "there is none").remedy("publish it"),
            Finding::hard("dkim", "k1", "there is none"),
        ]);
        assert_eq!(before.changes_since(&before), None);
        let after = Report::new(vec![
            Finding::ok("host", "relay.example", "192.0.2.1, 2001:db8::1"),
            clock("7 s behind"),
            Finding::ok("ptr", "192.0.2.1", "relay.example"),
            Finding::hard("spf", "bounce.relay.example", "there are two").remedy("leave one"),
            Finding::hard("dkim", "k1", "there is none"),
            Finding::hard("mx", "relay.example", "there is none"),
        ]);
        insta::assert_snapshot!(after.changes_since(&before).unwrap());
    }
}
