//! Orders, as order_status and order_list tell of them.

use purveyor_sdk::Result;
use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::prost_types::{Struct, Timestamp};
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
}

/// What is to be paid. All of it is assumed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Due {
    pub(crate) invoice: Option<String>,
    pub(crate) amount: Option<ToldPrice>,
    pub(crate) until: Option<Timestamp>,
}

impl Order {
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it is not as the document shows it.
    pub(crate) fn read(mut members: Members, zone: &Zone) -> Result<Self> {
        let items = members.take_rows("order_items")?;
        let items = items.map(|rows| rows.into_iter().map(Item::read).collect::<Result<_>>());
        Ok(Self {
            id: members.take_id("order_id")?,
            status: members.take_text("status"),
            message: members.take_text("message").unwrap_or_default(),
            items: items.transpose()?,
            created: members.take_moment("created", zone),
            due: Due::take(&mut members, zone),
            attributes: members.rest(),
        })
    }

    /// The items, where they are told.
    pub(crate) fn items(&self) -> &[Item] {
        self.items.as_deref().unwrap_or_default()
    }
}

impl Item {
    fn read(mut members: Members) -> Result<Self> {
        let product = members.take_text("name").ok_or_else(|| not_understood("name"))?;
        Ok(Self {
            id: members.take_id("id")?,
            status: members.take_text("status"),
            product,
            reference: members.take_text("reference").unwrap_or_default(),
            message: members.take_text("message").unwrap_or_default(),
            auto_renew: members.take_bool("auto_renew"),
            attributes: members.rest(),
        })
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
    fn what_is_not_as_documented_is_not_understood() {
        for json in [
            "{}",
            r#"{"order_id":"x"}"#,
            r#"{"order_id":0}"#,
            r#"{"order_id":1,"order_items":{}}"#,
            r#"{"order_id":1,"order_items":[1]}"#,
            r#"{"order_id":1,"order_items":[{"id":1}]}"#,
            r#"{"order_id":1,"order_items":[{"name":"VPS"}]}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
