//! How many recipients of a provider an address may send to on its first, second, … day. Pure.

use std::collections::BTreeMap;

use postrider_model::Provider;
use postrider_telemetry::Label;

/// The word for all providers that no class names.
const ALL_OTHERS: &str = "*";

/// Recipients per day of an address's life, by provider. Past its last day an address is warm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmupTable {
    named: BTreeMap<&'static str, Vec<u32>>,
    others: Vec<u32>,
}

/// Providers that share a row of the table: their words, as the metrics page has them, or `*` for
/// all that no class names; and the most recipients at each of them on day 1, 2, ….
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarmupClass {
    pub providers: Vec<String>,
    pub days: Vec<u32>,
}

/// Why a table is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WarmupTableError {
    #[error("the provider {0:?} is not known: give {known} or \"*\"", known = words())]
    UnknownProvider(String),
    #[error("the provider {0:?} stands in two classes: name it once")]
    Twice(String),
    #[error("the class of {0:?} has no days: give at least one number")]
    NoDays(String),
    #[error(
        "day {day} of {provider:?} has {count} after {before}: give numbers from 1 on that never fall"
    )]
    Falls {
        provider: String,
        day: usize,
        before: u32,
        count: u32,
    },
    #[error("no class has the provider \"*\": name the days of all others")]
    NoOthers,
}

impl WarmupTable {
    /// The table of these classes.
    pub fn new(classes: &[WarmupClass]) -> Result<Self, WarmupTableError> {
        let mut named = BTreeMap::new();
        let mut others = None;
        for class in classes {
            for provider in &class.providers {
                check(provider, &class.days)?;
                let twice = if provider == ALL_OTHERS {
                    others.replace(class.days.clone()).is_some()
                } else {
                    let word = known(provider)?;
                    named.insert(word, class.days.clone()).is_some()
                };
                if twice {
                    return Err(WarmupTableError::Twice(provider.clone()));
                }
            }
        }
        let others = others.ok_or(WarmupTableError::NoOthers)?;
        Ok(Self { named, others })
    }

    /// The most recipients at this provider on a day of the address's life, the first one being 0;
    /// `None` where it is warm.
    pub(crate) fn limit(&self, provider: Provider, age: i64) -> Option<u32> {
        let days = self.named.get(provider.as_str()).unwrap_or(&self.others);
        // A clock that went back makes nobody older.
        let age = usize::try_from(age.max(0)).unwrap_or(usize::MAX);
        days.get(age).copied()
    }
}

fn known(provider: &str) -> Result<&'static str, WarmupTableError> {
    let mut words = Provider::ALL.iter().map(|one| one.word());
    let unknown = || WarmupTableError::UnknownProvider(provider.to_owned());
    words
        .find(|word| *word == provider && *word != Provider::None.word())
        .ok_or_else(unknown)
}

fn words() -> String {
    let words = Provider::ALL.iter().filter(|one| **one != Provider::None);
    words.map(|one| one.word()).collect::<Vec<_>>().join(", ")
}

fn check(provider: &str, days: &[u32]) -> Result<(), WarmupTableError> {
    if days.is_empty() {
        return Err(WarmupTableError::NoDays(provider.to_owned()));
    }
    let mut before = 1;
    for (at, count) in days.iter().copied().enumerate() {
        if count < before {
            return Err(WarmupTableError::Falls {
                provider: provider.to_owned(),
                day: at + 1,
                before,
                count,
            });
        }
        before = count;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(providers: &[&str], days: &[u32]) -> WarmupClass {
        WarmupClass {
            providers: providers.iter().map(|&one| one.to_owned()).collect(),
            days: days.to_vec(),
        }
    }

    #[test]
    fn an_address_may_send_what_its_day_says_until_it_is_warm() {
        let classes = [
            class(&["google", "yahoo"], &[50, 100, 400]),
            class(&["other"], &[10]),
            class(&["*"], &[20, 20]),
        ];
        let table = WarmupTable::new(&classes).unwrap();
        for (provider, age, want) in [
            (Provider::Google, 0, Some(50)),
            (Provider::Google, 2, Some(400)),
            (Provider::Google, 3, None),
            (Provider::Google, i64::MAX, None),
            (Provider::Yahoo, 1, Some(100)),
            (Provider::Other, 0, Some(10)),
            (Provider::Other, 1, None),
            (Provider::Strato, 1, Some(20)),
            (Provider::Strato, 2, None),
            // The clock went back.
            (Provider::Google, -7, Some(50)),
        ] {
            assert_eq!(table.limit(provider, age), want, "{provider:?} on {age}");
        }
    }

    #[test]
    fn a_table_that_cannot_be_meant_is_refused_with_what_to_change() {
        let all = class(&["*"], &[1]);
        for (classes, want) in [
            (vec![], "\"*\""),
            (vec![class(&["google"], &[1])], "\"*\""),
            (
                vec![all.clone(), all.clone()],
                "\"*\" stands in two classes",
            ),
            (
                vec![all.clone(), class(&["gogle"], &[1])],
                "\"gogle\" is not known: give google, ",
            ),
            (vec![all.clone(), class(&["none"], &[1])], "\"none\" is not"),
            (
                vec![class(&["google"], &[1]), class(&["apple", "google"], &[1])],
                "\"google\" stands in two",
            ),
            (vec![class(&["apple"], &[])], "\"apple\" has no days"),
            (
                vec![class(&["apple"], &[5, 10, 9])],
                "day 3 of \"apple\" has 9 after 10",
            ),
            (
                vec![class(&["apple"], &[0, 10])],
                "day 1 of \"apple\" has 0",
            ),
        ] {
            let fault = WarmupTable::new(&classes).unwrap_err().to_string();
            assert!(fault.contains(want), "{want}: {fault}");
        }
    }
}
