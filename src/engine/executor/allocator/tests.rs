//! The allocator against plain rules, in any order of calls, and in simulated minutes of a thousand accounts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::prop_oneof;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Allocator, Grant, LastRequest};

/// How many accounts the properties have.
const ACCOUNTS: usize = 7;

fn runner() -> TestRunner {
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn name(account: usize) -> String {
    format!("account {account}")
}

/// Gives all that can be given, and tells who got it.
fn give_all(allocator: &mut Allocator) -> Vec<String> {
    let mut given = Vec::new();
    while let Some(grant) = allocator.next() {
        allocator.give(&grant);
        let (Grant::Begin(account) | Grant::Resume(account)) = grant;
        given.push(account);
    }
    given
}

/// An allocator whose accounts were all answered, and have work.
fn answered(places: usize, caps: &[usize]) -> Allocator {
    let mut allocator = Allocator::new(places);
    let names: Vec<String> = (0..caps.len()).map(name).collect();
    allocator.set_work(names.iter().map(String::as_str).zip(caps.iter().copied()));
    names.iter().for_each(|account| allocator.request_ended(account, true));
    allocator
}

fn held(allocator: &Allocator, account: usize) -> usize {
    allocator.accounts.get(&name(account)).map_or(0, |it| it.held)
}

/// What a scheduler does with the allocator, of the account of this number.
#[derive(Clone, Debug)]
enum Call {
    Work(Vec<bool>),
    Begin(usize),
    Pause(usize),
    AskAgain(usize),
    Withdraw(usize),
    End(usize, bool),
    Answered(usize, bool),
    GiveAll,
}

fn call() -> impl Strategy<Value = Call> {
    let account = || 0..ACCOUNTS;
    prop_oneof![
        2 => vec(any::<bool>(), ACCOUNTS).prop_map(Call::Work),
        2 => account().prop_map(Call::Begin),
        2 => account().prop_map(Call::Pause),
        2 => account().prop_map(Call::AskAgain),
        1 => account().prop_map(Call::Withdraw),
        3 => (account(), any::<bool>()).prop_map(|(account, paused)| Call::End(account, paused)),
        3 => (account(), any::<bool>()).prop_map(|(account, it)| Call::Answered(account, it)),
        4 => proptest::strategy::Just(Call::GiveAll),
    ]
}

/// Makes a call that the state allows, and leaves out what no scheduler does.
fn make(allocator: &mut Allocator, caps: &[usize], call: &Call) {
    let state = |allocator: &Allocator, account: usize| {
        let known = allocator.accounts.get(&name(account));
        known.map_or((0, 0, 0), |it| (it.held, it.paused, it.returning))
    };
    match call {
        Call::Work(has) => {
            let names: Vec<_> =
                (0..ACCOUNTS).filter(|it| has[*it]).map(|it| (name(it), caps[it])).collect();
            allocator.set_work(names.iter().map(|(name, cap)| (name.as_str(), *cap)));
        }
        Call::Begin(account) => {
            let before = allocator.next();
            let began = allocator.begin(&name(*account), caps[*account]);
            let (Some(Grant::Begin(next) | Grant::Resume(next)), true) = (before, began) else {
                return;
            };
            let (others, own) = (allocator.accounts[&next].held, held(allocator, *account));
            assert!(others >= own, "{next} waits and holds fewer");
        }
        Call::Pause(account) if state(allocator, *account).0 > 0 => {
            allocator.pause(&name(*account))
        }
        Call::AskAgain(account) if state(allocator, *account).1 > 0 => {
            allocator.ask_again(&name(*account));
        }
        Call::Withdraw(account) if state(allocator, *account).2 > 0 => {
            allocator.withdraw(&name(*account));
        }
        Call::End(account, true) if state(allocator, *account).1 > 0 => {
            allocator.end(&name(*account), true);
        }
        Call::End(account, false) if state(allocator, *account).0 > 0 => {
            allocator.end(&name(*account), false);
        }
        Call::Answered(account, answered) => allocator.request_ended(&name(*account), *answered),
        Call::GiveAll => give_all_checked(allocator),
        _ => {}
    }
}

/// Gives all that can be given, each to one of those that hold the fewest, and never beyond a limit.
fn give_all_checked(allocator: &mut Allocator) {
    while let Some(grant) = allocator.next() {
        let (Grant::Begin(name) | Grant::Resume(name)) = &grant;
        let before = allocator.held();
        let own = &allocator.accounts[name];
        let (last, had, at_work, since) = (own.last, own.held, own.at_work(), own.since);
        for other in allocator.accounts.values().filter(|it| allocator.may_have(it, before)) {
            assert!(had <= other.held, "{name} holds more than one that waits");
            assert!(had < other.held || since <= other.since, "{name} waits for a shorter time");
        }
        allocator.give(&grant);
        let after = allocator.held();
        let account = &allocator.accounts[name];
        let (places, kept) = (allocator.places, allocator.places / 4);
        assert!(after.all <= places);
        assert!(account.at_work() <= account.cap, "{name} has more at work than its cap");
        let begins = usize::from(matches!(grant, Grant::Begin(_)));
        assert_eq!(account.at_work(), at_work + begins, "a paused operation is still at work");
        match last {
            LastRequest::Answered => {
                let free = places - before.all;
                assert!(free > kept || had < free, "{name} leaves less than it holds");
            }
            LastRequest::None => {
                assert!(after.unproven <= places - kept && (begins == 0 || at_work == 0));
            }
            LastRequest::Unanswered => {
                assert!(after.unproven <= places - kept && after.unanswered <= places - 2 * kept);
            }
        }
    }
}

#[test]
fn any_order_of_calls_keeps_every_limit() {
    let strategy = (1..40_usize, vec(1..12_usize, ACCOUNTS), vec(call(), 0..120));
    let run = runner().run(&strategy, |(places, caps, calls)| {
        let mut allocator = Allocator::new(places);
        for call in &calls {
            make(&mut allocator, &caps, call);
        }
        // Whatever came before, all of it ends, and nothing is counted twice.
        for account in 0..ACCOUNTS {
            while allocator.accounts.get(&name(account)).is_some_and(|it| it.returning > 0) {
                allocator.withdraw(&name(account));
            }
            for paused in [true, false] {
                let left = |it: &super::Account| if paused { it.paused } else { it.held };
                while allocator.accounts.get(&name(account)).is_some_and(|it| left(it) > 0) {
                    allocator.end(&name(account), paused);
                }
            }
        }
        assert!(allocator.is_idle());
        Ok(())
    });
    run.unwrap();
}

#[test]
fn places_are_shared_max_min_with_a_cap() {
    let strategy = (1..300_usize, vec(0..20_usize, 1..60));
    let run = runner().run(&strategy, |(places, caps)| {
        let mut allocator = answered(places, &caps);
        give_all(&mut allocator);
        let held: Vec<usize> = (0..caps.len()).map(|account| held(&allocator, account)).collect();
        for (account, (have, cap)) in held.iter().zip(&caps).enumerate() {
            assert!(have <= cap, "{account} of {held:?}");
            // Who could use more has no fewer than anybody else, but for one.
            let most = held.iter().max().unwrap();
            assert!(have == cap || have + 1 >= *most, "{account} of {held:?} by {caps:?}");
        }
        let (sum, wanted) = (held.iter().sum::<usize>(), caps.iter().sum::<usize>());
        assert!(sum >= wanted.min(places - places / 4), "{held:?} of {places} by {caps:?}");
        Ok(())
    });
    run.unwrap();
}

#[test]
fn every_account_with_work_has_its_turn() {
    let strategy = (1..40_usize, vec(1..6_usize, 2..30), vec(any::<u16>(), 400));
    let run = runner().run(&strategy, |(places, caps, ends)| {
        let mut allocator = answered(places, &caps);
        let accounts = caps.len();
        let mut waits = vec![0; accounts];
        let mut under_way: Vec<String> = Vec::new();
        for end in ends {
            for given in give_all(&mut allocator) {
                for (account, waited) in waits.iter_mut().enumerate() {
                    *waited = if name(account) == given { 0 } else { *waited + 1 };
                }
                under_way.push(given);
            }
            let idle = (0..accounts).filter(|it| held(&allocator, *it) == 0);
            for account in idle {
                // Those before it get one place each, however long those last that have one.
                assert!(waits[account] <= 2 * (accounts + places), "{account}: {waits:?}");
            }
            let ended = under_way.swap_remove(usize::from(end) % under_way.len());
            allocator.end(&ended, false);
        }
        Ok(())
    });
    run.unwrap();
}

#[test]
fn upstreams_that_hang_leave_a_quarter_to_those_that_answer() {
    let strategy = (4..300_usize, 1..400_usize, 1..20_usize, any::<bool>());
    let run = runner().run(&strategy, |(places, hanging, cap, known)| {
        let mut allocator = Allocator::new(places);
        let names: Vec<String> = (0..hanging).map(name).collect();
        let hangs = || names.iter().map(|account| (account.as_str(), cap));
        allocator.set_work(hangs());
        if known {
            names.iter().for_each(|account| allocator.request_ended(account, false));
        }
        give_all(&mut allocator);
        let kept = places / 4;
        let left = if known { 2 * kept } else { kept };
        assert!(allocator.held().all <= places - left);
        // An account that was answered has its place at once, and so has, where those that hang are known,
        // one that was never asked.
        allocator.set_work(hangs().chain([("good", cap), ("new", cap)]));
        allocator.request_ended("good", true);
        let given = give_all(&mut allocator);
        assert!(given.contains(&"good".to_owned()), "{given:?}");
        assert!(!known || given.contains(&"new".to_owned()), "{given:?}");
        Ok(())
    });
    run.unwrap();
}

#[test]
fn account_that_begins_to_hang_leaves_places_to_others() {
    for places in 4..300 {
        let mut allocator = answered(places, &[1000, 1000, 1000]);
        give_all(&mut allocator);
        allocator.set_work([("other", 3)]);
        allocator.request_ended("other", true);
        assert!(give_all(&mut allocator).contains(&"other".to_owned()), "{places} places");
    }
}

#[test]
fn paused_operation_counts_against_the_cap_and_not_the_places() {
    let mut allocator = answered(3, &[2, 9]);
    assert_eq!(give_all(&mut allocator), [name(0), name(1), name(0)]);
    allocator.pause(&name(0));
    // The other account gets the place, and the first is at its cap.
    assert_eq!(give_all(&mut allocator), [name(1)]);
    allocator.ask_again(&name(0));
    assert_eq!(allocator.next(), None);
    allocator.end(&name(1), false);
    assert_eq!(allocator.next(), Some(Grant::Resume(name(0))));
}

/// When something happens, in milliseconds.
type Event = Reverse<(u64, usize, Happens)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Arrives,
    Answers,
    TimesOut,
}

