//! Which operations can be told apart, and which cannot.

use purveyor_sdk::time::Zone;
use purveyor_sdk::xmlrpc::Value;

use super::{Kind, Operation, Wanted, contradicts, similarity};

const ADD: &str = "hosting_account_product_add";
const RENEW: &str = "hosting_account_product_renew";

fn operation(params: &[(&str, Value)]) -> Operation {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let value = Value::from([("id", Value::Int(1)), ("params", Value::Struct(params.collect()))]);
    Operation::read(&value, &Zone::UTC).unwrap()
}

fn creation() -> Wanted {
    Wanted {
        kind: Kind::Add,
        product: None,
        name: "shares".to_owned(),
        quantity: Some(2),
        duration: Some("12m"),
    }
}

fn renewal() -> Wanted {
    let (kind, name) = (Kind::Renew, "shares".to_owned());
    Wanted { kind, product: Some(7), name, quantity: None, duration: Some("1m") }
}

fn name(name: &str) -> (&'static str, Value) {
    ("product_name", name.into())
}

fn int(field: &'static str, number: i64) -> (&'static str, Value) {
    (field, Value::Int(number))
}

#[test]
fn only_what_is_told_contradicts() {
    fn check(wanted: Wanted, params: &[(&str, Value)], expected: bool) {
        assert_eq!(contradicts(&operation(params), &wanted), expected, "{params:?}");
    }
    check(creation(), &[], false);
    check(creation(), &[name("shares"), int("quantity", 2)], false);
    check(creation(), &[name("disk")], true);
    check(creation(), &[int("quantity", 3)], true);
    check(creation(), &[("duration", "1y".into())], false);
    check(creation(), &[("duration", "1m".into())], true);
    // A name that cannot be bought may be another word for what was.
    check(creation(), &[name("shares_fixed")], false);
    check(creation(), &[int("product_id", 9)], false);
    check(renewal(), &[int("product_id", 7)], false);
    check(renewal(), &[int("product_id", 8)], true);
    // What the upstream counts in a renewal is not known.
    check(renewal(), &[name("shares"), int("quantity", 99)], false);
    check(renewal(), &[name("ips")], true);
}

#[test]
fn spends_are_similar_unless_operations_tell_them_apart() {
    fn check(wanted: Wanted, listed: &[Operation], expected: &str) {
        assert_eq!(similarity(&wanted, listed), expected);
    }
    let silent = operation(&[]);
    let telling = operation(&[name("disk"), int("quantity", 1), ("duration", "1m".into())]);
    // Nobody knows yet what they tell: the whole account waits.
    check(creation(), &[], "");
    check(creation(), std::slice::from_ref(&silent), ADD);
    check(creation(), &[telling.clone(), silent], ADD);
    check(creation(), &[telling], &format!("{ADD} shares 2 12m"));
    let termless = operation(&[name("disk"), int("quantity", 1)]);
    check(creation(), std::slice::from_ref(&termless), &format!("{ADD} shares 2"));
    check(renewal(), &[], "");
    check(renewal(), &[operation(&[])], RENEW);
    check(renewal(), &[termless], &format!("{RENEW} shares"));
    check(renewal(), &[operation(&[int("product_id", 1)])], &format!("{RENEW} 7"));
}
