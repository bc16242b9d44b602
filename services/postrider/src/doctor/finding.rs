//! One thing that was looked at, and all of them together.

use serde::Serialize;
use serde_json::{Value, json};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Worth mending; mail may leave.
    Soft,
    /// Mail must not leave.
    Hard,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What kind of thing: a word that stays.
    pub(crate) id: &'static str,
    /// Which one: a name, an address, a file.
    pub(crate) about: String,
    pub(crate) level: Level,
    pub(crate) seen: String,
    /// What to do; empty where it is as it should be.
    pub(crate) remedy: String,
    /// What to put there, as it stands in a zone file or in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paste: Option<String>,
    /// False where nothing could be learned: a server that is away says nothing of a record.
    pub(crate) certain: bool,
}

impl Finding {
    fn new(level: Level, id: &'static str, about: &str, seen: &str) -> Self {
        Self {
            id,
            about: about.to_owned(),
            level,
            seen: seen.to_owned(),
            remedy: String::new(),
            paste: None,
            certain: true,
        }
    }

    pub(crate) fn ok(id: &'static str, about: &str, seen: &str) -> Self {
        Self::new(Level::Ok, id, about, seen)
    }

    pub(crate) fn soft(id: &'static str, about: &str, seen: &str) -> Self {
        Self::new(Level::Soft, id, about, seen)
    }

    pub(crate) fn hard(id: &'static str, about: &str, seen: &str) -> Self {
        Self::new(Level::Hard, id, about, seen)
    }

    pub(crate) fn at(level: Level, id: &'static str, about: &str, seen: &str) -> Self {
        Self::new(level, id, about, seen)
    }

    pub(crate) fn remedy(self, remedy: &str) -> Self {
        let remedy = remedy.to_owned();
        Self { remedy, ..self }
    }

    pub(crate) fn paste(self, paste: &str) -> Self {
        let paste = Some(paste.to_owned());
        Self { paste, ..self }
    }

    pub(crate) fn uncertain(self) -> Self {
        let certain = false;
        Self { certain, ..self }
    }
}

/// What one examination found, the worst last, where a terminal shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    /// No mail of it leaves this machine, whatever is found.
    is_sandbox: bool,
}

impl Report {
    pub(crate) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.level);
        Self {
            findings,
            is_sandbox: false,
        }
    }

    /// Of a relay that dials this machine alone.
    pub(crate) fn of_sandbox(findings: Vec<Finding>) -> Self {
        Self {
            is_sandbox: true,
            ..Self::new(findings)
        }
    }

    pub(crate) fn count(&self, level: Level) -> usize {
        let all = self.findings.iter();
        all.filter(|finding| finding.level == level).count()
    }

    pub(crate) fn may_leave(&self) -> bool {
        self.count(Level::Hard) == 0
    }

    /// Whether a hard finding stands that is more than silence.
    pub(crate) fn is_certainly_bad(&self) -> bool {
        let mut all = self.findings.iter();
        all.any(|finding| finding.level == Level::Hard && finding.certain)
    }

    /// The hard ones in one sentence, for an event and a log line.
    pub(crate) fn reason(&self) -> String {
        let hard = self.findings.iter();
        let hard = hard.filter(|finding| finding.level == Level::Hard);
        let hard: Vec<_> = hard
            .map(|finding| format!("{} of {}", finding.id, finding.about))
            .collect();
        let shown = hard.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
        let more = hard.len().saturating_sub(4);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!(
            "mail does not leave this relay yet: `postrider doctor` has hard findings ({shown}{more})"
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "sandbox": self.is_sandbox,
            "may_leave": self.may_leave(),
            "hard": self.count(Level::Hard),
            "soft": self.count(Level::Soft),
            "findings": self.findings,
        })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let shown: Vec<_> = self.findings.iter().map(shown).collect();
        let verdict = match (self.is_sandbox, self.may_leave()) {
            (true, _) => "This is a sandbox, and no mail leaves this machine",
            (false, true) => "Mail may leave",
            (false, false) => "Mail may NOT leave",
        };
        format!("{}\n{verdict}: {}.", shown.concat(), self.counts())
    }

    pub(super) fn counts(&self) -> String {
        let (hard, soft) = (self.count(Level::Hard), self.count(Level::Soft));
        format!("hard findings: {hard}, soft findings: {soft}")
    }
}

/// A finding in the lines that people read.
pub(super) fn shown(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Ok => "ok  ",
        Level::Soft => "soft",
        Level::Hard => "HARD",
    };
    let mut text = format!(
        "{level}  {:<12} {}: {}\n",
        finding.id, finding.about, finding.seen
    );
    if !finding.remedy.is_empty() {
        let remedy = format!("      do: {}\n", finding.remedy);
        text.push_str(&remedy);
    }
    for line in finding.paste.iter().flat_map(|paste| paste.lines()) {
        let pasted = format!("          {line}\n");
        text.push_str(&pasted);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_how_it_stands_and_what_to_paste() {
        let report = Report::new(vec![
            Finding::hard("spf", "bounce.relay.example", "there is none")
                .remedy("publish this record")
                .paste("bounce.relay.example. IN TXT \"v=spf1 -all\""),
            Finding::ok("host", "relay.example", "192.0.2.1"),
            Finding::hard("ptr", "192.0.2.1", "no answer").uncertain(),
        ]);
        assert!(!report.may_leave() && report.is_certainly_bad());
        assert_eq!(report.json()["hard"], 2);
        assert!(report.reason().contains("spf of bounce.relay.example"));
        insta::assert_snapshot!(report.text());
    }
}
