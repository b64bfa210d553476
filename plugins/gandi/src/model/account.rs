//! The hosting account: who it is, and the products that it has. What may be done with a product is
//! the upstream's word, in its lists of errors.

use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::prost_types::{Struct, Timestamp};
use purveyor_sdk::rows::Gaps;
use purveyor_sdk::time::Zone;
use purveyor_sdk::v1::ErrorReason;
use purveyor_sdk::xmlrpc::Value;
use purveyor_sdk::{Error, Result};

use super::field;

/// What `hosting.account.info` answers.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) handle: Option<String>,
    /// Billed by credits, the later model, in which products do not exist any more.
    pub(crate) rating: bool,
    products: Option<Vec<Owned>>,
    /// Why products have no identifier that can be read: they cannot be shown, and may be any.
    pub(crate) nameless: Vec<Error>,
    /// All members but the products.
    pub(crate) attributes: Struct,
}

/// A product that the account has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owned {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) quantity: Option<i64>,
    pub(crate) duration: Option<String>,
    pub(crate) created: Option<Timestamp>,
    /// When what is paid for ends; a product that costs nothing has no end.
    pub(crate) end: Option<Timestamp>,
    pub(crate) in_redemption: bool,
    pub(crate) auto_renews: Option<bool>,
    /// Why the quantity cannot be changed; empty: it can; `None`: the upstream does not tell.
    pub(crate) errors_for_updating: Option<Vec<String>>,
    /// Why it cannot be deleted, likewise.
    pub(crate) errors_for_removing: Option<Vec<String>>,
    /// Why it cannot be renewed, likewise.
    pub(crate) errors_for_renewing: Option<Vec<String>>,
    /// All other members, and those that could not be read.
    pub(crate) attributes: Struct,
    /// What of it could not be read.
    pub(crate) gaps: Gaps,
}

impl Account {
    /// Reads the account.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it cannot be understood.
    pub(crate) fn read(value: &Value, zone: &Zone) -> Result<Self> {
        if !matches!(value, Value::Struct(_)) {
            return Err(field::not_understood("hosting.account.info"));
        }
        let mut nameless = Vec::new();
        let products = field::present(value, "products").map(|products| -> Result<_> {
            let products = products.as_array().ok_or_else(|| field::not_understood("products"))?;
            let read = products.iter().map(|product| Owned::read(product, zone));
            let read = read.filter_map(|row| row.map_err(|error| nameless.push(error)).ok());
            Ok(read.collect::<Vec<_>>())
        });
        let products = products.transpose()?;
        Ok(Self {
            handle: field::text(value, "handle")?.map(str::to_owned),
            rating: field::truth(value, "rating_enabled")?.unwrap_or(false),
            products,
            nameless,
            attributes: field::rest(value, &["products"]),
        })
    }

    /// Whether the product methods do nothing for this account any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.products.is_none() && self.rating
    }

    /// The products; an account that names none has none.
    ///
    /// # Errors
    ///
    /// UPSTREAM_API_GONE for an account of the later billing model.
    pub(crate) fn products(&self) -> Result<&[Owned]> {
        if self.is_gone() {
            let message = "the account is billed by credits, and its product methods do nothing";
            return Err(Error::new(ErrorReason::UpstreamApiGone, message));
        }
        Ok(self.products.as_deref().unwrap_or_default())
    }
}

impl Owned {
    /// The members that have a place in a service.
    const PLACED: [&str; 10] = [
        "id",
        "product_name",
        "quantity",
        "duration",
        "date_created",
        "date_end",
        "autorenew",
        "errors_for_updating",
        "errors_for_removing",
        "errors_for_renewing",
    ];

