//! Orders, as order_status and order_list tell of them.

use purveyor_sdk::Result;
use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::prost_types::{Struct, Timestamp};
use purveyor_sdk::rows::Gaps;
use purveyor_sdk::time::Zone;

use super::{Members, not_understood};

/// An order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    pub(crate) id: u64,
    /// The status code, verbatim.
    pub(crate) status: Option<String>,
    pub(crate) message: String,
    /// `None`: a listing that does not tell the items.
    pub(crate) items: Option<Vec<Item>>,
    /// Assumed.
    pub(crate) created: Option<Timestamp>,
    pub(crate) due: Due,
    pub(crate) attributes: Struct,
    /// What of it could not be read. An item without an identifier is not among the items.
    pub(crate) gaps: Gaps,
}

/// One item of an order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Item {
    pub(crate) id: u64,
    pub(crate) status: Option<String>,
    /// The product, `name` upstream.
    pub(crate) product: String,
    /// The name that the request gave, verbatim.
    pub(crate) reference: String,
    pub(crate) message: String,
    /// Assumed.
    pub(crate) auto_renew: Option<bool>,
    pub(crate) attributes: Struct,
    /// What of it could not be read.
    pub(crate) gaps: Gaps,
}

/// What is to be paid. All of it is assumed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Due {
    pub(crate) invoice: Option<String>,
    pub(crate) amount: Option<ToldPrice>,
    pub(crate) until: Option<Timestamp>,
}

impl Order {
    /// Reads an order. Each member that cannot be read is a gap, and so is each item.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it has no identifier.
    pub(crate) fn read(mut members: Members, zone: &Zone) -> Result<Self> {
        let id = members.take_id("order_id")?;
        let mut gaps = Gaps::default();
        let rows = gaps.keep("order_items", members.take_rows("order_items"));
        let items = rows.map(|rows| {
            let read = rows.into_iter().enumerate().filter_map(|(row, item)| {
                let at = format!("order_items[{row}]");
                gaps.keep(&at, item.and_then(|item| Item::read(item, &at)).map(Some))
            });
            read.collect::<Vec<Item>>()
        });
        for item in items.iter().flatten() {
            gaps.extend(&item.gaps);
        }
        let mut order = Self {
            id,
            status: members.take_text("status"),
            message: members.take_text("message").unwrap_or_default(),
            items,
            created: members.take_moment("created", zone),
            due: Due::take(&mut members, zone),
            attributes: Struct::default(),
            gaps,
        };
        members.note_left("", &["status", "message", "created", "due", "invoice"], &mut order.gaps);
        order.attributes = members.rest();
        Ok(order)
    }

    /// The items, where they are told.
    pub(crate) fn items(&self) -> &[Item] {
        self.items.as_deref().unwrap_or_default()
    }
}

impl Item {
    /// Reads the item at a place.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it has no identifier.
    fn read(mut members: Members, at: &str) -> Result<Self> {
        let mut item = Self {
            id: members.take_id("id")?,
            status: members.take_text("status"),
            product: members.take_text("name").unwrap_or_default(),
            reference: members.take_text("reference").unwrap_or_default(),
            message: members.take_text("message").unwrap_or_default(),
            auto_renew: members.take_bool("auto_renew"),
            attributes: Struct::default(),
            gaps: Gaps::default(),
        };
        let placed = ["status", "name", "reference", "message", "auto_renew"];
        members.note_left(&format!("{at}."), &placed, &mut item.gaps);
        if item.product.is_empty() && item.gaps.is_empty() {
            item.gaps.add(format!("{at}.name"), &not_understood("name"));
        }
        item.attributes = members.rest();
        Ok(item)
    }
}

impl Due {
    pub(crate) fn take(members: &mut Members, zone: &Zone) -> Self {
        Self {
            invoice: members.take_text("invoice"),
            amount: take_amount(members),
            until: members.take_moment("due", zone),
        }
    }
}

