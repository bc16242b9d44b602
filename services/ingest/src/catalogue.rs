//! The catalogue: every refusal that a person can meet at either door, under an id that stays.
//!
//! An entry's id stands in the reply's text, so that a photograph of a pop-up is enough to find it
//! in `infra/refusals.md`, which is written from here (`page`). Its sentence is the user interface
//! of programs that have no other: it names the box to change. The data stands in
//! `catalogue/entries.rs` alone.

mod entries;
mod page;

use postrider_gate::{QuotaExceeded, QuotaOf};
use postrider_model::{EnhancedCode, Timestamp};
use postrider_store::Period;

pub use page::{MATTERS, page};

/// One refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `PR-201`. The first digit tells the matter; an id is never used for another.
    pub id: &'static str,
    /// The reply of the SMTP door; `None` where the session ends without a word, and the sentence
    /// is the verdict that `GET /sessions/{code}` shows.
    pub smtp: Option<Smtp>,
    /// Its counterpart at the HTTP door, where there is one.
    pub http: Option<Http>,
    /// One sentence of at most 200 ASCII characters, with places for values: `{user}`.
    pub sentence: &'static str,
    /// What it is about, for people who look it up: more than the sentence has room for.
    pub more: &'static str,
}

/// A reply code with its enhanced code (RFC 5321 §4.2, RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Smtp {
    pub code: u16,
    pub enhanced: EnhancedCode,
}

/// A status, and the name from the contract's closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http {
    pub status: u16,
    pub name: &'static str,
}

/// Characters of a sentence, values filled in.
pub const SENTENCE_MOST: usize = 200;

impl Entry {
    /// Where the documentation explains it: `pr-201`.
    pub fn anchor(&self) -> String {
        self.id.to_ascii_lowercase()
    }

    /// Whether trying the same again later may help.
    pub fn passes(&self) -> bool {
        match (self.smtp, self.http) {
            (Some(smtp), _) => smtp.code < 500,
            (None, Some(http)) => matches!(http.status, 429 | 500..),
            (None, None) => false,
        }
    }

    /// The sentence with these values in its places. Whatever they hold, the result is one line of
    /// visible ASCII of at most 200 characters: long values are cut.
    pub fn say(&self, values: &[(&str, &str)]) -> String {
        let mut room = SENTENCE_MOST.saturating_sub(self.bare_length());
        let mut places = self.places().len();
        let mut said = String::new();
        let mut rest = self.sentence;
        while let Some((before, name, after)) = place(rest) {
            said.push_str(before);
            let value = values.iter().find(|(key, _)| *key == name);
            let share = room.checked_div(places).unwrap_or(room);
            let value = shown(value.map_or("?", |(_, value)| *value), share);
            (room, places) = (room - value.len(), places - 1);
            said.push_str(&value);
            rest = after;
        }
        said.push_str(rest);
        said
    }

    /// The names of its places.
    pub fn places(&self) -> Vec<&'static str> {
        let (mut names, mut rest) = (Vec::new(), self.sentence);
        while let Some((_, name, after)) = place(rest) {
            names.push(name);
            rest = after;
        }
        names
    }

    fn bare_length(&self) -> usize {
        let places = self.places();
        self.sentence.len() - places.iter().map(|name| name.len() + 2).sum::<usize>()
    }
}

/// A time as people read it: `2026-02-01 00:00 UTC`.
pub(crate) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let minutes = text.get(..16).unwrap_or(&text);
    format!("{} UTC", minutes.replace('T', " "))
}

// The first `{name}`, with what stands before and behind it.
fn place(text: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

// Some clients show replies as Latin-1, some as UTF-8: only ASCII is read by all. What a value has
// beyond it came from outside.
fn shown(value: &str, most: usize) -> String {
    let visible = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    let mut shown: String = value.chars().map(visible).collect();
    if shown.len() > most {
        shown.truncate(most.saturating_sub(3));
        shown.push_str(if most >= 3 { "..." } else { "" });
    }
    shown
}

/// What a limit is called before its figure.
pub(crate) fn limit_words(over: &QuotaExceeded) -> &'static str {
    match (over.by, over.period) {
        (QuotaOf::Plan, Period::Month) => "the monthly quota",
        (QuotaOf::Plan, _) => "the daily quota",
        (QuotaOf::Key, _) => "this password's daily limit",
        (QuotaOf::Ramp, _) => "the new account's daily limit",
        (QuotaOf::NewRecipients, _) => "the new account's hourly limit",
        (QuotaOf::Unconfirmed, _) => "the unconfirmed account's limit",
        (QuotaOf::Vendor, _) => "the vendor's daily volume",
    }
}

#[cfg(test)]
mod tests;