    /// Reads a product. Each member that cannot be read is a gap, and stands in the attributes as it came.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE where it has no identifier.
    fn read(value: &Value, zone: &Zone) -> Result<Self> {
        let id = field::int(value, "id")?.filter(|id| *id > 0);
        let id = id.ok_or_else(|| field::not_understood("products[].id"))?;
        let mut gaps = Gaps::default();
        let name = field::text(value, "product_name")
            .and_then(|name| name.ok_or_else(|| field::not_understood("product_name")));
        // What an automatic renewal looks like is recorded nowhere but as nothing.
        let auto_renews = field::truth(value, "autorenew").ok().flatten();
        let mut owned = Self {
            id,
            name: gaps.keep("product_name", name.map(str::to_owned)),
            quantity: gaps.keep("quantity", field::int(value, "quantity")),
            duration: gaps.keep("duration", field::text(value, "duration")).map(str::to_owned),
            created: gaps.keep("date_created", field::moment(value, "date_created", zone)),
            end: gaps.keep("date_end", field::moment(value, "date_end", zone)),
            in_redemption: gaps
                .keep("is_in_redemption", field::truth(value, "is_in_redemption"))
                .unwrap_or(false),
            auto_renews,
            errors_for_updating: errors(value, "errors_for_updating", &mut gaps),
            errors_for_removing: errors(value, "errors_for_removing", &mut gaps),
            errors_for_renewing: errors(value, "errors_for_renewing", &mut gaps),
            ..Self::default()
        };
        let is_shown =
            |name: &&str| !gaps.has(name) && (*name != "autorenew" || auto_renews.is_some());
        let placed: Vec<_> = Self::PLACED.into_iter().filter(|name| is_shown(name)).collect();
        owned.attributes = field::rest(value, &placed);
        owned.gaps = gaps;
        Ok(owned)
    }

    /// Refuses a write that depends on what could not be read of it.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE.
    pub(crate) fn check_whole(&self) -> Result<()> {
        self.gaps.check(&format!("service {}", self.id))
    }
}

fn errors(value: &Value, name: &str, gaps: &mut Gaps) -> Option<Vec<String>> {
    gaps.keep(name, field::texts(value, name))
}

/// The prepaid account of a contact; `None` where the contact has none.
pub(crate) fn balance(contact: &Value) -> Option<ToldPrice> {
    let prepaid = field::present(contact, "prepaid")?;
    let currency = field::present(prepaid, "currency").map(field::written).unwrap_or_default();
    field::price(prepaid, "amount", "contact.balance.prepaid", &currency)
}

#[cfg(test)]
mod tests {
    use super::{Account, balance};
    use purveyor_sdk::time::Zone;
    use purveyor_sdk::v1::ErrorReason;
    use purveyor_sdk::v1::price::Tax;
    use purveyor_sdk::xmlrpc::Value;

