//! A tenant's limits: what the operator gave it itself, and how far its vendor may go.

use postrider_model::{Authority, Limits};
use serde::{Deserialize, Serialize};

/// Limits to give a tenant; what is not named stays as it is. 0 means no limit, and of `burst`
/// the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewLimits {
    pub requests_per_second: Option<u32>,
    pub per_minute: Option<u32>,
    pub burst: Option<u32>,
    pub bulk_per_minute: Option<u32>,
    pub connections: Option<u32>,
    pub per_day: Option<u32>,
    pub per_month: Option<u32>,
}

/// Where the limits of a tenant stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantLimits {
    pub now: Limits,
    /// What the operator set for this tenant itself: the most that its vendor may give it.
    pub operators: NewLimits,
    /// What its vendor may give any tenant of its own, where the operator said nothing of this one.
    pub vendors: Limits,
}

/// A limit that a vendor may not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// As the field is called.
    pub name: &'static str,
    pub wished: u32,
    pub most: u32,
    /// Whether the operator set it for this tenant itself.
    pub is_operators: bool,
}

impl NewLimits {
    /// All of them.
    pub fn all(limits: Limits) -> Self {
        Self {
            requests_per_second: Some(limits.requests_per_second),
            per_minute: Some(limits.per_minute),
            burst: Some(limits.burst),
            bulk_per_minute: Some(limits.bulk_per_minute),
            connections: Some(limits.connections),
            per_day: Some(limits.per_day),
            per_month: Some(limits.per_month),
        }
    }

    /// The limits that come of it.
    pub fn over(self, old: Limits) -> Limits {
        Limits {
            requests_per_second: self.requests_per_second.unwrap_or(old.requests_per_second),
            per_minute: self.per_minute.unwrap_or(old.per_minute),
            burst: self.burst.unwrap_or(old.burst),
            bulk_per_minute: self.bulk_per_minute.unwrap_or(old.bulk_per_minute),
            connections: self.connections.unwrap_or(old.connections),
            per_day: self.per_day.unwrap_or(old.per_day),
            per_month: self.per_month.unwrap_or(old.per_month),
        }
    }

    /// What this names, and of the rest what `old` does.
    fn and(self, old: Self) -> Self {
        Self {
            requests_per_second: self.requests_per_second.or(old.requests_per_second),
            per_minute: self.per_minute.or(old.per_minute),
            burst: self.burst.or(old.burst),
            bulk_per_minute: self.bulk_per_minute.or(old.bulk_per_minute),
            connections: self.connections.or(old.connections),
            per_day: self.per_day.or(old.per_day),
            per_month: self.per_month.or(old.per_month),
        }
    }
}

/// Reads one of the limits, as it is named and as it works.
type One = (
    &'static str,
    fn(NewLimits) -> Option<u32>,
    fn(Limits) -> u32,
);

const BURST: &str = "burst";

const EACH: [One; 7] = [
    (
        "requests_per_second",
        |new| new.requests_per_second,
        |limits| limits.requests_per_second,
    ),
    (
        "per_minute",
        |new| new.per_minute,
        |limits| limits.per_minute,
    ),
    (BURST, |new| new.burst, burst),
    (
        "bulk_per_minute",
        |new| new.bulk_per_minute,
        |limits| limits.bulk_per_minute,
    ),
    (
        "connections",
        |new| new.connections,
        |limits| limits.connections,
    ),
    ("per_day", |new| new.per_day, |limits| limits.per_day),
    ("per_month", |new| new.per_month, |limits| limits.per_month),
];

impl TenantLimits {
    /// What of a vendor's wish goes beyond what it may give. What is not named, or not raised, is not
    /// looked at: the operator may have taken from the vendor since.
    pub fn beyond(&self, wished: NewLimits) -> Vec<Beyond> {
        let (new, most) = (wished.over(self.now), self.operators.over(self.vendors));
        let goes_beyond = |&(name, named, of): &One| {
            let bound = bound(name, of, most);
            let beyond = Beyond {
                name,
                wished: of(new),
                most: bound,
                is_operators: named(self.operators).is_some(),
            };
            // Where a burst is not given it goes with the pace.
            let is_named =
                named(wished).is_some() || (name == BURST && wished.per_minute.is_some());
            let is_raised = is_named && is_more(of(new), of(self.now));
            (is_raised && is_more(of(new), bound)).then_some(beyond)
        };
        EACH.iter().filter_map(goes_beyond).collect()
    }

    /// How they stand after a wish. What the operator names its vendor raises no more; an error is
    /// why a vendor's wish is to be `Rejected`.
    pub fn with(self, wished: NewLimits, by: Authority) -> Result<Self, String> {
        let operators = match by {
            Authority::Operator => wished.and(self.operators),
            Authority::Vendor => match self.beyond(wished).first() {
                Some(beyond) => return Err(beyond.to_string()),
                None => self.operators,
            },
        };
        Ok(Self {
            now: wished.over(self.now),
            operators,
            ..self
        })
    }
}

