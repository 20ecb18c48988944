//! The body on CQL keeps every promise of the suite, on a real Cassandra, with partitions of lists as narrow as can be
//! beside it: what is right with a thousand rows a partition is right with three.

use std::sync::Arc;

use async_trait::async_trait;
use mailstore::contract::{Body, folding, lists, rebuilding, retention};
use mailstore::cql::CqlStore;
use mailstore::{RawSource, Upkeep};

use crate::server::{keyspace, settings};

/// Each store in its own keyspace. Its bytes are its own: it reads no log.
struct Keyspaces;

#[async_trait]
impl Body for Keyspaces {
    async fn empty(&self, _: Arc<dyn RawSource>) -> Arc<dyn Upkeep> {
        let mut settings = settings(&keyspace()).await;
        settings.bucket_rows = 3;
        CqlStore::open(&settings, "log").await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_interleaving_ends_in_the_same_dump() {
    folding::any_interleaving_ends_in_the_same_dump(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_move_with_the_facts_and_never_back() {
    folding::positions_move_with_the_facts_and_never_back(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_behind_the_positions_is_ignored() {
    folding::what_lies_behind_the_positions_is_ignored(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_shown_when_all_that_a_list_shows_is_there() {
    folding::an_entry_is_shown_when_all_that_a_list_shows_is_there(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_counts_in_whatever_order_it_comes() {
    folding::deletion_counts_in_whatever_order_it_comes(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_routing_replaces_the_earlier_whole() {
    folding::a_later_routing_replaces_the_earlier_whole(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_are_ordered_by_model_then_by_place() {
    folding::scores_are_ordered_by_model_then_by_place(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_belong_to_the_entry() {
    folding::flags_belong_to_the_entry(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_without_their_mail_show_nothing() {
    folding::facts_without_their_mail_show_nothing(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lose_nothing_among_equal_times() {
    lists::pages_lose_nothing_among_equal_times(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn until_is_inclusive() {
    lists::until_is_inclusive(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_behind_an_entry_heeds_until() {
    lists::a_page_behind_an_entry_heeds_until(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_continues_behind_an_entry_that_was_removed() {
    lists::a_page_continues_behind_an_entry_that_was_removed(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_the_lengths_of_lists() {
    lists::counts_are_the_lengths_of_lists(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn starred_entries_stand_in_their_accounts_list() {
    lists::starred_entries_stand_in_their_accounts_list(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_star_taken_back_leaves_the_list() {
    lists::a_star_taken_back_leaves_the_list(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inboxes_with_like_names_stay_apart() {
    lists::inboxes_with_like_names_stay_apart(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_never_longer_than_its_limit() {
    lists::a_list_is_never_longer_than_its_limit(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_read_by_message_until_its_last_entry_is_deleted() {
    lists::bytes_are_read_by_message_until_its_last_entry_is_deleted(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn age_removes_what_is_older_except_what_is_starred() {
    retention::age_removes_what_is_older_except_what_is_starred(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn size_removes_the_oldest_except_what_is_starred() {
    retention::size_removes_the_oldest_except_what_is_starred(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_outlive_the_log() {
    retention::bytes_outlive_the_log(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_is_not_routed_yet_keeps_its_bytes() {
    retention::mail_that_is_not_routed_yet_keeps_its_bytes(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_swept_does_not_come_back() {
    retention::what_was_swept_does_not_come_back(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_stays_keeps_the_message() {
    retention::an_entry_that_stays_keeps_the_message(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_between_folds_keep_the_counts() {
    retention::sweeps_between_folds_keep_the_counts(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_of_the_whole_log_ends_in_the_same_dump() {
    rebuilding::a_rebuild_of_the_whole_log_ends_in_the_same_dump(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_of_a_shortened_log_loses_nothing() {
    rebuilding::a_rebuild_of_a_shortened_log_loses_nothing(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_may_be_carried_over_at_any_time() {
    rebuilding::mail_may_be_carried_over_at_any_time(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_folds_go_on_during_a_rebuild() {
    rebuilding::reads_and_folds_go_on_during_a_rebuild(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_refused_while_the_new_tables_are_behind() {
    rebuilding::a_switch_is_refused_while_the_new_tables_are_behind(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_of_an_emptied_log_is_what_was_carried_over() {
    rebuilding::a_rebuild_of_an_emptied_log_is_what_was_carried_over(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_swept_during_a_rebuild() {
    rebuilding::nothing_is_swept_during_a_rebuild(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_removed_stays_removed_in_a_rebuild() {
    rebuilding::what_retention_removed_stays_removed_in_a_rebuild(&Keyspaces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_was_given_up_is_begun_anew() {
    rebuilding::a_rebuild_that_was_given_up_is_begun_anew(&Keyspaces).await;
}
