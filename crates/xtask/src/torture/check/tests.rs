//! The checker finds every broken promise, and none where all are kept.

mod wrong_words;

use std::collections::BTreeSet;

use purveyor_sdk::v1::operation::{Attempt, Result as Made, State};
use purveyor_sdk::v1::{Operation, OrderItem, UpstreamRef};

use super::{Evidence, Score, Verdict, check};
use crate::torture::journal::{Answer, Line};
use crate::torture::operator::Words;
use crate::torture::person::Object;
use crate::torture::subject::{Entry, Order, named};

fn order(number: usize) -> Order {
    Order {
        number,
        subject: 0,
        provider: "gandi-0".to_owned(),
        account: 0,
        site: 0,
        position: 2 * number,
        request_id: format!("id-{number}"),
        intent: number,
        ends: false,
        after: None,
        wrong: false,
    }
}

/// What the nth order is sold as.
fn sale(number: i64, id: &str) -> Entry {
    Entry {
        account: "AB3917-GANDI".to_owned(),
        kind: "product_add".to_owned(),
        operation_id: id.to_owned(),
        product_id: None,
        product_name: "shares".to_owned(),
        quantity: 1 + number,
        amount: "12.00".to_owned(),
        duration: Some("1m".to_owned()),
        person: false,
        time: format!("2026-01-01T00:00:0{}Z", number.rem_euclid(10)),
    }
}

fn operation(number: usize, state: State, id: &str) -> Operation {
    let mut operation =
        Operation { name: format!("operations/id-{number}"), ..Operation::default() };
    operation.set_state(state);
    operation.upstream = Some(UpstreamRef::of(id.to_owned()));
    operation.attempts = vec![attempt(id)];
    operation
}

fn attempt(id: &str) -> Attempt {
    let plugin_version = "acme 1.0.0".to_owned();
    Attempt { upstream_id: id.to_owned(), plugin_version, ..Attempt::default() }
}

fn line(order: usize, wrong: bool, state: State, id: &str) -> Line {
    let ids = vec![id.to_owned()];
    let (state, items, reason) = (state.as_str_name().to_owned(), Vec::new(), String::new());
    let answer = Answer::Operation { state, ids, items, reason };
    Line { order, at_ms: 0, wrong, ends: false, answer }
}

fn judged(sales: Vec<Entry>, operations: &[Operation], told: &[Line]) -> Verdict {
    let subjects = named("gandi").unwrap();
    let orders = [order(0), order(1)];
    let ledgers = &[sales];
    check(&Evidence {
        subjects: &subjects,
        orders: &orders,
        ledgers,
        told,
        operations,
        ..nothing()
    })
}

fn nothing() -> Evidence<'static> {
    static NO_OBJECTS: BTreeSet<Object> = BTreeSet::new();
    static NO_WORDS: Words = Words {
        asked: BTreeSet::new(),
        wrong: BTreeSet::new(),
        hasty: BTreeSet::new(),
        early: 0,
        late: 0,
    };
    Evidence {
        subjects: &[],
        orders: &[],
        ledgers: &[],
        told: &[],
        operations: &[],
        touched: &NO_OBJECTS,
        disguised: &NO_OBJECTS,
        shared: false,
        words: &NO_WORDS,
        speak_everywhere: false,
        kept_from: &[],
        lost: None,
        effect_lag_ms: 0,
    }
}

fn both() -> [Operation; 2] {
    [operation(0, State::Succeeded, "a"), operation(1, State::Succeeded, "b")]
}

#[test]
fn one_sale_for_each_order_is_right() {
    let told = [line(0, false, State::Accepted, ""), line(0, false, State::Succeeded, "a")];
    let verdict = judged(vec![sale(0, "a"), sale(1, "b")], &both(), &told);
    assert_eq!(verdict.problems, Vec::<String>::new());
    assert!(verdict.holds());
    let expected = Score { orders: 2, sales: 2, operations: 2, ..Score::default() };
    assert_eq!(verdict.total(), expected);
}