impl std::fmt::Display for Beyond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name, wished, most, ..
        } = self;
        let wished = match wished {
            0 => "no limit".to_owned(),
            limit => limit.to_string(),
        };
        let whose = if self.is_operators {
            "what the service's operator set for this tenant"
        } else {
            "what the vendor may give"
        };
        write!(
            f,
            "{name} would be {wished}, and {most} is {whose}: ask the service's operator for more"
        )
    }
}

/// A burst that is given bounds that of any pace.
fn bound(name: &str, of: fn(Limits) -> u32, most: Limits) -> u32 {
    if name == BURST && most.burst > 0 {
        return most.burst;
    }
    of(most)
}

// As `Limits` has it: without a pace all may start at once, and 0 is ten seconds' worth.
fn burst(limits: Limits) -> u32 {
    match (limits.per_minute, limits.burst) {
        (0, _) => 0,
        (pace, 0) => (pace / 6).max(1),
        (_, burst) => burst,
    }
}

/// 0 is no limit, and so more than any.
fn is_more(one: u32, other: u32) -> bool {
    other > 0 && (one == 0 || one > other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_not_named_stays() {
        let old = Limits {
            per_minute: 600,
            per_day: 50,
            ..Limits::default()
        };
        let new = NewLimits {
            per_day: Some(0),
            connections: Some(3),
            ..NewLimits::default()
        };
        let want = Limits {
            per_minute: 600,
            connections: 3,
            ..Limits::default()
        };
        assert_eq!(new.over(old), want);
        assert_eq!(NewLimits::all(want).over(old), want);
    }

    #[test]
    fn no_limit_is_more_than_any_and_not_than_itself() {
        for (one, other, want) in [(0, 5, true), (6, 5, true), (5, 5, false), (4, 5, false)] {
            assert_eq!(is_more(one, other), want, "{one} {other}");
        }
        assert!(!is_more(0, 0) && !is_more(9, 0));
    }

    #[test]
    fn a_burst_is_compared_as_it_works() {
        for (per_minute, given, want) in [(0, 9, 0), (600, 0, 100), (1, 0, 1), (600, 7, 7)] {
            let limits = Limits {
                per_minute,
                burst: given,
                ..Limits::default()
            };
            assert_eq!(burst(limits), want, "{per_minute} {given}");
        }
    }

    #[test]
    fn a_burst_that_is_not_given_is_bounded_where_the_pace_is_raised() {
        let bound = NewLimits {
            burst: Some(50),
            ..NewLimits::default()
        };
        let pace = |per_minute| NewLimits {
            per_minute: Some(per_minute),
            ..NewLimits::default()
        };
        let stands = TenantLimits {
            now: pace(60).over(Limits::default()),
            operators: bound,
            ..TenantLimits::default()
        };
        assert_eq!(stands.beyond(pace(300)), []);
        let beyond = stands.beyond(pace(600));
        let beyond: Vec<_> = beyond.iter().map(|one| (one.name, one.wished)).collect();
        assert_eq!(beyond, [("burst", 100)]);
    }

    fn per_day(limit: u32) -> NewLimits {
        NewLimits {
            per_day: Some(limit),
            ..NewLimits::default()
        }
    }

    #[test]
    fn a_vendor_goes_as_far_as_the_operator_said_of_this_tenant_or_of_all() {
        use Authority::{Operator, Vendor};
        let mut stands = TenantLimits {
            now: per_day(50).over(Limits::default()),
            vendors: per_day(100).over(Limits::default()),
            ..TenantLimits::default()
        };
        for (by, wished, most) in [
            (Vendor, 100, None),
            (Vendor, 101, Some(100)),
            (Vendor, 0, Some(100)),
            (Vendor, 80, None),
            (Operator, 60, None),
            (Vendor, 61, Some(60)),
            (Vendor, 10, None),
            (Vendor, 60, None),
            (Operator, 500, None),
            (Vendor, 300, None),
            (Vendor, 500, None),
            (Vendor, 501, Some(500)),
            (Operator, 0, None),
            (Vendor, 7, None),
            (Vendor, 0, None),
        ] {
            match stands.with(per_day(wished), by) {
                Ok(now) => {
                    assert_eq!(most, None, "{by:?} {wished}");
                    stands = now;
                    assert_eq!(stands.now.per_day, wished);
                }
                Err(why) => {
                    let most = most.map(|most: u32| format!("{most} is what"));
                    assert!(most.is_some_and(|most| why.contains(&most)), "{why}");
                }
            }
        }
    }
}
