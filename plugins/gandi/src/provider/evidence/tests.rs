//! Which spends can be told apart, and which cannot.

use purveyor_sdk::time::Zone;
use purveyor_sdk::xmlrpc::Value;

use super::{Duration, Kind, Operation, Wanted, similarity};

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
        duration: Some(Duration::Year),
        end: None,
    }
}

fn renewal() -> Wanted {
    let (kind, name) = (Kind::Renew, "shares".to_owned());
    let duration = Some(Duration::Month);
    Wanted { kind, product: Some(7), name, quantity: None, duration, end: None }
}

fn name(name: &str) -> (&'static str, Value) {
    ("product_name", name.into())
}

fn int(field: &'static str, number: i64) -> (&'static str, Value) {
    (field, Value::Int(number))
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
