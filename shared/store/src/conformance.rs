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

pub mod ageing;
pub mod audit;
pub mod controls;
pub mod directory;
pub mod enrolments;
pub mod failures;
pub mod fixture;
pub mod groups;
pub mod idempotency;
pub mod intake;
pub mod isolation;
pub mod keys;
pub mod lanes;
pub mod letters;
pub mod listing;
pub mod nodes;
pub mod queue;
pub mod queued;
pub mod quota;
pub mod ramps;
pub mod replies;
pub mod reports;
pub mod rescheduling;
pub mod reseal;
pub mod roster;
pub mod scheduled;
pub mod sessions;
pub mod settle;
pub mod suppressions;
pub mod trace;
pub mod upkeep;
pub mod vendors;
pub mod verbs;
pub mod vouching;
pub mod waits;
pub mod warmups;
pub mod withheld;

use std::any::Any;
use std::sync::Arc;

use crate::{
    Audit, Controls, Directory, Enrolments, Failures, Intake, Mail, Nodes, Queue, Reports,
    Sessions, Suppressions, Trace, Upkeep, Vendors, Warmups,
};

/// All ports of one store.
pub struct Ports {
    pub intake: Arc<dyn Intake>,
    pub mail: Arc<dyn Mail>,
    pub queue: Arc<dyn Queue>,
    pub directory: Arc<dyn Directory>,
    pub upkeep: Arc<dyn Upkeep>,
    pub nodes: Arc<dyn Nodes>,
    pub controls: Arc<dyn Controls>,
    pub suppressions: Arc<dyn Suppressions>,
    pub sessions: Arc<dyn Sessions>,
    pub vendors: Arc<dyn Vendors>,
    pub audit: Arc<dyn Audit>,
    pub warmups: Arc<dyn Warmups>,
    pub failures: Arc<dyn Failures>,
    pub reports: Arc<dyn Reports>,
    pub trace: Arc<dyn Trace>,
    pub enrolments: Arc<dyn Enrolments>,
    /// What has to live as long as the store: a folder, a server.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl Ports {
    /// All ports on one value.
    pub fn of<S>(store: S, keep: impl Any + Send + Sync) -> Self
    where
        S: Intake + Mail + Queue + Directory + Upkeep + Nodes + Controls,
        S: Suppressions + Sessions + Vendors + Audit + Warmups + Failures + Reports + Trace,
        S: Enrolments + 'static,
    {
        let store = Arc::new(store);
        Self {
            intake: store.clone(),
            mail: store.clone(),
            queue: store.clone(),
            directory: store.clone(),
            upkeep: store.clone(),
            nodes: store.clone(),
            controls: store.clone(),
            suppressions: store.clone(),
            sessions: store.clone(),
            vendors: store.clone(),
            audit: store.clone(),
            warmups: store.clone(),
            failures: store.clone(),
            reports: store.clone(),
            trace: store.clone(),
            enrolments: store,
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
                the_very_same_again_within_minutes_learns_of_the_first,
                of_a_group_its_first_is_what_came_lately,
                a_key_counts_per_tenant_and_endpoint,
                the_key_of_a_refused_message_stays_free;
            isolation: a_tenant_sees_nothing_of_anothers_mail,
                a_tenant_sees_nothing_of_anothers_answers,
                a_tenant_cannot_take_anothers_message_id,
                a_tenant_cannot_change_anothers_directory,
                a_tenant_cannot_take_anothers_mail_back,
                a_tenant_sees_nothing_of_anothers_usage,
                a_tenant_cannot_seal_anothers_mail,
                a_tenant_sees_nothing_of_anothers_lists,
                a_tenant_cannot_give_anothers_mail_another_time;
            quota: a_quota_is_exact_under_fifty_commits_at_once,
                a_message_that_does_not_fit_leaves_room_for_a_smaller_one,
                quotas_begin_anew_with_the_day_and_the_month,
                a_batch_that_meets_midnight_counts_for_both_days,
                the_key_of_a_message_over_quota_stays_free,
                a_repeated_commit_is_counted_once;
            reseal: a_message_sealed_again_has_its_new_bytes_everywhere,
                of_many_who_seal_a_message_again_one_does,
                what_has_no_bytes_any_more_is_not_sealed_again,
                a_large_body_is_opened_apart;
            scheduled: what_is_due_is_started_and_stays_so,
                what_was_taken_back_never_leaves,
                only_what_is_scheduled_can_be_taken_back,
                of_start_and_cancel_exactly_one_wins,
                a_batch_of_starts_and_many_cancels_agree,
                a_scheduled_message_is_committed_once_with_its_time;
            rescheduling: a_message_that_was_moved_leaves_at_its_new_time,
                a_message_may_be_moved_to_an_earlier_time_and_again,
                only_what_is_scheduled_can_be_moved,
                a_message_that_another_sealed_is_not_moved,
                of_start_and_another_time_exactly_one_wins,
                of_cancel_and_another_time_the_later_sees_the_earlier,
                of_many_wishes_at_once_one_comes_true,
                owners_hear_of_another_time,
                what_a_moved_message_waited_for_adds_up_to_its_age,
                what_is_held_before_its_time_waits_for_the_new_one;
            enrolments: of_a_tenants_tokens_the_newest_holds,
                a_token_holds_for_one_tenant,
                a_tenant_comes_with_the_token_that_brings_it,
                only_a_newer_token_changes_a_tenant,
                a_token_whose_change_is_refused_is_not_used,
                an_enrolled_tenant_is_erased_like_any_other,
                an_operator_finds_whose_mail_it_is;
            groups: a_group_is_stored_whole,
                one_bad_message_leaves_nothing_of_its_group,
                a_group_that_contradicts_itself_is_refused,
                a_repeated_group_is_stored_once,
                of_many_groups_under_one_key_one_is_stored,
                a_group_over_quota_is_refused_whole,
                a_quota_is_exact_under_many_groups_at_once,
                groups_and_single_messages_do_not_meet;
            listing: a_list_is_newest_first_a_page_at_a_time,
                a_list_tells_of_each_message_what_a_look_at_it_does,
                a_list_holds_what_was_asked_for_and_nothing_else,
                a_page_stays_where_it_is_when_more_comes_in,
                a_page_may_begin_at_a_message_that_its_filter_leaves_out,
                a_page_that_begins_at_nothing_is_none,
                what_was_dropped_or_erased_is_listed_no_more;
            lanes: shards_are_read_lane_by_lane,
                a_lane_is_read_on_from_where_a_page_ended,
                what_is_due_later_is_read_when_its_time_comes_near,
                many_that_are_due_at_one_moment_are_read_page_by_page;
            nodes: a_node_that_joins_is_seen_with_what_it_says,
                shards_are_shared_out,
                nobody_owns_a_shard_twice,
                a_shard_that_is_given_back_takes_its_levels_along_once,
                a_lease_that_is_lost_cannot_be_given_back,
                a_node_that_leaves_frees_its_shards_and_is_forgotten,
                a_node_started_again_frees_what_its_last_run_owned,
                another_node_of_the_same_name_is_refused_while_the_first_lives,
                the_shards_of_a_silent_node_are_taken_over;
            controls: a_verb_stands_until_it_is_closed,
                there_is_one_suspension_of_a_scope,
                a_suspension_changes_no_recipient,
                a_verb_waits_for_every_owner_that_lives,
                a_verb_about_many_is_done_in_batches,
                held_messages_are_listed_a_page_at_a_time,
                owners_hear_of_a_verb_at_once,
                owners_hear_of_what_is_released;
            queued: what_waits_is_counted_by_tenant_and_cause,
                what_waits_is_counted_within_a_scope,
                what_may_be_stopped_alone_is_counted_apart,
                a_long_queue_is_looked_at_no_further_than_asked,
                what_is_sought_in_a_long_queue_ends_with_it_and_says_so;
            verbs: hold_stops_what_waits_in_its_scope,
                hold_tells_what_happened_and_who_did_it,
                what_is_too_late_is_passed_over,
                release_sends_on_what_is_held_in_its_scope,
                what_was_held_before_its_time_waits_for_it_again,
                cancel_discards_what_waits_is_scheduled_or_held,
                retry_now_makes_due_what_waits_for_another_attempt,
                a_verb_about_a_vendor_is_about_all_its_tenants;
            waits: waits_of_all_settlements_add_up_to_the_age,
                what_comes_too_late_is_not_waited_for,
                a_recipient_that_was_held_waited_for_that;
            queue: every_live_recipient_is_loaded_a_page_at_a_time,
                a_rescheduled_recipient_is_loaded_again,
                what_is_in_other_shards_is_not_loaded,
                what_ended_is_never_loaded,
                committed_rows_are_handed_over_from_memory,
                opening_gives_the_bytes_and_the_live_recipients,
                opening_tells_what_a_recipient_has_waited_for,
                opening_what_is_not_there_gives_nothing;
            settle: an_end_is_recorded_once,
                a_settlement_that_is_repeated_is_recorded_once,
                two_results_of_one_moment_are_told_apart,
                a_retry_shows_when_and_why,
                a_held_recipient_leaves_the_queue_and_is_not_attempted,
                a_note_adds_its_events_and_changes_nothing_else,
                a_recipient_that_is_gone_is_reported,
                events_are_numbered_for_each_recipient_and_keep_every_fact,
                the_last_event_is_the_newest_that_has_a_word,
                a_settlement_that_contradicts_itself_is_refused,
                many_settlements_at_once_are_all_recorded,
                a_retry_under_a_lost_lease_adds_its_events_and_nothing_else,
                an_end_is_recorded_whoever_owns_the_shard,
                leases_are_told_apart_within_one_batch;
            directory: a_tenant_comes_back_as_it_was_added,
                the_generation_rises_on_every_verb,
                a_slug_and_a_from_address_are_taken_for_good,
                the_default_reply_address_cannot_be_removed,
                reply_addresses_are_told_apart_without_case,
                a_verb_about_nothing_is_told_so,
                signing_keys_are_added_all_or_none,
                a_tenant_gets_the_limits_it_is_given,
                a_roster_shows_what_was_there_when_its_refresh_began;
            roster: what_became_of_a_tenant_is_read_of_it_alone,
                what_became_of_a_reply_address_is_read_of_its_tenant_alone,
                what_became_of_a_key_is_read_of_its_tenant_alone,
                a_user_name_is_whose_slug_it_is_before_whose_key_has_it,
                who_stopped_a_tenant_is_told_with_an_address,
                what_is_no_tenants_and_what_is_too_many_tenants_is_read_whole;
            vendors: the_operator_is_a_vendor_from_the_start,
                a_vendor_comes_back_as_it_was_added_and_changed,
                nothing_of_a_vendor_is_there_twice_or_without_it,
                a_roster_knows_whose_vendor_is_suspended,
                a_licence_is_one_tenants_of_its_vendor,
                tenants_are_read_a_page_at_a_time,
                a_vendors_volume_is_counted_over_all_its_tenants,
                a_vendors_volume_is_exact_under_fifty_commits_at_once,
                a_vendor_raises_no_limit_over_what_the_operator_set_of_the_tenant;
            vouching: another_default_reply_address_waits_for_its_confirmation,
                a_default_that_took_no_letter_gives_way_at_once,
                an_address_that_is_attested_is_confirmed_and_says_by_whom,
                an_import_adds_and_changes_many_at_once;
            audit: the_audit_is_read_newest_first,
                the_audit_is_kept_for_its_life;
            keys: a_key_comes_back_as_it_was_added,
                a_suspended_key_is_resumed_and_a_revoked_one_stays,
                what_the_operator_stopped_no_vendor_lets_go_on,
                a_key_is_changed_and_keeps_its_secret,
                a_message_knows_the_key_it_came_with,
                the_quota_of_a_key_is_exact_and_its_own,
                a_group_over_the_quota_of_its_key_is_refused_whole;
            ramps: a_tenant_gets_another_language_and_way_with_its_domain,
                a_day_of_a_ramp_is_decided_once,
                there_is_one_house,
                mail_to_the_simulator_is_no_part_of_a_ramp,
                a_tenants_own_limits_bound_mail_to_the_simulator_too,
                who_was_written_to_before_is_no_stranger,
                strangers_are_counted_exactly_under_many_commits_at_once,
                a_group_of_too_many_strangers_is_refused_whole,
                a_newcomer_has_so_many_messages_for_good;
            letters: so_many_letters_a_day_go_to_one_mailbox,
                who_does_not_answer_is_left_in_peace_after_some_letters,
                a_letter_that_did_not_come_to_be_leaves_those_before_it_counted,
                a_letter_that_did_not_come_to_be_may_be_tried_again,
                a_letter_taken_back_is_none_of_the_tenants_own;
            replies: an_address_in_a_tenants_mail_is_asked_once,
                a_mailbox_is_asked_once_over_all_tenants,
                a_key_brings_in_five_addresses_a_day,
                a_colleague_at_its_own_domain_is_told_once,
                who_says_not_ours_is_left_in_peace_and_counts,
                an_owner_who_said_no_has_said_so_for_good,
                an_address_remembers_when_it_was_confirmed,
                a_mailbox_that_breaks_is_broken_for_all_but_whom_it_refused;
            suppressions: mail_of_its_stream_does_not_go_there,
                many_who_ask_at_once_are_each_answered_their_own,
                a_suppression_ends_by_itself,
                of_two_the_one_that_lasts_longer_stands,
                a_suppression_is_lifted_at_once,
                suppressions_are_listed_newest_first_a_page_at_a_time,
                a_complaint_counts_against_its_tenant_once,
                suppressions_that_contradict_themselves_are_refused,
                a_mailbox_that_is_not_there_is_written_to_no_more,
                hard_bounces_of_one_batch_are_all_counted;
            sessions: a_session_comes_back_as_it_was_kept,
                a_tenant_sees_the_sessions_in_which_its_key_was_shown,
                a_session_is_kept_anew_as_it_goes_on,
                another_session_of_the_same_code_is_left_out_and_told;
            reports: a_report_tells_what_was_sent,
                what_the_simulator_says_is_in_no_report,
                times_to_delivery_are_told_within_their_class,
                equal_refusals_are_counted_together,
                a_settlement_that_is_told_twice_counts_once,
                a_report_of_a_vendor_has_nothing_of_others,
                vendors_have_the_sums_of_their_tenants,
                what_is_over_the_end_of_an_hour_counts_for_its_own,
                a_group_counts_as_single_messages_do,
                many_at_once_are_all_counted;
            ageing: hours_become_days_and_days_end,
                refusals_go_with_the_messages_of_their_time,
                an_erased_tenant_leaves_no_counts_under_its_name;
            trace: mail_to_an_address_is_found_over_all_tenants_newest_first,
                a_trace_tells_where_a_recipient_stands,
                suppressions_of_an_address_are_found_over_all_tenants,
                a_vendor_is_told_of_its_own_tenants_alone;
            warmups: an_address_has_one_birthday,
                an_allowance_is_taken_to_its_end_and_no_further,
                what_is_given_back_may_be_taken_again,
                many_who_take_at_once_get_no_more_than_there_is;
            failures: what_is_entered_during_a_turn_is_told_in_the_next_however_old_it_is,
                a_tenant_is_told_of_what_failed_once_it_is_old_enough,
                a_failure_that_nobody_is_told_of_is_forgotten_after_days,
                of_many_who_would_tell_one_does_and_not_too_often,
                what_is_not_to_be_told_is_not_there,
                a_tenants_failures_go_with_it;
            withheld: a_suppressed_recipient_is_accepted_and_never_attempted,
                a_message_to_nobody_but_suppressed_ends_as_it_begins,
                a_scheduled_message_starts_for_those_who_are_not_suppressed,
                a_message_held_from_the_start_goes_out_when_it_is_released,
                what_is_noted_of_a_message_is_told_with_each_recipient;
            upkeep: a_store_that_works_says_so,
                all_that_waits_is_counted_by_its_cause,
                a_body_is_dropped_after_its_life_and_not_before,
                a_message_is_dropped_after_its_life_and_not_before,
                a_message_with_a_live_recipient_is_never_dropped,
                claims_past_their_time_are_dropped,
                an_erased_tenant_leaves_its_names_and_nothing_else,
                what_was_noted_is_dropped_when_it_counts_no_more,
                an_erased_tenant_leaves_none_of_its_lists,
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