/// What is due; what is no amount hides nothing beside it.
fn take_amount(members: &mut Members) -> Option<ToldPrice> {
    let amount = members.take_raw("amount_due")?;
    let currency = members.take_text("currency").unwrap_or_default();
    Some(ToldPrice::of_json("amount_due", Some(&amount), &currency))
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::time::Zone;
    use purveyor_sdk::v1::price::Tax;

    use super::{Members, Order};

    fn read(json: &str) -> purveyor_sdk::Result<Order> {
        Order::read(Members::read(json.as_bytes())?, &Zone::UTC)
    }

    #[test]
    fn the_documents_example() {
        let order = read(
            r#"{"order_id":73,"status":200,"message":"Order is being processed","order_items":[
            {"id":1293,"status":200,"name":"VPS","reference":"My testserver 1","message":"m","x":1}]}"#,
        );
        let order = order.unwrap();
        assert_eq!((order.id, order.status.as_deref()), (73, Some("200")));
        let item = &order.items()[0];
        assert_eq!((item.id, item.product.as_str()), (1293, "VPS"));
        assert_eq!(item.reference, "My testserver 1");
        assert_eq!(item.attributes.fields.len(), 1);
    }

    #[test]
    fn amounts_in_any_spelling() {
        fn check(json: &str, amount: Option<&str>, display_text: &str) {
            let order = read(&format!("{{\"order_id\":1,{json}}}")).unwrap();
            let told = order.due.amount.unwrap();
            let price = told.price(Tax::Unspecified);
            let found = price.amount.map(|amount| amount.to_string());
            assert_eq!(found.as_deref(), amount, "{json}");
            assert_eq!(price.display_text, display_text, "{json}");
            assert_eq!(told.notice().is_some(), amount.is_none(), "{json}");
        }
        check(r#""amount_due":0.1"#, Some("0.1"), "");
        check(r#""amount_due":"0.30","currency":"NOK""#, Some("0.3 NOK"), "");
        check(r#""amount_due":"0.30","currency":"kr""#, Some("0.3"), "");
        check(r#""amount_due":1e3"#, Some("1000"), "");
        check(r#""amount_due":-99.00"#, Some("-99"), "");
        check(r#""amount_due":"99.0000000001""#, Some("99"), "99.0000000001");
        check(r#""amount_due":"1 200,-""#, None, "1 200,-");
        check(r#""amount_due":"""#, None, "");
        check(r#""amount_due":"NaN""#, None, "NaN");
        check(r#""amount_due":1e400"#, None, "1e400");
        check(r#""amount_due":{"nok":99}"#, None, r#"{"nok":99}"#);
        assert_eq!(read(r#"{"order_id":1,"amount_due":null}"#).unwrap().due.amount, None);
    }

    #[test]
    fn order_without_an_identifier_is_not_understood() {
        for json in ["{}", r#"{"order_id":"x"}"#, r#"{"order_id":0}"#] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn member_that_cannot_be_read_is_a_gap() {
        fn check(members: &str, items: usize, expected: &str) {
            let order = read(&format!(r#"{{"order_id":1,{members}}}"#)).unwrap();
            let notices = order.gaps.notices();
            assert_eq!((order.items().len(), notices.len()), (items, 1), "{members}");
            assert_eq!(notices[0].source, expected);
        }
        check(r#""message":["m"]"#, 0, "message");
        check(r#""created":"0000-00-00""#, 0, "created");
        check(r#""order_items":{}"#, 0, "order_items");
        check(r#""order_items":[1,{"id":2,"name":"VPS"}]"#, 0, "order_items");
        check(r#""order_items":[{"name":"VPS"},{"id":2,"name":"VPS"}]"#, 1, "order_items[0]");
        check(r#""order_items":[{"id":1}]"#, 1, "order_items[0].name");
        check(r#""order_items":[{"id":1,"id":1,"name":"VPS"}]"#, 0, "order_items[0]");
        check(r#""order_items":[{"id":1,"name":["VPS"]}]"#, 1, "order_items[0].name");
    }
}
