//! What is refused, and under which path it is named.

use std::collections::BTreeMap;

use prost::Message;
use purveyor_sdk::v1::{CreateOrderRequest, Money, Order, OrderItem};

use super::check;

const REQUEST: &str = "purveyor.v1.CreateOrderRequest";

/// A message of a newer contract: what the older one knows, and field 999.
#[derive(Clone, PartialEq, Message)]
struct Newer {
    #[prost(string, tag = "999")]
    limit: String,
}

/// A request whose field `tag` is `bytes`.
fn with(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut request = vec![tag << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    request.extend(bytes);
    request
}

/// An order's `items` entry whose bytes these are, whatever the field's number is.
fn item(bytes: &[u8]) -> Vec<u8> {
    let order = Order { items: vec![OrderItem::default()], ..Order::default() };
    let mut item = order.encode_to_vec();
    item.pop();
    item.push(u8::try_from(bytes.len()).unwrap());
    item.extend(bytes);
    item
}

fn newer() -> Vec<u8> {
    Newer { limit: "no more than this".to_owned() }.encode_to_vec()
}

#[test]
fn what_the_contract_names_is_known() {
    let mut request = CreateOrderRequest {
        parent: "providers/acme".to_owned(),
        order: Some(Order {
            items: vec![OrderItem::default(), OrderItem { quantity: 2, ..OrderItem::default() }],
            annotations: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
            ..Order::default()
        }),
        max_price: Some(Money { units: -1, nanos: -5, ..Money::default() }),
        ..CreateOrderRequest::default()
    };
    let options = prost_types::Struct {
        fields: BTreeMap::from([(
            "list".to_owned(),
            prost_types::Value {
                kind: Some(prost_types::value::Kind::ListValue(prost_types::ListValue {
                    values: vec![prost_types::Value {
                        kind: Some(prost_types::value::Kind::NullValue(0)),
                    }],
                })),
            },
        )]),
    };
    request.order.as_mut().unwrap().items[1].options = Some(options);
    check(REQUEST, &request.encode_to_vec()).unwrap();
    check(REQUEST, &[]).unwrap();
}

#[test]
fn what_it_does_not_name_is_refused_by_its_path() {
    fn refused(message: &str, bytes: &[u8], path: &str, what: &str) {
        let error = check(message, bytes).unwrap_err();
        assert_eq!(error.violations.len(), 1, "{error}");
        assert_eq!(error.violations[0].field, path);
        assert!(error.violations[0].description.contains(what), "{error}");
    }
    refused(REQUEST, &newer(), "CreateOrderRequest", "field 999");
    refused(REQUEST, &with(2, &newer()), "order", "field 999");
    refused(REQUEST, &with(5, &newer()), "max_price", "field 999");
    let mut two = item(&[]);
    two.extend(item(&newer()));
    refused(REQUEST, &with(2, &two), "order.items[1]", "field 999");
    // CancelOrderRequest.policy is field 3.
    refused("purveyor.v1.CancelOrderRequest", &[3 << 3, 9], "policy", "9 is a value");
    let minus_one = [&[3_u8 << 3][..], &[0xff; 9], &[1]].concat();
    refused("purveyor.v1.CancelOrderRequest", &minus_one, "policy", "-1 is a value");
    // A well-known type has a newer version too.
    let mut wait = vec![6 << 3 | 2];
    wait.extend(with(6, &newer()).split_off(1));
    refused(REQUEST, &wait, "wait", "field 999");
}

#[test]
fn malformed_bytes_never_panic() {
    for bytes in [&[0xff; 3][..], &[0x0a, 0x7f], &[0x0a], &[0x0b], &[0x09, 1], &[0x0d, 1]] {
        check(REQUEST, bytes).unwrap_err();
    }
    check("purveyor.v1.NoSuchRequest", &[]).unwrap_err();
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = check(REQUEST, &bytes);
    }
}
