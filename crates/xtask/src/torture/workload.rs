//! What is bought: the orders of a run, dealt to providers, accounts and provider entries. It must not
//! know what goes wrong when.

use std::collections::BTreeMap;

use super::dice::Dice;
use super::options::{Hazard, Options};
use super::subject::{Order, Subject};

/// So many of a hundred intents are sent twice at once where that can be told: through each entry.
const TWINS: u64 = 40;
/// So many of a hundred orders are ended again once they have succeeded, where that can be done.
const ENDED: u64 = 40;
/// The first site's name is never shown.
const SITES: [&str; 2] = ["", "-sandbox"];
/// A second entry of the same account.
const ENTRIES: [&str; 2] = ["", "-again"];

/// The provider's id in the gateway's configuration.
pub(crate) fn entry_id(name: &str, account: usize, entry: usize, site: usize) -> String {
    format!("{name}-{account}{}{}", ENTRIES[entry], SITES[site])
}

/// What an account is called here: upstreams may have accounts of one identity.
pub(crate) fn holder(subject: &dyn Subject, account: usize, site: usize) -> String {
    at(site, &subject.holder(account))
}

/// The account of a ledger's line.
pub(crate) fn at(site: usize, account: &str) -> String {
    format!("{account}{}", SITES[site])
}

/// Whether each account has two provider entries. Where the upstream does not tell whose account it is,
/// two entries are two accounts.
pub(crate) fn twice(options: &Options, subject: &dyn Subject) -> bool {
    options.has(Hazard::TwoEntries) && subject.tells_account()
}

/// Whether tenants can order the very same: not where a renewal to one end is one intent, nor where what
/// was sold is known by what was asked for alone.
fn is_alike(subject: &dyn Subject) -> bool {
    !subject.renews() && !subject.asks_a_person()
}

/// How many purchases there can be in an account.
pub(crate) fn per_account(options: &Options, subjects: usize) -> usize {
    let tenants = usize::from(options.tenants);
    options.orders().div_ceil(tenants).div_ceil(subjects * options.accounts()) * tenants
}