#[test]
fn every_broken_promise_is_found() {
    let check = |sales: &[(i64, &str)], operations: &[Operation], expected: [usize; 5]| {
        let sales = sales.iter().map(|(number, id)| sale(*number, id)).collect();
        let verdict = judged(sales, operations, &[]);
        let Score { double, lost, told_wrong, orphan, needs_operator, .. } = verdict.total();
        let found = [double, lost, told_wrong, orphan, needs_operator];
        assert_eq!(found, expected, "{:?}", verdict.problems);
        assert!(!verdict.holds());
    };
    let with = |state, id| [operation(0, State::Succeeded, "a"), operation(1, state, id)];
    // Sold twice; the second sale is nobody's.
    check(&[(0, "a"), (1, "b"), (1, "c")], &both(), [1, 0, 0, 1, 0]);
    // Told that it is sold, and it is not.
    check(&[(0, "a")], &both(), [0, 0, 1, 0, 0]);
    // One sale for two orders.
    check(&[(0, "a"), (1, "b")], &with(State::Succeeded, "a"), [0, 0, 1, 1, 0]);
    // A sale of another body.
    check(&[(0, "a"), (1, "b"), (1_000_001, "c")], &both(), [1, 0, 0, 1, 0]);
    // The sale that is named is of something else.
    check(&[(0, "a"), (0, "b")], &both(), [1, 0, 1, 1, 0]);
    // Told that it failed or was cancelled, and it was sold.
    check(&[(0, "a"), (1, "b")], &with(State::Failed, ""), [0, 0, 1, 0, 0]);
    check(&[(0, "a"), (1, "b")], &with(State::Cancelled, ""), [0, 0, 1, 0, 0]);
    // Failed where nothing is refused, still open, and left to a person where that must not be.
    check(&[(0, "a")], &with(State::Failed, ""), [0, 1, 0, 0, 0]);
    check(&[(0, "a"), (1, "b")], &with(State::Reconciling, ""), [0, 1, 0, 1, 0]);
    check(&[(0, "a"), (1, "b")], &with(State::NeedsOperator, ""), [0, 1, 0, 1, 1]);
    // Forgotten.
    check(&[(0, "a"), (1, "b")], &both()[..1], [0, 1, 0, 1, 0]);
}

#[test]
fn told_answer_that_is_not_so_at_the_end_is_told_wrong() {
    let check = |told: &[Line], expected: usize| {
        let verdict = judged(vec![sale(0, "a"), sale(1, "b")], &both(), told);
        let total = verdict.total();
        assert_eq!((total.told_wrong, total.lost), (expected, 0), "{:?}", verdict.problems);
        assert_eq!(verdict.holds(), expected == 0);
    };
    let refused = |code: &str| Line {
        answer: Answer::Error { code: code.to_owned(), message: String::new() },
        ..line(0, false, State::Failed, "")
    };
    let accepted = || line(0, false, State::Running, "");
    check(&[line(0, false, State::Failed, "a")], 1);
    check(&[line(0, false, State::Succeeded, "z")], 1);
    check(&[line(0, true, State::Accepted, "")], 1);
    // One order counts once, however often it was told wrong.
    check(&[line(0, true, State::Accepted, ""), line(0, false, State::Failed, "a")], 1);
    check(&[accepted(), refused("NotFound")], 1);
    check(&[accepted(), refused("AlreadyExists")], 1);
    check(&[refused("NotFound"), accepted()], 0);
    check(&[accepted(), refused("Unavailable")], 0);
    let items = Answer::Operation {
        state: State::Succeeded.as_str_name().to_owned(),
        ids: vec!["a".to_owned()],
        items: vec!["z".to_owned()],
        reason: String::new(),
    };
    check(&[Line { answer: items, ..accepted() }], 1);
}

#[test]
fn success_that_names_another_item_is_told_wrong() {
    let mut operations = both();
    let item = OrderItem { id: "z".to_owned(), ..OrderItem::default() };
    let order = purveyor_sdk::v1::Order { items: vec![item], ..Default::default() };
    operations[0].result = Some(Made::Order(order));
    let verdict = judged(vec![sale(0, "a"), sale(1, "b")], &operations, &[]);
    assert_eq!(verdict.total().told_wrong, 1, "{:?}", verdict.problems);
}

#[test]
fn end_that_is_never_accepted_is_told_wrong() {
    let check = |ends: &[Line], expected: usize| {
        let verdict = judged(vec![sale(0, "a"), sale(1, "b")], &both(), ends);
        assert_eq!(verdict.total().told_wrong, expected, "{:?}", verdict.problems);
    };
    let refused = || Answer::Error { code: "Aborted".to_owned(), message: String::new() };
    let refused =
        |ends: bool| Line { ends, answer: refused(), ..line(0, false, State::Failed, "") };
    let accepted = || Line { ends: true, ..line(0, false, State::Failed, "") };
    check(&[refused(true), refused(true)], 1);
    check(&[refused(true), accepted()], 0);
    check(&[refused(false)], 0);
    // That its purchase was accepted is nothing about its end.
    check(&[line(0, false, State::Succeeded, "a"), refused(true)], 1);
}

