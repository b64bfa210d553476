//! Which spends can be told apart, and which cannot.

use super::super::wanted::tests::{creation, int, name, operation, renewal};
use super::{Operation, Wanted, similarity};

const ADD: &str = "hosting_account_product_add";
const RENEW: &str = "hosting_account_product_renew";

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
