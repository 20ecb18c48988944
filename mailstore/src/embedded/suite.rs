//! The embedded body keeps every promise of the suite, whether its bytes lie on the log or were copied in.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tempfile::TempDir;

use super::EmbeddedStore;
use crate::contract::{Body, folding, lists, rebuilding, retention};
use crate::{RawBytes, RawSource, Upkeep};

/// Each store in its own folder, which goes with the body.
#[derive(Default)]
struct Folders {
    copies_in: bool,
    kept: Mutex<Vec<TempDir>>,
}

async fn in_both_forms(promise: impl AsyncFn(&dyn Body)) {
    for copies_in in [false, true] {
        // Shown when the promise is broken.
        println!("copies in: {copies_in}");
        promise(&Folders { copies_in, ..Folders::default() }).await;
    }
}

#[async_trait]
impl Body for Folders {
    async fn empty(&self, raw: Arc<dyn RawSource>) -> Arc<dyn Upkeep> {
        let folder = tempfile::tempdir().unwrap();
        let db = fjall::Database::builder(folder.path()).open().unwrap();
        self.kept.lock().unwrap().push(folder);
        let raw = if self.copies_in { RawBytes::CopiedIn } else { RawBytes::OnLog(raw) };
        EmbeddedStore::open(db, "log", raw).unwrap()
    }
}

#[tokio::test]
async fn any_interleaving_ends_in_the_same_dump() {
    in_both_forms(folding::any_interleaving_ends_in_the_same_dump).await;
}

#[tokio::test]
async fn positions_move_with_the_facts_and_never_back() {
    in_both_forms(folding::positions_move_with_the_facts_and_never_back).await;
}

#[tokio::test]
async fn what_lies_behind_the_positions_is_ignored() {
    in_both_forms(folding::what_lies_behind_the_positions_is_ignored).await;
}

#[tokio::test]
async fn an_entry_is_shown_when_all_that_a_list_shows_is_there() {
    in_both_forms(folding::an_entry_is_shown_when_all_that_a_list_shows_is_there).await;
}

#[tokio::test]
async fn deletion_counts_in_whatever_order_it_comes() {
    in_both_forms(folding::deletion_counts_in_whatever_order_it_comes).await;
}

#[tokio::test]
async fn a_later_routing_replaces_the_earlier_whole() {
    in_both_forms(folding::a_later_routing_replaces_the_earlier_whole).await;
}

#[tokio::test]
async fn scores_are_ordered_by_model_then_by_place() {
    in_both_forms(folding::scores_are_ordered_by_model_then_by_place).await;
}

#[tokio::test]
async fn an_entry_starts_in_its_own_folder() {
    folding::an_entry_starts_in_its_own_folder(&Folders::default()).await;
}

#[tokio::test]
async fn flags_belong_to_the_entry() {
    in_both_forms(folding::flags_belong_to_the_entry).await;
}

#[tokio::test]
async fn facts_without_their_mail_show_nothing() {
    in_both_forms(folding::facts_without_their_mail_show_nothing).await;
}

#[tokio::test]
async fn pages_lose_nothing_among_equal_times() {
    in_both_forms(lists::pages_lose_nothing_among_equal_times).await;
}

#[tokio::test]
async fn until_is_inclusive() {
    in_both_forms(lists::until_is_inclusive).await;
}

#[tokio::test]
async fn a_page_behind_an_entry_heeds_until() {
    in_both_forms(lists::a_page_behind_an_entry_heeds_until).await;
}

#[tokio::test]
async fn a_page_continues_behind_an_entry_that_was_removed() {
    in_both_forms(lists::a_page_continues_behind_an_entry_that_was_removed).await;
}

#[tokio::test]
async fn counts_are_the_lengths_of_lists() {
    in_both_forms(lists::counts_are_the_lengths_of_lists).await;
}

#[tokio::test]
async fn starred_entries_stand_in_their_accounts_list() {
    in_both_forms(lists::starred_entries_stand_in_their_accounts_list).await;
}

#[tokio::test]
async fn a_star_taken_back_leaves_the_list() {
    in_both_forms(lists::a_star_taken_back_leaves_the_list).await;
}

#[tokio::test]
async fn inboxes_with_like_names_stay_apart() {
    in_both_forms(lists::inboxes_with_like_names_stay_apart).await;
}

#[tokio::test]
async fn a_list_is_never_longer_than_its_limit() {
    in_both_forms(lists::a_list_is_never_longer_than_its_limit).await;
}

#[tokio::test]
async fn bytes_are_read_by_message_until_its_last_entry_is_deleted() {
    in_both_forms(lists::bytes_are_read_by_message_until_its_last_entry_is_deleted).await;
}

#[tokio::test]
async fn age_removes_what_is_older_except_what_is_starred() {
    in_both_forms(retention::age_removes_what_is_older_except_what_is_starred).await;
}

#[tokio::test]
async fn size_removes_the_oldest_except_what_is_starred() {
    in_both_forms(retention::size_removes_the_oldest_except_what_is_starred).await;
}

#[tokio::test]
async fn bytes_outlive_the_log() {
    in_both_forms(retention::bytes_outlive_the_log).await;
}

#[tokio::test]
async fn mail_that_is_not_routed_yet_keeps_its_bytes() {
    in_both_forms(retention::mail_that_is_not_routed_yet_keeps_its_bytes).await;
}

#[tokio::test]
async fn what_was_swept_does_not_come_back() {
    in_both_forms(retention::what_was_swept_does_not_come_back).await;
}

#[tokio::test]
async fn an_entry_that_stays_keeps_the_message() {
    in_both_forms(retention::an_entry_that_stays_keeps_the_message).await;
}

#[tokio::test]
async fn sweeps_between_folds_keep_the_counts() {
    in_both_forms(retention::sweeps_between_folds_keep_the_counts).await;
}

#[tokio::test]
async fn a_rebuild_of_the_whole_log_ends_in_the_same_dump() {
    in_both_forms(rebuilding::a_rebuild_of_the_whole_log_ends_in_the_same_dump).await;
}

#[tokio::test]
async fn a_rebuild_of_a_shortened_log_loses_nothing() {
    in_both_forms(rebuilding::a_rebuild_of_a_shortened_log_loses_nothing).await;
}

#[tokio::test]
async fn mail_may_be_carried_over_at_any_time() {
    in_both_forms(rebuilding::mail_may_be_carried_over_at_any_time).await;
}

#[tokio::test]
async fn reads_and_folds_go_on_during_a_rebuild() {
    in_both_forms(rebuilding::reads_and_folds_go_on_during_a_rebuild).await;
}

#[tokio::test]
async fn a_switch_is_refused_while_the_new_tables_are_behind() {
    in_both_forms(rebuilding::a_switch_is_refused_while_the_new_tables_are_behind).await;
}

#[tokio::test]
async fn a_rebuild_of_an_emptied_log_is_what_was_carried_over() {
    in_both_forms(rebuilding::a_rebuild_of_an_emptied_log_is_what_was_carried_over).await;
}

#[tokio::test]
async fn nothing_is_swept_during_a_rebuild() {
    in_both_forms(rebuilding::nothing_is_swept_during_a_rebuild).await;
}

#[tokio::test]
async fn what_retention_removed_stays_removed_in_a_rebuild() {
    in_both_forms(rebuilding::what_retention_removed_stays_removed_in_a_rebuild).await;
}

#[tokio::test]
async fn a_rebuild_that_was_given_up_is_begun_anew() {
    in_both_forms(rebuilding::a_rebuild_that_was_given_up_is_begun_anew).await;
}
