//! Brands, and what looks like them: Unicode's confusables (UTS #39 §4) and a little more.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::confusable_detection::skeleton;

/// Small capitals, which the confusables leave apart.
const SMALL_CAPITALS: &str = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ";
const THEIR_LETTERS: &str = "abcdefghijklmnoprstuvwyz";

/// What equal-looking texts share. Of letters and digits alone; nothing to be shown.
pub(crate) fn key(text: &str) -> String {
    // In the case it was written in first (a capital I is an l, a small i is none), then in
    // lowercase, whose letters have look-alikes of their own.
    let seen: String = skeleton(&text.nfkc().collect::<String>()).collect();
    let lower: String = seen
        .chars()
        .map(plain)
        .flat_map(char::to_lowercase)
        .collect();
    let mut key = String::with_capacity(lower.len());
    for c in skeleton(&lower).filter(|c| c.is_alphanumeric() && !is_combining_mark(*c)) {
        key.extend(plain(c).to_lowercase());
    }
    // What of the letter i is left: `VISA` and `Visa`, `V1SA` among them, have one key.
    key.replace('i', "l").replace("vv", "w")
}

fn plain(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let at = SMALL_CAPITALS.chars().position(|small| small == c);
    let letter = at.and_then(|at| THEIR_LETTERS.chars().nth(at));
    letter.unwrap_or(c)
}

/// The names that are protected.
pub(crate) struct Brands {
    /// A brand's key, and the brand as it is shown.
    keys: Vec<(String, String)>,
    longest: usize,
}

impl Brands {
    pub(crate) fn new(brands: &[String]) -> Self {
        let keys = brands.iter().map(|brand| (key(brand), brand.clone()));
        let keys: Vec<_> = keys.filter(|(key, _)| !key.is_empty()).collect();
        let longest = keys.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        Self { keys, longest }
    }

    /// All brands in a name. A brand stands there where one of its words, or several words after
    /// one another without what parts them, look like it: `Pay-Pal`, but not `Applegate`.
    pub(crate) fn found(&self, name: &str) -> Vec<&str> {
        let name: String = name.nfkc().collect();
        let parts = name.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c));
        let words: Vec<String> = parts.map(key).filter(|key| !key.is_empty()).collect();
        let mut found = Vec::new();
        for first in 0..words.len() {
            let mut joined = String::new();
            for word in words.iter().skip(first) {
                joined.push_str(word);
                if joined.len() > self.longest {
                    break;
                }
                let same = self.keys.iter().filter(|(key, _)| *key == joined);
                found.extend(same.map(|(_, brand)| brand.as_str()));
            }
        }
        found
    }
}