    fn product(more: &[(&str, Value)]) -> Value {
        let mut members = vec![
            ("id", Value::Int(11_153)),
            ("product_name", "shares_fixed".into()),
            ("quantity", Value::Double("12.0".to_owned())),
            ("duration", "1y".into()),
            ("date_end", "".into()),
            ("autorenew", "".into()),
            ("redemption", Value::Int(7)),
            ("errors_for_updating", Value::Array(vec!["no_action_on_free_product".into()])),
            ("errors_for_removing", Value::Array(vec![])),
        ];
        members.extend_from_slice(more);
        Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn account(products: Value, rating: Value) -> Value {
        Value::from([
            ("handle", "AB3917-GANDI".into()),
            ("products", products),
            ("rating_enabled", rating),
        ])
    }

    #[test]
    fn recorded_products_are_read() {
        let value = account(Value::Array(vec![product(&[])]), Value::Nil);
        let account = Account::read(&value, &Zone::UTC).unwrap();
        let owned = &account.products().unwrap()[0];
        assert_eq!(
            (owned.id, owned.name.as_str(), owned.quantity),
            (11_153, "shares_fixed", Some(12))
        );
        assert_eq!((owned.end, owned.in_redemption, owned.auto_renews), (None, false, None));
        assert_eq!(owned.errors_for_updating.as_deref().unwrap().len(), 1);
        assert_eq!(owned.errors_for_removing.as_deref(), Some(&[][..]));
        assert_eq!(owned.errors_for_renewing, None);
        let names: Vec<_> = owned.attributes.fields.keys().map(String::as_str).collect();
        assert_eq!(names, ["autorenew", "redemption"]);
    }

    #[test]
    fn an_account_is_gone_only_when_it_says_so() {
        fn check(products: Value, rating: Value, expected: Result<usize, ErrorReason>) {
            let account = Account::read(&account(products, rating), &Zone::UTC).unwrap();
            let found = account.products().map(<[_]>::len).map_err(|error| error.reason);
            assert_eq!(found, expected);
        }
        let gone = Err(ErrorReason::UpstreamApiGone);
        check(Value::Nil, Value::Boolean(true), gone);
        check(Value::from(""), Value::Boolean(true), gone);
        check(Value::Nil, Value::Boolean(false), Ok(0));
        check(Value::from(""), Value::Nil, Ok(0));
        check(Value::Array(vec![]), Value::Boolean(true), Ok(0));
    }

    #[test]
    fn member_that_cannot_be_read_is_a_gap_of_its_row() {
        fn check(name: &str, member: Value) {
            let rows = vec![product(&[(name, member)]), product(&[("id", Value::Int(2))])];
            let account = account(Value::Array(rows), Value::Nil);
            let account = Account::read(&account, &Zone::UTC).unwrap();
            let [bad, good] = account.products().unwrap() else { panic!("{account:?}") };
            assert!((bad.id, good.id) == (11_153, 2) && good.gaps.is_empty(), "{name}");
            let notices = bad.gaps.notices();
            assert_eq!((notices.len(), notices[0].source.as_str()), (1, name));
            assert!(bad.attributes.fields.contains_key(name), "{name}");
        }
        let zero = || Value::DateTime("00000000T00:00:00".to_owned());
        check("date_created", zero());
        check("date_end", zero());
        check("date_end", Value::Int(5));
        check("quantity", Value::from("12"));
        check("duration", Value::Int(12));
        check("is_in_redemption", Value::from("no"));
        check("product_name", Value::Nil);
        for name in ["errors_for_updating", "errors_for_removing", "errors_for_renewing"] {
            check(name, Value::Boolean(false));
        }
    }

    #[test]
    fn product_without_an_identifier_hides_no_other() {
        fn check(value: Value) {
            let account = account(Value::Array(vec![value, product(&[])]), Value::Nil);
            let account = Account::read(&account, &Zone::UTC).unwrap();
            assert_eq!((account.products().unwrap().len(), account.nameless.len()), (1, 1));
        }
        check(Value::Nil);
        check(Value::from([("product_name", "shares".into())]));
        check(product(&[("id", Value::from("x"))]));
        assert!(Account::read(&Value::Nil, &Zone::UTC).is_err());
    }

    #[test]
    fn balances() {
        fn check(contact: Value, expected: Option<(&str, &str)>) {
            let found = balance(&contact).map(|told| {
                let shown = told.price(Tax::Unspecified);
                let amount = shown.amount.map(|amount| amount.to_decimal().unwrap());
                (amount.unwrap_or(shown.display_text), shown.upstream_currency)
            });
            let found = found.as_ref().map(|(amount, word)| (amount.as_str(), word.as_str()));
            assert_eq!(found, expected, "{contact:?}");
        }
        let prepaid = |amount: Value, currency: Value| {
            Value::from([("prepaid", Value::from([("amount", amount), ("currency", currency)]))])
        };
        check(prepaid("1337.42".into(), "EUR".into()), Some(("1337.42", "EUR")));
        check(prepaid(Value::Double("0.10".to_owned()), "EUR".into()), Some(("0.1", "EUR")));
        check(prepaid(Value::Int(5), Value::Nil), Some(("5", "")));
        check(prepaid(Value::from("1,337.42"), "EUR".into()), Some(("1,337.42", "EUR")));
        check(prepaid(Value::Boolean(true), Value::Int(1)), Some(("true", "1")));
        check(prepaid(Value::Nil, "EUR".into()), None);
        check(Value::from([("prepaid", Value::from(""))]), None);
    }
}
