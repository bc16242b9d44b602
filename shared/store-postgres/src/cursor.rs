//! Places in the order of changes, as text.
//!
//! New to a reader is what its last snapshot did not show: rows of transactions that were open then
//! or began later. So a cursor is that snapshot, as PostgreSQL writes it (`xmin:xmax:open,open`);
//! in the middle of a pass, it is `base|now|change|recipient`: where the pass began, what it will
//! have seen when it is through, and the row it came to.
//!
//! Before all that stands the server's life, `life;`. A server that crashed gives numbers again
//! whose transactions left nothing on its disk: a cursor of an earlier life is worth nothing.

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Base {
    #[default]
    Start,
    Snapshot(Snapshot),
}

/// A cursor, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The server's, when the pass began; empty before the first page from the start.
    pub(crate) life: String,
    pub(crate) base: Base,
    /// In the middle of a pass: the snapshot of its first page.
    pub(crate) now: Option<Snapshot>,
    /// In the middle of a pass: the last row's transaction and recipient.
    pub(crate) after: Option<(u64, Uuid)>,
}

impl Progress {
    pub(crate) fn parse(cursor: &Cursor) -> Result<Self, Fault> {
        let text = cursor.0.as_str();
        if text.is_empty() {
            return Ok(Self::default());
        }
        let refuse = || Fault::Rejected(format!("no cursor of this database: {text:?}"));
        let (life, place) = text.split_once(';').ok_or_else(refuse)?;
        let life = life.to_owned();
        let Some((base, rest)) = place.split_once('|') else {
            return Ok(Self {
                life,
                base: base(place)?,
                now: None,
                after: None,
            });
        };
        let (now, rest) = rest.split_once('|').ok_or_else(refuse)?;
        let (change, recipient) = rest.split_once('|').ok_or_else(refuse)?;
        let change = change.parse().map_err(|_| refuse())?;
        let recipient = recipient.parse().map_err(|_| refuse())?;
        Ok(Self {
            life,
            base: self::base(base)?,
            now: Some(Snapshot::parse(now)?),
            after: Some((change, recipient)),
        })
    }

    pub(crate) fn cursor(&self) -> Cursor {
        let life = &self.life;
        let base = match &self.base {
            Base::Start => String::new(),
            Base::Snapshot(snapshot) => snapshot.text(),
        };
        Cursor(match (&self.now, &self.after) {
            (Some(now), Some((change, recipient))) => {
                format!("{life};{base}|{}|{change}|{recipient}", now.text())
            }
            _ => format!("{life};{base}"),
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
            "a;10:10:",
            "a;10:20:10,14,15",
            "a;|10:20:10|19|01890a5d-ac96-774b-bcce-b302099a8057",
            "a;7:7:|10:20:10,12|19|01890a5d-ac96-774b-bcce-b302099a8057",
        ] {
            let cursor = Cursor(text.to_owned());
            assert_eq!(Progress::parse(&cursor).unwrap().cursor(), cursor, "{text}");
        }
        let start = Progress::parse(&Cursor::START).unwrap();
        assert_eq!(start, Progress::default());
        for wrong in [
            "a",
            "10:10:",
            "a;x",
            "a;1",
            "a;1:2",
            "a;1:2:3:4",
            "a;1:2:x",
            "a;|",
            "a;|1:2:|3",
            "a;1:2:|1:2:|3|x",
        ] {
            let read = Progress::parse(&Cursor(wrong.to_owned()));
            assert!(read.is_err(), "{wrong}");
        }
    }
}