#[test]
fn callers_without_an_answer_are_a_broken_promise() {
    let mut verdict = judged(vec![sale(0, "a"), sale(1, "b")], &both(), &[]);
    verdict.require_answers(0);
    assert!(verdict.holds());
    verdict.require_answers(3);
    assert_eq!(verdict.problems, ["3 callers were not told how their order ended"]);
    assert!(!verdict.holds());
}

#[test]
fn provider_that_sells_too_little_is_a_broken_promise() {
    let check = |provider: &'static str, orders: usize, sales: usize, enough: bool| {
        let score = Score { orders, sales, ..Score::default() };
        let mut verdict = Verdict { scores: vec![(provider, score)], ..Verdict::default() };
        verdict.require_sales(&named(provider).unwrap());
        assert_eq!(verdict.holds(), enough, "{provider}: {:?}", verdict.problems);
    };
    check("computestacks", 16, 8, true);
    check("computestacks", 16, 7, false);
    check("racknap", 16, 1, true);
    check("racknap", 16, 0, false);
    check("racknap", 7, 0, true);
}

/// Two orders of one intent, and how they ended.
fn twins(first: Option<(State, &str)>, second: Option<(State, &str)>, sold: &[&str]) -> Score {
    let subjects = named("gandi").unwrap();
    let second_order = Order { intent: 0, position: 0, ..order(1) };
    let orders = [order(0), second_order];
    let ended = [first, second].into_iter().enumerate();
    let operations: Vec<Operation> = ended
        .filter_map(|(number, it)| it.map(|(state, id)| operation(number, state, id)))
        .collect();
    let sales = sold.iter().map(|id| sale(0, id)).collect();
    let (operations, ledgers) = (&operations, &[sales]);
    let evidence =
        Evidence { subjects: &subjects, orders: &orders, ledgers, operations, ..nothing() };
    Score { operations: 0, ..check(&evidence).total() }
}

#[test]
fn one_of_two_orders_of_one_intent_is_sold() {
    let right = Score { orders: 1, sales: 1, ..Score::default() };
    let (won, failed) = (Some((State::Succeeded, "a")), Some((State::Failed, "")));
    assert_eq!(twins(won, failed, &["a"]), right);
    assert_eq!(twins(failed, won, &["a"]), right);
    assert_eq!(twins(None, won, &["a"]), right);
    let twice = Score { sales: 2, double: 1, ..right.clone() };
    assert_eq!(twins(won, Some((State::Succeeded, "b")), &["a", "b"]), twice);
    let both = Score { told_wrong: 1, ..right.clone() };
    assert_eq!(twins(won, won, &["a"]), both);
    let none = Score { sales: 0, lost: 1, ..right.clone() };
    assert_eq!(twins(failed, None, &[]), none);
    assert_eq!(twins(None, failed, &[]), none);
    let open = Score { lost: 1, ..right };
    assert_eq!(twins(won, Some((State::Running, "")), &["a"]), open);
}

#[test]
fn id_that_came_back_is_another_sale() {
    let subjects = named("computestacks").unwrap();
    let orders = [0, 1].map(|number| Order { account: 0, ends: number == 0, ..order(number) });
    let entry = |kind: &str, number: usize| Entry {
        account: "stacks-0".to_owned(),
        kind: kind.to_owned(),
        product_name: format!("torture {number}"),
        ..sale(0, "7")
    };
    let operations = [operation(0, State::Succeeded, "7"), operation(1, State::Succeeded, "7")];
    let end = Line { ends: true, ..line(0, false, State::Succeeded, "") };
    let check = |ledger: Vec<Entry>, expected: [usize; 3]| {
        let told = std::slice::from_ref(&end);
        let ledgers = &[ledger];
        let evidence = Evidence {
            subjects: &subjects,
            orders: &orders,
            ledgers,
            told,
            operations: &operations,
            ..nothing()
        };
        let verdict = check(&evidence);
        let Score { double, told_wrong, orphan, came_back, .. } = verdict.total();
        assert_eq!([double, told_wrong, orphan], expected, "{:?}", verdict.problems);
        assert_eq!(came_back, 1);
    };
    let (first, ended) = (entry("product_add", 0), entry("product_delete", 0));
    let second = entry("product_add", 1);
    check(vec![first.clone(), ended.clone(), second.clone()], [0, 0, 0]);
    // The end that was told is the end of the second one, or of none.
    check(vec![first.clone(), second.clone(), ended], [0, 1, 0]);
    check(vec![first, second], [0, 1, 0]);
}

