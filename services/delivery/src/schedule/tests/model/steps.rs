//! What may happen to a schedule.

use proptest::prelude::*;

use super::super::*;
use super::{CAUSES, RATES, recipient};

/// What is put in.
#[derive(Clone, Debug)]
pub(super) struct New {
    n: u64,
    due: u64,
    attempts: u32,
    cause: usize,
    lives: u64,
}

impl New {
    pub(super) fn row(&self, now: Timestamp) -> QueueRow {
        let due_at = now.after(Duration::from_millis(self.due * 777));
        let due_at = due_at.before(Duration::from_secs(20));
        QueueRow {
            due_at,
            expires_at: due_at.after(Duration::from_secs(self.lives)),
            attempts: self.attempts,
            cause: CAUSES[self.cause],
            ..recipient(self.n)
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Insert(New),
    Remove(u64),
    Next,
    End(usize, Health),
    Pass(u64),
    /// All tenants' limits are those of this number.
    Limits(usize),
    /// The clock is set back.
    Back(u64),
    Learn {
        domain: u64,
        site: u64,
        cap: usize,
    },
    Suspend(Scope),
    Resume(Scope),
    EndRests(Scope),
    LetGo(Scope),
    HandOver(u64),
    Scheduled,
    Answer(usize),
    Shut,
    Open,
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![
        (0_u64..4).prop_map(|n| Scope::Tenant(tenant(n))),
        (0_u64..5).prop_map(|n| Scope::Domain(domain(n))),
        (0_u64..20).prop_map(|n| Scope::Message(MessageId::new(START, random(n)))),
    ]
}

pub(super) fn steps(jumps: bool) -> impl Strategy<Value = Vec<Step>> {
    let insert = (
        0_u64..60,
        0_u64..100,
        0_u32..3,
        0_usize..CAUSES.len(),
        0_u64..200,
    );
    let insert = insert.prop_map(|(n, due, attempts, cause, lives)| {
        Step::Insert(New {
            n,
            due,
            attempts,
            cause,
            lives,
        })
    });
    let health = prop_oneof![
        3 => Just(Health::Unreachable),
        2 => Just(Health::Served),
        1 => Just(Health::Nothing),
    ];
    let step = prop_oneof![
        12 => insert,
        1 => (0_u64..60).prop_map(Step::Remove),
        16 => Just(Step::Next),
        8 => (0_usize..8, health).prop_map(|(which, health)| Step::End(which, health)),
        6 => (0_u64..40_000).prop_map(Step::Pass),
        1 => Just(Step::Pass(3_600_000)),
        2 => (0_usize..RATES.len()).prop_map(Step::Limits),
        4 => (0_u64..100_000).prop_map(move |millis| if jumps { Step::Back(millis) } else { Step::Pass(millis / 1_000) }),
        2 => (0_u64..5, 0_u64..3, 1_usize..4)
            .prop_map(|(domain, site, cap)| Step::Learn { domain, site, cap }),
        1 => scopes().prop_map(Step::Suspend),
        2 => scopes().prop_map(Step::Resume),
        1 => scopes().prop_map(Step::EndRests),
        1 => scopes().prop_map(Step::LetGo),
        1 => (0_u64..4).prop_map(Step::HandOver),
        2 => Just(Step::Scheduled),
        2 => (0_usize..8).prop_map(Step::Answer),
        1 => Just(Step::Shut),
        2 => Just(Step::Open),
    ];
    proptest::collection::vec(step, 0..400)
}
