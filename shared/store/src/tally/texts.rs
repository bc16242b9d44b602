//! Which refusal texts are told apart.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use postrider_model::{Provider, TenantId};

/// The texts of an hour. A remote that says something else each time, or a tenant that
/// meets many of them, must not fill the database: what is over the bound is counted without its words.
#[derive(Debug, Default)]
pub struct RefusalTexts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    hour: i64,
    texts: HashSet<(TenantId, Provider, String)>,
    tenants: HashMap<TenantId, u32>,
}

impl RefusalTexts {
    /// Texts of an hour in one process.
    pub const MOST: usize = 1_000;
    /// Texts of a tenant's hour in one process.
    pub const TENANT_MOST: u32 = 50;

    /// The text, or an empty one where there are too many others in this hour.
    pub(super) fn admit(
        &self,
        hour: i64,
        tenant: TenantId,
        provider: Provider,
        text: String,
    ) -> String {
        let mut known = self.0.lock();
        if known.hour != hour {
            *known = Known {
                hour,
                ..Known::default()
            };
        }
        let key = (tenant, provider, text);
        if known.texts.contains(&key) {
            return key.2;
        }
        let all = known.texts.len();
        let its_own = known.tenants.entry(tenant).or_default();
        if all >= Self::MOST || *its_own >= Self::TENANT_MOST {
            return String::new();
        }
        *its_own += 1;
        let text = key.2.clone();
        known.texts.insert(key);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_beyond_the_bound_are_counted_without_their_words() {
        let texts = RefusalTexts::default();
        let (ann, bob) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let say = |hour, tenant, words: &str| {
            texts.admit(hour, tenant, Provider::Orange, words.to_owned())
        };
        for number in 0..RefusalTexts::TENANT_MOST {
            assert_ne!(say(7, ann, &format!("no {number}")), "");
        }
        assert_eq!(say(7, ann, "one more"), "");
        assert_eq!(say(7, ann, "no 3"), "no 3");
        assert_eq!(say(7, bob, "one more"), "one more");
        assert_eq!(say(8, ann, "one more"), "one more");
    }

    #[test]
    fn no_number_of_tenants_gets_past_the_bound_of_all() {
        let texts = RefusalTexts::default();
        let admitted = (0..3_000_u32).filter(|number| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            let tenant = TenantId::from_bytes(id);
            !texts
                .admit(1, tenant, Provider::Other, "no".to_owned())
                .is_empty()
        });
        assert_eq!(admitted.count(), RefusalTexts::MOST);
    }
}