#[test]
fn of_two_alike_under_one_id_the_ended_one_is_that_of_the_order_that_was_ended() {
    let subjects = named("computestacks").unwrap();
    let orders = [0, 1].map(|number| Order {
        account: 0,
        position: 0,
        intent: number,
        ends: number == 1,
        ..order(number)
    });
    let operations = [operation(0, State::Succeeded, "7"), operation(1, State::Succeeded, "7")];
    let end = Line { ends: true, ..line(1, false, State::Succeeded, "") };
    let check = |kinds: &[&str], expected: [usize; 3]| {
        let evidence = Evidence {
            subjects: &subjects,
            orders: &orders,
            ledgers: &[kinds.iter().map(|kind| stacks_entry(kind, false)).collect()],
            told: std::slice::from_ref(&end),
            operations: &operations,
            ..nothing()
        };
        let verdict = check(&evidence);
        let Score { double, told_wrong, orphan, .. } = verdict.total();
        assert_eq!([double, told_wrong, orphan], expected, "{:?}", verdict.problems);
    };
    check(&["product_add", "product_delete", "product_add"], [0, 0, 0]);
    check(&["product_add", "product_add", "product_delete"], [0, 0, 0]);
    check(&["product_add", "product_add"], [0, 1, 0]);
}

/// A line about product 7 of an account at ComputeStacks, whose ids come back.
fn stacks_entry(kind: &str, person: bool) -> Entry {
    Entry {
        account: "stacks-0".to_owned(),
        kind: kind.to_owned(),
        product_name: "torture 0".to_owned(),
        person,
        ..sale(0, "7")
    }
}

#[test]
fn id_that_comes_back_from_a_person_is_the_callers() {
    let subjects = named("computestacks").unwrap();
    let life =
        |person| [stacks_entry("product_add", person), stacks_entry("product_delete", person)];
    let evidence = Evidence {
        subjects: &subjects,
        orders: &[Order { ends: true, ..order(0) }],
        ledgers: &[life(true).into_iter().chain(life(false)).collect()],
        told: &[Line { ends: true, ..line(0, false, State::Succeeded, "") }],
        operations: &[operation(0, State::Succeeded, "7")],
        ..nothing()
    };
    let verdict = check(&evidence);
    assert!(verdict.holds(), "{:?}", verdict.problems);
}

/// Its end was accepted, and its caller was never told that it came.
#[test]
fn id_that_comes_back_to_a_person_leaves_the_callers_sale_to_its_order() {
    let subjects = named("computestacks").unwrap();
    let (ours, theirs) = (stacks_entry("product_add", false), stacks_entry("product_add", true));
    let evidence = Evidence {
        subjects: &subjects,
        orders: &[Order { ends: true, ..order(0) }],
        ledgers: &[vec![ours, stacks_entry("product_delete", false), theirs]],
        told: &[line(0, false, State::Succeeded, "7")],
        operations: &[operation(0, State::Succeeded, "7")],
        ..nothing()
    };
    assert_eq!(check(&evidence).total().orphan, 0);
}

#[test]
fn sale_of_a_person_is_nobodys() {
    let of_person = |id: &str| Entry { person: true, ..sale(0, id) };
    let verdict = judged(vec![sale(0, "a"), sale(1, "b"), of_person("p")], &both(), &[]);
    assert!(verdict.holds(), "{:?}", verdict.problems);
    assert_eq!(verdict.total().sales, 2);
    // It is taken for the caller's.
    let wrong = [operation(0, State::Succeeded, "p"), operation(1, State::Succeeded, "b")];
    let verdict = judged(vec![of_person("p"), sale(1, "b")], &wrong, &[]);
    assert_eq!(verdict.total().told_wrong, 1, "{:?}", verdict.problems);
    // A person has paid what a caller ordered.
    let unpaid = Entry { kind: "order_unpaid".to_owned(), ..sale(0, "a") };
    let verdict = judged(vec![unpaid.clone(), of_person("a"), sale(1, "b")], &both(), &[]);
    assert!(verdict.holds(), "{:?}", verdict.problems);
    // A person has paid what a caller has left behind.
    let left = Entry { operation_id: "l".to_owned(), ..unpaid.clone() };
    let sales = vec![left, of_person("l"), sale(0, "a"), sale(1, "b")];
    assert!(judged(sales, &both(), &[]).holds());
    // A caller's order that a person has paid has failed.
    let failed = [operation(0, State::Failed, "a"), operation(1, State::Succeeded, "b")];
    let verdict = judged(vec![unpaid, of_person("a"), sale(1, "b")], &failed, &[]);
    assert_eq!(verdict.total().told_wrong, 1, "{:?}", verdict.problems);
}

