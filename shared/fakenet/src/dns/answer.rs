//! What the DNS of this internet says to a question, as a value.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// What is asked for. Types that are not listed here are [`Other`](Kind::Other).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    A,
    Aaaa,
    Cname,
    Mx,
    Txt,
    Other,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What would be said if no answer was set.
    Usual,
    /// Those of the family that is asked for; NODATA where there is none.
    Addresses(Vec<IpAddr>),
    /// Preference and host. `(0, ".")` alone is the null MX of RFC 7505.
    Exchangers(Vec<(u16, String)>),
    /// One TXT record each, cut into strings of 255 octets.
    Texts(Vec<String>),
    /// A CNAME to this name, and what is found there.
    Alias(String),
    /// The name exists, without records of the type.
    NoData,
    NxDomain,
    ServFail,
    Refused,
    /// No answer at all.
    Silence,
    /// Bytes that are no DNS message; over TCP no answer.
    Garbage,
    /// The right answer under a wrong message id.
    WrongId(Box<Answer>),
    /// The right answer to a question that was not asked.
    WrongQuestion(Box<Answer>),
    /// Over UDP only the TC bit, over TCP the answer.
    Truncated(Box<Answer>),
    /// The answer after so long.
    Slow(Duration, Box<Answer>),
}

/// Answers by turn: so many times one, so many times the next, then the last for ever.
#[derive(Clone, Debug)]
pub struct Answers {
    turns: VecDeque<(usize, Answer)>,
    last: Answer,
}

impl Answers {
    /// Always this.
    pub fn always(answer: Answer) -> Self {
        Self {
            turns: VecDeque::new(),
            last: answer,
        }
    }

    /// The first `times` times this; then what `then` says, else what is usual.
    pub fn first(times: usize, answer: Answer) -> Self {
        Self {
            turns: VecDeque::from([(times, answer)]),
            last: Answer::Usual,
        }
    }

    /// After that, so many times this.
    #[must_use]
    pub fn then_times(mut self, times: usize, answer: Answer) -> Self {
        self.turns.push_back((times, answer));
        self
    }

    /// After that, for ever this.
    #[must_use]
    pub fn then(mut self, answer: Answer) -> Self {
        self.last = answer;
        self
    }

    pub(crate) fn last(&self) -> &Answer {
        &self.last
    }

    pub(crate) fn take(&mut self) -> Answer {
        while let Some((left, answer)) = self.turns.front_mut() {
            if let Some(less) = left.checked_sub(1) {
                *left = less;
                return answer.clone();
            }
            self.turns.pop_front();
        }
        self.last.clone()
    }
}

impl From<Answer> for Answers {
    fn from(answer: Answer) -> Self {
        Self::always(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_given_by_turn() {
        use Answer::{NoData, NxDomain, ServFail};
        let mut answers = Answers::first(2, Answer::NxDomain)
            .then_times(1, Answer::ServFail)
            .then(Answer::NoData);
        let taken: Vec<_> = (0..5).map(|_| answers.take()).collect();
        assert_eq!(taken, [NxDomain, NxDomain, ServFail, NoData, NoData]);
    }
}
