//! The last lines that were said to an exchanger and by it.

use std::collections::VecDeque;

use crate::script::Base;

/// Lines kept of an exchanger with a script of its own, and of one without: of the latter there
/// may be thousands.
const LINES_SCRIPTED: usize = 10_000;
const LINES_UNSCRIPTED: usize = 100;

/// Characters kept of one line.
const LONGEST: usize = 500;

#[derive(Debug)]
pub(super) struct Transcript {
    lines: VecDeque<String>,
    most: usize,
}

impl Transcript {
    pub(super) fn of(base: Base) -> Self {
        let most = match base {
            Base::Accepting => LINES_SCRIPTED,
            Base::Habits | Base::Words => LINES_UNSCRIPTED,
        };
        Self {
            lines: VecDeque::new(),
            most,
        }
    }

    pub(super) fn note(&mut self, line: String) {
        if self.lines.len() >= self.most {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

/// Bytes as one line of it, control characters escaped.
pub(super) fn printed(side: char, bytes: &[u8]) -> String {
    let start = bytes.get(..LONGEST).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    let more = if start.len() < bytes.len() { "…" } else { "" };
    let mut line = format!("{side}: ");
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line + more
}