#[test]
fn order_that_a_person_has_cancelled_may_fail_and_may_not_succeed() {
    let refund = Entry { kind: "refund".to_owned(), person: true, ..sale(0, "a") };
    let sales = || vec![sale(0, "a"), refund.clone(), sale(1, "b")];
    let failed = [operation(0, State::Failed, "a"), operation(1, State::Succeeded, "b")];
    assert!(judged(sales(), &failed, &[]).holds());
    assert_eq!(judged(sales(), &both(), &[]).total().told_wrong, 1);
    // What a person has touched may fail before anything is sold, too.
    let (subjects, orders) = (named("gandi").unwrap(), [order(0), order(1)]);
    let check = |touched: &str, lost: usize| {
        let touched = [(0, "AB3917-GANDI".to_owned(), touched.to_owned())].into();
        let evidence = Evidence {
            subjects: &subjects,
            orders: &orders,
            ledgers: &[vec![sale(1, "b")]],
            operations: &failed,
            touched: &touched,
            ..nothing()
        };
        assert_eq!(check(&evidence).total().lost, lost);
    };
    check("a", 0);
    check("z", 1);
}

#[test]
fn success_that_is_told_before_its_effect_shows_is_told_wrong() {
    let (subjects, orders) = (named("gandi").unwrap(), [order(0), order(1)]);
    let sold = sale(0, "a").at_ms().unwrap();
    let check = |late: i64, told_wrong: usize| {
        let told = [Line { at_ms: sold + late, ..line(0, false, State::Succeeded, "a") }];
        let evidence = Evidence {
            subjects: &subjects,
            orders: &orders,
            ledgers: &[vec![sale(0, "a"), sale(1, "b")]],
            told: &told,
            operations: &both(),
            effect_lag_ms: 500,
            ..nothing()
        };
        assert_eq!(check(&evidence).total().told_wrong, told_wrong, "{late}");
    };
    check(499, 1);
    check(500, 0);
    // Of two alike orders one may take the effect of the other one, and not both.
    let alike = [order(0), Order { position: 0, ..order(1) }];
    let second_at = |second: i64, told_wrong: usize| {
        let success = |number, late| Line {
            at_ms: sold + late,
            ..line(number, false, State::Succeeded, ["a", "b"][number])
        };
        let evidence = Evidence {
            subjects: &subjects,
            orders: &alike,
            ledgers: &[vec![
                sale(0, "a"),
                Entry { time: "2026-01-01T00:00:01Z".to_owned(), ..sale(0, "b") },
            ]],
            told: &[success(1, 600), success(0, second)],
            operations: &both(),
            effect_lag_ms: 500,
            ..nothing()
        };
        assert_eq!(super::check(&evidence).total().told_wrong, told_wrong, "{second}");
    };
    second_at(1400, 1);
    second_at(1500, 0);
}

#[test]
fn operation_that_needed_an_operator_is_counted_whatever_became_of_it() {
    let (subjects, orders) = (named("gandi").unwrap(), [order(0), order(1)]);
    let words = Words { asked: BTreeSet::from(["id-1".to_owned()]), ..Words::default() };
    let evidence = Evidence {
        subjects: &subjects,
        orders: &orders,
        ledgers: &[vec![sale(0, "a"), sale(1, "b")]],
        operations: &both(),
        words: &words,
        ..nothing()
    };
    let verdict = check(&evidence);
    assert!(verdict.holds(), "{:?}", verdict.problems);
    let total = verdict.total();
    assert_eq!((total.needs_operator, total.operations), (1, 2));
    assert!((total.needs_operator_rate() - 0.5).abs() < f64::EPSILON);
}

#[test]
fn order_that_waits_is_lost_where_operators_speak_everywhere() {
    let subjects = named("racknap").unwrap();
    let waiting = [operation(0, State::NeedsOperator, "")];
    let check = |speak_everywhere: bool, lost: usize| {
        let evidence = Evidence {
            subjects: &subjects,
            orders: &[order(0)],
            ledgers: &[Vec::new()],
            operations: &waiting,
            speak_everywhere,
            ..nothing()
        };
        assert_eq!(check(&evidence).total().lost, lost);
    };
    check(true, 1);
    check(false, 0);
}
