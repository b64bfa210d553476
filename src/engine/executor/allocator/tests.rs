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

/// How many accounts the simulation has; three of ten hang.
const MANY: usize = 1000;
/// How long, in milliseconds, a request lasts that is answered, and one that hangs.
const ANSWER: u64 = 200;
const TIME_OUT: u64 = 60_000;
/// When the simulation ends.
const END: u64 = 170_000;
const CAP: usize = 18;

fn hangs(account: usize) -> bool {
    account % 10 < 3
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Arrives,
    Ends,
}

/// A gateway of many accounts, on a clock of its own in milliseconds.
struct Simulation {
    allocator: Allocator,
    names: Vec<String>,
    /// Orders that wait, by account.
    orders: BTreeMap<usize, usize>,
    /// When orders of accounts that answer came, and whether the account was answered before.
    came: Vec<VecDeque<(u64, bool)>>,
    answered: Vec<bool>,
    events: BinaryHeap<Reverse<(u64, usize, Happens)>>,
    /// The longest wait, by whether the account was answered before.
    longest: BTreeMap<bool, u64>,
}

impl Simulation {
    /// Those that hang have much to do from the beginning. The others order again and again, and ten of them
    /// for the first time.
    fn new(hanging_known: bool) -> Self {
        let mut simulation = Self {
            allocator: Allocator::new(256),
            names: (0..MANY).map(name).collect(),
            orders: (0..MANY).filter(|it| hangs(*it)).map(|it| (it, 700)).collect(),
            came: vec![VecDeque::new(); MANY],
            answered: (0..MANY).map(|it| !hangs(it) && it % 100 != 99).collect(),
            events: BinaryHeap::new(),
            longest: BTreeMap::new(),
        };
        simulation.allocator.set_work(simulation.names.iter().map(|name| (name.as_str(), CAP)));
        for (account, answered) in simulation.answered.iter().enumerate() {
            if *answered || (hangs(account) && hanging_known) {
                simulation.allocator.request_ended(&simulation.names[account], *answered);
            }
        }
        for account in (0..MANY).filter(|it| !hangs(*it)) {
            let first = (account as u64 * 7_919) % 10_000;
            let arrive = |time: u64| Reverse((first + time * 30_011, account, Happens::Arrives));
            simulation.events.extend((0..5).map(arrive));
        }
        simulation
    }

    fn run(mut self) -> BTreeMap<bool, u64> {
        self.begin(0);
        while let Some(Reverse((now, account, happens))) = self.events.pop() {
            if now > END {
                break;
            }
            match happens {
                Happens::Arrives => {
                    *self.orders.entry(account).or_default() += 1;
                    self.came[account].push_back((now, self.answered[account]));
                }
                Happens::Ends => {
                    self.answered[account] = !hangs(account);
                    self.allocator.end(&self.names[account], false);
                    self.allocator.request_ended(&self.names[account], !hangs(account));
                }
            }
            self.begin(now);
        }
        self.longest
    }

    /// Begins what has a place.
    fn begin(&mut self, now: u64) {
        loop {
            let work = self.orders.keys().map(|account| (self.names[*account].as_str(), CAP));
            self.allocator.set_work(work);
            let Some(grant) = self.allocator.next() else { return };
            self.allocator.give(&grant);
            let (Grant::Begin(name) | Grant::Resume(name)) = grant;
            let account = self.names.iter().position(|it| *it == name).unwrap();
            let left = self.orders.remove(&account).unwrap() - 1;
            if left > 0 {
                self.orders.insert(account, left);
            }
            if let Some((came, answered)) = self.came[account].pop_front() {
                let longest = self.longest.entry(answered).or_default();
                *longest = (now - came).max(*longest);
            }
            let lasts = if hangs(account) { TIME_OUT } else { ANSWER };
            self.events.push(Reverse((now + lasts, account, Happens::Ends)));
        }
    }
}

#[test]
fn thousand_accounts_three_hundred_hanging_healthy_order_starts_within_five_seconds() {
    // Once their first time-outs have passed: whether the account was ever asked or not.
    let waits = Simulation::new(true).run();
    assert_eq!(waits.len(), 2, "{waits:?}");
    assert!(waits.values().all(|longest| *longest < 5_000), "{waits:?}");
    // Before that, nothing tells those that were never asked from those that will hang.
    let waits = Simulation::new(false).run();
    assert!(waits[&true] < 5_000, "{waits:?}");
}
