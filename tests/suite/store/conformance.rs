//! What every store has to do, whatever it is made of: one property a function, all of them listed
//! in one table, run against any store that can be opened in a place of its own. It must not know
//! which store that is, so that a second one is held to the same.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use purveyor::store::Store;
use tokio::time::timeout;

use crate::support::said;

mod accepting;
mod accounts;
mod claiming;
mod committing;
mod keeping;
mod leasing;
mod listing;
mod model;
mod observing;
mod pruning;
mod watching;

/// Where one store is kept. Opening it again after the store was dropped shows what was stored.
#[async_trait]
pub(super) trait Home: Send + Sync + 'static {
    /// Opens the store, which is empty the first time.
    async fn open(&self) -> Arc<dyn Store>;

    /// Waits until no transaction runs that began before this call. A store in a server may show a change
    /// only when every older transaction has ended, whoever's it is; so a property settles before it
    /// compares positions or changes with what it has committed.
    async fn settled(&self) {}
}

/// What does not hold by then never will. A store on a slow disk needs far less.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many properties run at a time. Each waits for its own flushes most of the time.
const AT_A_TIME: usize = 6;

type Property = fn(Arc<dyn Home>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! properties {
    ($($path:path,)*) => { &[$((stringify!($path), |home| Box::pin($path(home)))),*] };
}

const PROPERTIES: &[(&str, Property)] = properties![
    accepting::stores_what_is_new_and_shows_what_is_there,
    accepting::refuses_a_held_lock_and_stores_nothing,
    accepting::gives_one_lock_to_one_of_many,
    accepting::refuses_a_version_that_is_not_the_first,
    accounts::keeps_the_last_account_of_each_provider,
    accounts::brings_claims_of_the_old_name_under_the_key,
    accounts::brings_a_claim_that_was_closed_and_taken_again,
    accounts::brings_locks_of_open_operations_under_the_key,
    claiming::closed_claim_yields_to_an_answer_and_to_a_late_enough_search,
    claiming::open_claim_passes_on_with_its_loser,
    claiming::open_claim_stays_where_its_loser_has_changed,
    claiming::lock_that_another_holds_stands_against_a_loser,
    claiming::closes_claims_by_themselves,
    claiming::closes_only_what_is_held_as_named,
    committing::replaces_only_the_version_before,
    committing::lets_one_of_two_racers_win,
    committing::never_replaces_a_terminal_operation,
    committing::replaces_a_terminal_operation_in_its_own_state_only,
    committing::replaces_and_releases_locks,
    committing::keeps_claims_unique_and_repeatable,
    committing::shows_who_claimed_what_since_when,
    committing::does_all_or_nothing,
    committing::updates_the_last_two_attempts,
    committing::updates_an_attempt_that_others_follow,
    keeping::returns_every_field_exactly,
    keeping::returns_what_is_large,
    keeping::shows_everything_after_reopening,
    keeping::counts_on_after_reopening,
    keeping::keeps_services,
    keeping::replaces_only_the_record_that_was_read,
    leasing::takes_what_is_due_in_order,
    leasing::gives_nothing_twice_until_the_lease_ends,
    leasing::gives_back_only_ones_own,
    leasing::tells_the_next_time,
    leasing::counts_a_lease_into_the_next_time,
    leasing::leases_at_acceptance,
    leasing::renews_only_ones_own,
    leasing::takes_what_waits_by_its_queue,
    leasing::shows_what_is_due_of_each_account,
    leasing::takes_shares_in_their_order,
    leasing::shows_what_was_not_started_in_time,
    leasing::pages_through_what_was_not_started,
    leasing::splits_due_work_among_many,
    listing::pages_through_equal_times,
    listing::filters_by_every_field,
    listing::filters_by_state_and_time,
    listing::shows_orphans,
    listing::shows_no_orphan_that_somebody_works_on,
    listing::shows_what_is_blocked,
    listing::counts_open_operations_of_each_provider,
    observing::refused_change_keeps_its_observation,
    observing::change_that_overlooks_an_observation_is_stale,
    observing::observations_are_applied_one_after_the_other,
    observing::first_observation_stays,
    observing::records_are_put_with_the_operation_or_not_at_all,
    pruning::removes_only_what_ended_before,
    pruning::removes_the_oldest_within_its_bounds,
    pruning::removes_nothing_that_only_one_clock_calls_old,
    pruning::keeps_the_id_of_what_was_removed_for_good,
    pruning::keeps_claims,
    pruning::keeps_what_holds_a_lock_and_the_last_change,
    watching::numbers_changes_in_commit_order,
    watching::pages_through_changes,
    watching::misses_nothing_while_others_write,
    watching::wakes_when_something_changes,
    model::behaves_like_the_model,
];

/// Runs every property in a fresh home, and tells all that do not hold, and why.
pub(super) async fn suite<H: Home>(home: impl Fn() -> H) {
    let ends = stream::iter(PROPERTIES).map(|(name, property)| {
        let home: Arc<dyn Home> = Arc::new(home());
        async move {
            match timeout(PATIENCE, tokio::spawn(property(home))).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{name}: {}", said(error.into_panic()))),
                Err(_) => Some(format!("{name} does not end within {PATIENCE:?}")),
            }
        }
    });
    let mut failures: Vec<String> =
        ends.buffer_unordered(AT_A_TIME).filter_map(async |failure| failure).collect().await;
    failures.sort();
    assert!(failures.is_empty(), "the store does not conform:\n{}", failures.join("\n"));
}

/// Generates the same cases in every run.
fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}