/// A thousand accounts of which three hundred hang: how long, at most, an order of another account waits for
/// its place, in milliseconds, by what was known of the account when the order came.
fn longest_waits(hanging_known: bool) -> BTreeMap<bool, u64> {
    const ACCOUNTS: usize = 1000;
    const TIME_OUT: u64 = 60_000;
    const END: u64 = 170_000;
    const ANSWER: u64 = 200;
    const CAP: usize = 18;
    let hangs = |account: usize| account % 10 < 3;
    let mut allocator = Allocator::new(256);
    let mut orders = vec![0_usize; ACCOUNTS];
    let mut waiting: Vec<VecDeque<(u64, bool)>> = vec![VecDeque::new(); ACCOUNTS];
    let mut events: BinaryHeap<Event> = BinaryHeap::new();
    let (mut known, mut longest) = (vec![false; ACCOUNTS], BTreeMap::new());
    let numbers: BTreeMap<String, usize> = (0..ACCOUNTS).map(|it| (name(it), it)).collect();
    for account in 0..ACCOUNTS {
        // Those that hang have much to do from the beginning; the others order again and again, and every
        // tenth of them for the first time.
        if hangs(account) {
            orders[account] = 700;
        }
        let begin = (account as u64 * 7_919) % 10_000;
        let times = if hangs(account) { 0 } else { 5 };
        let arrive = |time: u64| Reverse((begin + time * 30_011, account, Happens::Arrives));
        events.extend((0..times).map(arrive));
    }
    let all: Vec<(String, usize)> = (0..ACCOUNTS).map(|it| (name(it), CAP)).collect();
    allocator.set_work(all.iter().map(|(name, cap)| (name.as_str(), *cap)));
    for account in 0..ACCOUNTS {
        let old = !hangs(account) && account % 100 != 99;
        known[account] = old;
        if old || (hangs(account) && hanging_known) {
            allocator.request_ended(&name(account), old);
        }
    }
    let mut now = 0;
    loop {
        let work = (0..ACCOUNTS).filter(|it| orders[*it] > 0).map(|it| (all[it].0.as_str(), CAP));
        allocator.set_work(work);
        while let Some(grant) = allocator.next() {
            allocator.give(&grant);
            let (Grant::Begin(name) | Grant::Resume(name)) = grant;
            let account = numbers[&name];
            orders[account] -= 1;
            if orders[account] == 0 {
                let left = (0..ACCOUNTS).filter(|it| orders[*it] > 0);
                allocator.set_work(left.map(|it| (all[it].0.as_str(), CAP)));
            }
            let (after, happens) = match hangs(account) {
                true => (TIME_OUT, Happens::TimesOut),
                false => (ANSWER, Happens::Answers),
            };
            if let Some((came, known)) = waiting[account].pop_front() {
                let longest = longest.entry(known).or_insert(0);
                *longest = (now - came).max(*longest);
            }
            events.push(Reverse((now + after, account, happens)));
        }
        let Some(Reverse((time, account, happens))) = events.pop() else { return longest };
        if time > END {
            return longest;
        }
        now = time;
        match happens {
            Happens::Arrives => {
                orders[account] += 1;
                waiting[account].push_back((now, known[account]));
            }
            Happens::Answers | Happens::TimesOut => {
                known[account] |= happens == Happens::Answers;
                allocator.end(&name(account), false);
                allocator.request_ended(&name(account), happens == Happens::Answers);
            }
        }
    }
}

#[test]
fn thousand_accounts_three_hundred_hanging_healthy_order_starts_within_five_seconds() {
    // Once their first time-outs have passed: whether the account was ever asked or not.
    let waits = longest_waits(true);
    assert_eq!(waits.len(), 2, "{waits:?}");
    assert!(waits.values().all(|longest| *longest < 5_000), "{waits:?}");
    // Before that, nothing tells those that were never asked from those that will hang.
    let waits = longest_waits(false);
    assert!(waits[&true] < 5_000, "{waits:?}");
}
