//! Which account gets the next place: max-min fairness over the accounts that have work, as a pure
//! function of what was given and what was answered. It must not know the store, a runtime or a clock.
//!
//! - The account that holds the fewest places is next; among equals the one that waits longest.
//! - An account has at most its cap at work, whether it holds places or has paused.
//! - A quarter of all places is kept for accounts whose last request was answered, and another quarter for
//!   those and for accounts that were never asked: what is known to fail holds at most half.
//! - An account that was never asked has one operation at work until its first answer.
//! - Of the last quarter an account takes another place only if more stay free than it holds. So one whose
//!   upstream begins to hang leaves places to those that hold none, before its time-outs tell.

use std::collections::BTreeMap;

/// The account is the last of those that hold as many places.
const LAST: u64 = u64::MAX;

/// Who is given places.
#[derive(Debug)]
pub(super) struct Allocator {
    places: usize,
    /// Counts up, and orders accounts by how long they wait.
    turn: u64,
    accounts: BTreeMap<String, Account>,
}

/// A place that an account gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// To begin an operation.
    Begin(String),
    /// To go on with an operation that had paused.
    Resume(String),
}

/// What became of the account's last request that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LastRequest {
    #[default]
    None,
    Answered,
    Unanswered,
}

#[derive(Debug, Default)]
struct Account {
    cap: usize,
    /// Whether operations wait to be begun.
    has_work: bool,
    /// At work, with a place.
    held: usize,
    /// At work, without a place.
    paused: usize,
    /// At work, and waits for a place to go on.
    returning: usize,
    last: LastRequest,
    /// The turn since which it waits for a place; `None`: it waits for none.
    since: Option<u64>,
}

/// How many places are held.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    all: usize,
    /// By accounts whose last request was not answered, or that were never asked.
    unproven: usize,
    unanswered: usize,
}

impl Allocator {
    pub(super) fn new(places: usize) -> Self {
        Self { places, turn: 0, accounts: BTreeMap::new() }
    }

    /// Replaces the set of accounts whose operations wait to be begun. Each has its cap.
    pub(super) fn set_work<'a>(&mut self, work: impl IntoIterator<Item = (&'a str, usize)>) {
        for account in self.accounts.values_mut() {
            account.has_work = false;
        }
        self.turn += 1;
        for (name, cap) in work {
            let account = self.accounts.entry(name.to_owned()).or_default();
            account.cap = cap;
            account.has_work = true;
            account.since.get_or_insert(self.turn);
        }
        for account in self.accounts.values_mut().filter(|it| !it.waits()) {
            account.since = None;
        }
    }

    /// Who gets the next place, if there is one that anybody may have.
    pub(super) fn next(&self) -> Option<Grant> {
        let held = self.held();
        let eligible = self.accounts.iter().filter(|(_, it)| self.may_have(it, held));
        let (name, account) = eligible.min_by_key(|(_, it)| (it.held, it.since))?;
        let name = name.clone();
        Some(if account.returning > 0 { Grant::Resume(name) } else { Grant::Begin(name) })
    }

    /// Gives what [`Allocator::next`] has told.
    pub(super) fn give(&mut self, grant: &Grant) {
        self.turn += 1;
        let (Grant::Begin(name) | Grant::Resume(name)) = grant;
        let Some(account) = self.accounts.get_mut(name) else { return };
        account.held += 1;
        account.returning -= usize::from(matches!(grant, Grant::Resume(_)));
        account.since = account.waits().then_some(self.turn);
    }

    /// Gives a place for an operation that is begun before those that wait, if nobody comes before it.
    pub(super) fn begin(&mut self, name: &str, cap: usize) -> bool {
        let account = self.accounts.entry(name.to_owned()).or_default();
        account.cap = cap;
        if account.waits() {
            return false;
        }
        (account.has_work, account.since) = (true, Some(LAST));
        let grant = Grant::Begin(name.to_owned());
        let is_next = self.next().as_ref() == Some(&grant);
        if let Some(account) = self.accounts.get_mut(name) {
            (account.has_work, account.since) = (false, None);
        }
        if is_next {
            self.give(&grant);
        }
        is_next
    }

    /// An operation waits for something else than its upstream's answer.
    pub(super) fn pause(&mut self, name: &str) {
        let Some(account) = self.accounts.get_mut(name) else { return };
        account.held -= 1;
        account.paused += 1;
    }

    /// A paused operation waits for a place.
    pub(super) fn ask_again(&mut self, name: &str) {
        self.turn += 1;
        let Some(account) = self.accounts.get_mut(name) else { return };
        account.paused -= 1;
        account.returning += 1;
        account.since.get_or_insert(self.turn);
    }

    /// An operation that waited for a place does so no more, and is still paused.
    pub(super) fn withdraw(&mut self, name: &str) {
        let Some(account) = self.accounts.get_mut(name) else { return };
        account.returning -= 1;
        account.paused += 1;
        account.since = account.since.filter(|_| account.has_work || account.returning > 0);
    }

    /// An operation that held a place, or had paused, is at work no more.
    pub(super) fn end(&mut self, name: &str, paused: bool) {
        let Some(account) = self.accounts.get_mut(name) else { return };
        if paused {
            account.paused -= 1;
        } else {
            account.held -= 1;
        }
    }

    /// A request to the account's upstream has ended.
    pub(super) fn request_ended(&mut self, name: &str, answered: bool) {
        let Some(account) = self.accounts.get_mut(name) else { return };
        account.last = if answered { LastRequest::Answered } else { LastRequest::Unanswered };
    }

    /// Whether nothing is at work.
    pub(super) fn is_idle(&self) -> bool {
        self.accounts.values().all(|it| it.at_work() == 0)
    }

    fn held(&self) -> Held {
        let mut held = Held::default();
        for account in self.accounts.values() {
            held.all += account.held;
            match account.last {
                LastRequest::Answered => {}
                LastRequest::None => held.unproven += account.held,
                LastRequest::Unanswered => {
                    held.unproven += account.held;
                    held.unanswered += account.held;
                }
            }
        }
        held
    }

    fn may_have(&self, account: &Account, held: Held) -> bool {
        let begins = account.has_work && account.at_work() < account.limit();
        let free = self.places.saturating_sub(held.all);
        if free == 0 || !(begins || account.returning > 0) {
            return false;
        }
        let kept = self.places / 4;
        let shared = self.places - kept;
        match account.last {
            LastRequest::Answered => free > kept || account.held < free,
            LastRequest::None => held.unproven < shared,
            LastRequest::Unanswered => held.unproven < shared && held.unanswered < shared - kept,
        }
    }
}

impl Account {
    fn waits(&self) -> bool {
        self.has_work || self.returning > 0
    }

    fn at_work(&self) -> usize {
        self.held + self.paused + self.returning
    }

    fn limit(&self) -> usize {
        if self.last == LastRequest::None { self.cap.min(1) } else { self.cap }
    }
}

#[cfg(test)]
mod tests;
