//! Places in the order of changes, as text.
//!
//! New to a reader is what its last snapshot did not show: rows of transactions that were open then
//! or began later. So a cursor is that snapshot, as PostgreSQL writes it (`xmin:xmax:open,open`);
//! in the middle of a pass, it is `base|now|change|recipient`: where the pass began, what it will
//! have seen when it is through, and the row it came to.

use postrider_store::Cursor;
use uuid::Uuid;

use crate::fault::Fault;

/// What was committed at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// `xmin`: all before it were over.
    first: u64,
    /// `xmax`: the first number that nobody had yet.
    pub(crate) next: u64,
    /// Transactions that were under way.
    open: Vec<u64>,
}

impl Snapshot {
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        Self::read(text)
            .ok_or_else(|| Fault::Rejected(format!("no snapshot of this database: {text:?}")))
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let first = parts.next()?.parse().ok()?;
        let next = parts.next()?.parse().ok()?;
        let open = parts.next()?.split(',').filter(|text| !text.is_empty());
        let open = open.map(|text| text.parse().ok()).collect::<Option<_>>()?;
        parts.next().is_none().then_some(Self { first, next, open })
    }

    pub(crate) fn open_texts(&self) -> Vec<String> {
        self.open.iter().map(u64::to_string).collect()
    }

    fn text(&self) -> String {
        let open = self.open_texts().join(",");
        format!("{}:{}:{open}", self.first, self.next)
    }
}

/// Where a pass began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Start,
    Snapshot(Snapshot),
}

/// A cursor, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) base: Base,
    /// In the middle of a pass: the snapshot of its first page.
    pub(crate) now: Option<Snapshot>,
    /// In the middle of a pass: the last row's transaction and recipient.
    pub(crate) after: Option<(u64, Uuid)>,
}

impl Progress {
    pub(crate) fn parse(cursor: &Cursor) -> Result<Self, Fault> {
        let text = cursor.0.as_str();
        let Some((base, rest)) = text.split_once('|') else {
            return Ok(Self {
                base: base(text)?,
                now: None,
                after: None,
            });
        };
        let refuse = || Fault::Rejected(format!("no cursor of this database: {text:?}"));
        let (now, rest) = rest.split_once('|').ok_or_else(refuse)?;
        let (change, recipient) = rest.split_once('|').ok_or_else(refuse)?;
        let change = change.parse().map_err(|_| refuse())?;
        let recipient = recipient.parse().map_err(|_| refuse())?;
        Ok(Self {
            base: self::base(base)?,
            now: Some(Snapshot::parse(now)?),
            after: Some((change, recipient)),
        })
    }

    pub(crate) fn cursor(&self) -> Cursor {
        let base = match &self.base {
            Base::Start => String::new(),
            Base::Snapshot(snapshot) => snapshot.text(),
        };
        Cursor(match (&self.now, &self.after) {
            (Some(now), Some((change, recipient))) => {
                format!("{base}|{}|{change}|{recipient}", now.text())
            }
            _ => base,
        })
    }
}

fn base(text: &str) -> Result<Base, Fault> {
    if text.is_empty() {
        Ok(Base::Start)
    } else {
        Snapshot::parse(text).map(Base::Snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_text() {
        for text in [
            "",
            "10:10:",
            "10:20:10,14,15",
            "|10:20:10|19|01890a5d-ac96-774b-bcce-b302099a8057",
            "7:7:|10:20:10,12|19|01890a5d-ac96-774b-bcce-b302099a8057",
        ] {
            let cursor = Cursor(text.to_owned());
            assert_eq!(Progress::parse(&cursor).unwrap().cursor(), cursor, "{text}");
        }
        for wrong in [
            "x",
            "1",
            "1:2",
            "1:2:3:4",
            "1:2:x",
            "|",
            "|1:2:|3",
            "1:2:|1:2:|3|x",
        ] {
            let read = Progress::parse(&Cursor(wrong.to_owned()));
            assert!(read.is_err(), "{wrong}");
        }
    }
}
