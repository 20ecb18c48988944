//! The suite of every log, with 1 and with 3 partitions.

use eventlog::contract;

use super::bench::BrokerBench;

#[tokio::test(flavor = "multi_thread")]
async fn a_group_goes_on_where_it_committed() {
    for partitions in [1, 3] {
        contract::a_group_goes_on_where_it_committed(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_position_is_gone_is_out_of_range() {
    for partitions in [1, 3] {
        contract::a_group_whose_position_is_gone_is_out_of_range(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_one_partition() {
    for partitions in [1, 3] {
        contract::a_key_has_one_partition(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_goes_on_at_a_position_ahead() {
    for partitions in [1, 3] {
        contract::a_member_goes_on_at_a_position_ahead(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_reads_every_topic_that_it_named() {
    for partitions in [1, 3] {
        contract::a_member_reads_every_topic_that_it_named(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_outside_is_out_of_range() {
    for partitions in [1, 3] {
        contract::a_place_outside_is_out_of_range(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_keeps_to_its_limits() {
    for partitions in [1, 3] {
        contract::a_poll_keeps_to_its_limits(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_at_the_limit_fits_and_one_past_it_is_too_large() {
    for partitions in [1, 3] {
        contract::a_record_at_the_limit_fits_and_one_past_it_is_too_large(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_commit_changes_nothing() {
    for partitions in [1, 3] {
        contract::a_refused_commit_changes_nothing(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_member_fences_the_first() {
    for partitions in [1, 3] {
        contract::a_second_member_fences_the_first(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_leads_to_the_first_record_of_it() {
    for partitions in [1, 3] {
        contract::a_time_leads_to_the_first_record_of_it(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_over_topics_answers_in_its_own_order() {
    for partitions in [1, 3] {
        contract::an_append_over_topics_answers_in_its_own_order(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_wakes_who_waits() {
    for partitions in [1, 3] {
        contract::an_append_wakes_who_waits(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_partition_is_refused() {
    for partitions in [1, 3] {
        contract::an_unknown_partition_is_refused(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_are_read_back_in_order() {
    for partitions in [1, 3] {
        contract::appends_are_read_back_in_order(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_at_once_are_all_there() {
    for partitions in [1, 3] {
        contract::appends_at_once_are_all_there(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_say_what_is_there() {
    for partitions in [1, 3] {
        contract::bounds_say_what_is_there(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_and_appends_share_a_partition() {
    for partitions in [1, 3] {
        contract::commits_and_appends_share_a_partition(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_a_record_reads_back() {
    for partitions in [1, 3] {
        contract::every_shape_of_a_record_reads_back(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_apart() {
    for partitions in [1, 3] {
        contract::groups_are_apart(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_go_on_after_everything_is_truncated() {
    for partitions in [1, 3] {
        contract::offsets_go_on_after_everything_is_truncated(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_and_positions_are_committed_together() {
    for partitions in [1, 3] {
        contract::outputs_and_positions_are_committed_together(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_stays() {
    for partitions in [1, 3] {
        contract::the_id_stays(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_readers_each_get_everything() {
    for partitions in [1, 3] {
        contract::two_readers_each_get_everything(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_truncated_is_gone() {
    for partitions in [1, 3] {
        contract::what_is_truncated_is_gone(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives() {
    for partitions in [1, 3] {
        contract::what_was_acknowledged_survives(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_committed_comes_again() {
    for partitions in [1, 3] {
        contract::what_was_not_committed_comes_again(&BrokerBench::new(partitions).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_comes_to_the_end_behind_a_commit() {
    for partitions in [1, 3] {
        contract::a_reader_comes_to_the_end_behind_a_commit(&BrokerBench::new(partitions).await).await;
    }
}