/// The orders, dealt to the providers and their accounts in turn.
pub(crate) fn orders(options: &Options, subjects: &[Box<dyn Subject>], sites: usize) -> Vec<Order> {
    // Request ids have a sequence of their own: who is sent twice takes two.
    let (mut dice, mut names) = (Dice::new(options.seed, 2), Dice::new(options.seed, 4));
    let mut orders: Vec<Order> = Vec::new();
    let (accounts, tenants) = (options.accounts(), usize::from(options.tenants));
    let mut intents = 0;
    // The last order of each account, where its id may come back.
    let mut returning: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    while orders.len() < options.orders() {
        let (unit, tenant) = (intents / tenants, intents % tenants);
        let (subject, turn) = (unit % subjects.len(), unit / subjects.len());
        let (account, round) = (turn % accounts, turn / accounts);
        let of = subjects[subject].as_ref();
        let position = if is_alike(of) { round } else { round * tenants + tenant };
        // Drawn in any case, so that a seed deals the same orders whatever a run is spared.
        let (second, sandbox) = (dice.percent(50), dice.percent(50));
        let (twins, ends) = (dice.percent(TWINS), dice.percent(ENDED));
        let request_ids = [names.uuid(), names.uuid()];
        let site = if sandbox && of.tells_identity() { sites - 1 } else { 0 };
        let entries = twice(options, of) && site == 0;
        let entry = usize::from(entries && second);
        let twins = twins && entries && of.renews();
        let first = orders.len();
        let ends = ends && options.has(Hazard::ReturningIds);
        let after = returning.remove(&(subject, account));
        if ends && of.reuse_ids().is_some() {
            returning.insert((subject, account), first);
        }
        let sent = [entry, 1 - entry].into_iter().zip(request_ids);
        for (entry, request_id) in sent.take(1 + usize::from(twins)) {
            orders.push(Order {
                number: orders.len(),
                subject,
                provider: entry_id(of.name(), account, entry, site),
                account,
                site,
                position,
                request_id,
                intent: first,
                ends,
                after,
                wrong: false,
            });
        }
        intents += 1;
    }
    orders
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Hazard, Options, Order, orders};
    use crate::torture::subject::named;

    #[test]
    fn seed_deals_the_same_orders_whatever_a_run_is_spared() {
        let dealt = |without: Vec<Hazard>| {
            let options = Options { without, ..Options::of_provider("ovh", 100) };
            let orders = orders(&options, &named("ovh").unwrap(), 1).into_iter();
            let first = orders.filter(|order| order.intent == order.number);
            first.map(|order| order.request_id).collect::<Vec<_>>()
        };
        let (all, spared) = (dealt(Vec::new()), dealt(vec![Hazard::TwoEntries]));
        assert!(all.len() < spared.len());
        assert_eq!(all[..], spared[..all.len()]);
    }

    #[test]
    fn twins_are_one_intent_through_two_entries() {
        let options = Options::of_provider("ovh", 100);
        let orders = orders(&options, &named("ovh").unwrap(), 1);
        let twins: Vec<_> = orders.iter().filter(|it| it.intent != it.number).collect();
        assert!(twins.len() > 10, "{}", twins.len());
        for twin in twins {
            let first = &orders[twin.intent];
            assert_eq!((first.account, first.position), (twin.account, twin.position));
            assert_ne!(first.provider, twin.provider);
            assert_ne!(first.request_id, twin.request_id);
        }
        let intents: BTreeSet<_> = orders.iter().map(|it| it.intent).collect();
        let bought: BTreeSet<_> = orders.iter().map(|it| (it.account, it.position)).collect();
        assert_eq!(intents.len(), bought.len());
    }

    #[test]
    fn tenants_order_alike_products_at_once() {
        let dealt = |provider: &str| {
            let options = Options { tenants: 2, ..Options::of_provider(provider, 96) };
            let subjects = named(provider).unwrap();
            let orders = orders(&options, &subjects, 1);
            let asked = |order: &Order| (order.account, subjects[0].asked(order));
            assert!(orders.iter().all(|it| it.position < super::per_account(&options, 1)));
            let mut pairs = orders.chunks_exact(2);
            pairs.all(|pair| asked(&pair[0]) == asked(&pair[1]))
        };
        assert!(dealt("klikk") && dealt("gandi") && dealt("computestacks"));
        assert!(!dealt("racknap"));
        assert!(!dealt("ovh"));
    }

    #[test]
    fn next_order_of_an_account_waits_for_an_end() {
        let options = Options::of_provider("computestacks", 100);
        let orders = orders(&options, &named("computestacks").unwrap(), 1);
        let waiting: Vec<_> = orders.iter().filter(|it| it.after.is_some()).collect();
        assert!(waiting.len() > 20, "{}", waiting.len());
        for order in waiting {
            let before = &orders[order.after.unwrap()];
            // Clients take orders in turn, so that nobody waits for what nobody has taken.
            assert!(before.ends && before.number < order.number);
            assert_eq!((before.account, before.position + 1), (order.account, order.position));
        }
        let without = vec![Hazard::ReturningIds];
        let spared = Options { without, ..options };
        let orders = super::orders(&spared, &named("computestacks").unwrap(), 1);
        assert!(orders.iter().all(|it| !it.ends && it.after.is_none()));
    }

    #[test]
    fn test_runs_have_every_kind_of_order() {
        for options in Options::of_test().iter().filter(|it| it.workload().is_none()) {
            let orders = orders(options, &named("all").unwrap(), 2);
            let count = |kind: fn(&&Order) -> bool| orders.iter().filter(kind).count();
            assert!(count(|order| order.intent != order.number) > 1);
            assert!(count(|order| order.site == 1) > 5);
            assert!(count(|order| order.ends) > 10);
            assert!(count(|order| order.after.is_some()) > 3);
        }
    }

    #[test]
    fn orders_are_spread_over_both_upstreams() {
        let options = Options::of_provider("gandi", 100);
        let orders = orders(&options, &named("gandi").unwrap(), 2);
        let sandbox = orders.iter().filter(|it| it.site == 1).count();
        assert!((20..80).contains(&sandbox), "{sandbox}");
        assert!(orders.iter().all(|it| it.provider.ends_with("-sandbox") == (it.site == 1)));
    }
}
