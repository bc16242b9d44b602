//! The four lines of a tenant: two lanes, each with first attempts and later ones, for only the
//! first are paced.

use postrider_model::{Stream, WaitCause};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    First,
    Again,
}

impl Kind {
    pub(super) fn of(attempts: u32, cause: WaitCause) -> Self {
        // Who found its destination at the cap has paid for its turn.
        if attempts == 0 && cause != WaitCause::DestinationCap {
            Self::First
        } else {
            Self::Again
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) stream: Stream,
    pub(super) kind: Kind,
}

impl Line {
    /// In the order in which they may go.
    pub(super) const ALL: [Self; 4] = [
        Self::new(Stream::Transactional, Kind::First),
        Self::new(Stream::Transactional, Kind::Again),
        Self::new(Stream::Bulk, Kind::First),
        Self::new(Stream::Bulk, Kind::Again),
    ];

    pub(super) const fn new(stream: Stream, kind: Kind) -> Self {
        Self { stream, kind }
    }
}

/// One for each line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ByLine<T> {
    first: T,
    again: T,
    bulk_first: T,
    bulk_again: T,
}

impl<T> ByLine<T> {
    pub(super) fn of(&self, line: Line) -> &T {
        match (line.stream, line.kind) {
            (Stream::Transactional, Kind::First) => &self.first,
            (Stream::Transactional, Kind::Again) => &self.again,
            (Stream::Bulk, Kind::First) => &self.bulk_first,
            (Stream::Bulk, Kind::Again) => &self.bulk_again,
        }
    }

    pub(super) fn of_mut(&mut self, line: Line) -> &mut T {
        match (line.stream, line.kind) {
            (Stream::Transactional, Kind::First) => &mut self.first,
            (Stream::Transactional, Kind::Again) => &mut self.again,
            (Stream::Bulk, Kind::First) => &mut self.bulk_first,
            (Stream::Bulk, Kind::Again) => &mut self.bulk_again,
        }
    }
}
