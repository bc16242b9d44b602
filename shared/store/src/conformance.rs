//! One suite for every dialect: what the ports promise, as cases that a store runs on itself.
//!
//! `conformance_tests!(make)` in a dialect's `tests/` makes one `#[tokio::test]` of each case;
//! `make` is an async function that gives `Ports` on a fresh, empty store.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "these are tests: they fail by panicking"
)]

pub mod directory;
pub mod fixture;
pub mod idempotency;
pub mod intake;
pub mod isolation;
pub mod queue;
pub mod settle;
pub mod upkeep;

use std::any::Any;
use std::sync::Arc;

use crate::{Controls, Directory, Intake, Mail, Nodes, Queue, Upkeep};

/// All ports of one store.
pub struct Ports {
    pub intake: Arc<dyn Intake>,
    pub mail: Arc<dyn Mail>,
    pub queue: Arc<dyn Queue>,
    pub directory: Arc<dyn Directory>,
    pub upkeep: Arc<dyn Upkeep>,
    pub nodes: Arc<dyn Nodes>,
    pub controls: Arc<dyn Controls>,
    /// What has to live as long as the store: a folder, a server.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl Ports {
    /// All ports on one value.
    pub fn of<S>(store: S, keep: impl Any + Send + Sync) -> Self
    where
        S: Intake + Mail + Queue + Directory + Upkeep + Nodes + Controls + 'static,
    {
        let store = Arc::new(store);
        Self {
            intake: store.clone(),
            mail: store.clone(),
            queue: store.clone(),
            directory: store.clone(),
            upkeep: store.clone(),
            nodes: store.clone(),
            controls: store,
            keep: Box::new(keep),
        }
    }
}

/// One `#[tokio::test]` for each case of the suite.
#[macro_export]
macro_rules! conformance_tests {
    ($make:ident) => {
        $crate::conformance_tests! { $make;
            intake: a_message_comes_back_as_it_was_stored,
                a_scheduled_message_waits_as_scheduled,
                a_large_body_comes_back_whole,
                a_repeated_commit_stores_one_message,
                the_same_message_twice_at_once_is_stored_once,
                one_bad_message_does_not_fail_the_others_of_its_batch,
                a_message_that_contradicts_itself_is_refused,
                a_commit_whose_caller_went_away_is_whole_or_not_there,
                many_commits_at_once_are_all_stored;
            idempotency: fifty_equal_commits_with_one_key_store_one_message,
                another_request_under_the_same_key_learns_what_was_asked_first,
                a_repeated_commit_is_not_refused_by_its_own_claim,
                a_claim_past_its_time_may_be_used_again,
                a_key_counts_per_tenant_and_endpoint,
                the_key_of_a_refused_message_stays_free;
            isolation: a_tenant_sees_nothing_of_anothers_mail,
                a_tenant_sees_nothing_of_anothers_answers,
                a_tenant_cannot_take_anothers_message_id,
                a_tenant_cannot_change_anothers_directory;
            queue: every_live_recipient_is_loaded_a_page_at_a_time,
                a_rescheduled_recipient_is_loaded_again,
                what_is_in_other_shards_is_not_loaded,
                what_ended_is_never_loaded,
                committed_rows_are_handed_over_from_memory,
                opening_gives_the_bytes_and_the_live_recipients,
                opening_what_is_not_there_gives_nothing;
            settle: an_end_is_recorded_once,
                a_retry_shows_when_and_why,
                a_held_recipient_leaves_the_queue_and_is_not_attempted,
                a_note_adds_its_events_and_changes_nothing_else,
                a_recipient_that_is_gone_is_reported,
                events_are_numbered_for_each_recipient_and_keep_every_fact,
                the_last_event_is_the_newest_that_has_a_word,
                a_settlement_that_contradicts_itself_is_refused,
                many_settlements_at_once_are_all_recorded;
            directory: a_tenant_comes_back_as_it_was_added,
                the_generation_rises_on_every_verb,
                a_slug_and_a_from_address_are_taken_for_good,
                the_default_reply_address_cannot_be_removed,
                reply_addresses_are_told_apart_without_case,
                a_verb_about_nothing_is_told_so,
                signing_keys_are_added_all_or_none;
            upkeep: a_store_that_works_says_so,
                a_body_is_dropped_after_its_life_and_not_before,
                a_message_is_dropped_after_its_life_and_not_before,
                a_message_with_a_live_recipient_is_never_dropped,
                claims_past_their_time_are_dropped,
                an_erased_tenant_leaves_its_names_and_nothing_else,
                a_checkpoint_changes_nothing_that_is_seen;
        }
    };
    ($make:ident; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            $(#[tokio::test]
            async fn $case() {
                $crate::conformance::$module::$case(&super::$make().await).await;
            })+
        })+
    };
}
