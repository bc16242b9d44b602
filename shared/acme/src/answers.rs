//! What the authority is told when it asks whether a name is ours (RFC 8555 §8.3).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Where the authority looks, before the token.
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// The answers that stand now, by their tokens: whoever listens on port 80 reads them, an order
/// puts them there and takes them away. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<Mutex<HashMap<String, String>>>);

impl Answers {
    /// What to answer a request for this path, where it is one of an authority's that was told to
    /// come.
    pub fn to(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(CHALLENGES)?;
        self.0.lock().get(token).cloned()
    }

    /// Whether an authority would ask for this path, sooner or later.
    pub fn is_challenge(path: &str) -> bool {
        path.starts_with(CHALLENGES)
    }

    /// Answers with this to this token, for as long as what is returned is kept.
    pub(crate) fn offer(&self, token: &str, authorization: &str) -> Offered {
        let (token, answer) = (token.to_owned(), authorization.to_owned());
        self.0.lock().insert(token.clone(), answer);
        Offered {
            answers: self.clone(),
            token,
        }
    }
}

/// An answer that stands until this is dropped.
#[must_use]
pub(crate) struct Offered {
    answers: Answers,
    token: String,
}

impl Drop for Offered {
    fn drop(&mut self) {
        self.answers.0.lock().remove(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_stands_while_its_order_does() {
        let answers = Answers::default();
        let path = "/.well-known/acme-challenge/abc";
        let offered = answers.offer("abc", "abc.thumb");
        assert_eq!(answers.clone().to(path).as_deref(), Some("abc.thumb"));
        for other in ["/.well-known/acme-challenge/", "/abc", "abc", "/", ""] {
            assert_eq!(answers.to(other), None, "{other}");
        }
        drop(offered);
        assert_eq!(answers.to(path), None);
    }
}
