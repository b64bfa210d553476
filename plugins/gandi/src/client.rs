//! The upstream's methods, one function each: parameters in, structs out. A read whose answer cannot
//! be understood is an error; an answer to a spend that proves nothing is unknown. Nothing here is
//! sent twice, and no meaning is given to what is read.

use purveyor_sdk::money::ToldPrice;
use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::secrecy::{ExposeSecret, SecretString};
use purveyor_sdk::time::Zone;
use purveyor_sdk::v1::Price;
use purveyor_sdk::xmlrpc::{Response, Value};
use purveyor_sdk::{Cx, Error, Result};

use crate::config::Spelling;
use crate::error::{self, Verdict, proof};
use crate::model::{
    Account, Action, Catalog, Duration, Kind, Operation, balance, not_understood, text,
};

/// Operations and prices of one page: what the upstream answers when it is not told.
pub(crate) const PAGE: usize = 100;

/// The most pages of one listing: a listing that does not end must not be followed for ever.
const MAX_PAGES: usize = 200;

/// The way to one account.
pub(crate) struct Client {
    pub(crate) key: SecretString,
    pub(crate) zone: Zone,
    pub(crate) spelling: Spelling,
}

/// How a spend was answered.
#[derive(Debug)]
pub(crate) enum Spent<T> {
    /// The upstream took it.
    Accepted(T),
    /// Nothing was done; which declared proof says so, and the error for the caller.
    Refused { proof: &'static str, error: Error },
    /// The answer does not tell.
    Unknown(String),
}

/// Which operations to list, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing<'a> {
    pub(crate) kind: Option<Kind>,
    /// Any of these; empty: all.
    pub(crate) steps: &'a [&'a str],
    /// Any of these; empty: all.
    pub(crate) ids: &'a [i64],
    /// Created after this time, in the upstream's spelling.
    pub(crate) after: Option<String>,
    pub(crate) page: usize,
    pub(crate) size: usize,
}

/// Operations that were listed.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    pub(crate) rows: Vec<Operation>,
    /// Why rows have no identifier that can be read: they cannot be shown, and may be any.
    pub(crate) nameless: Vec<Error>,
}

impl Operations {
    /// How many rows the upstream listed.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() + self.nameless.len()
    }
}

impl Client {
    /// `version.info`: the API's version, verbatim.
    pub(crate) async fn version(&self, cx: &Cx) -> Result<String> {
        let value = self.read(cx, "version.info", &[]).await?;
        let version = text(&value, "api_version")?;
        Ok(version.ok_or_else(|| not_understood("api_version"))?.to_owned())
    }

    /// `contact.balance`: the prepaid account; `None` where there is none.
    pub(crate) async fn balance(&self, cx: &Cx) -> Result<Option<ToldPrice>> {
        Ok(balance(&self.read(cx, "contact.balance", &[]).await?))
    }

    /// `hosting.account.info`.
    pub(crate) async fn account(&self, cx: &Cx) -> Result<Account> {
        Account::read(&self.read(cx, "hosting.account.info", &[]).await?, &self.zone)
    }

    /// `operation.info`. ORDER_NOT_FOUND where there is no such operation.
    pub(crate) async fn operation(&self, cx: &Cx, id: i64) -> Result<Operation> {
        let value = self.read(cx, "operation.info", &[Value::Int(id)]).await?;
        let operation = Operation::read(&value, &self.zone)?;
        if operation.id == id { Ok(operation) } else { Err(not_understood("id")) }
    }

    /// `operation.list`: one page, the newest first.
    pub(crate) async fn operations(&self, cx: &Cx, listing: Listing<'_>) -> Result<Operations> {
        let count = |number: usize| i64::try_from(number).map(Value::Int).unwrap_or(Value::Int(0));
        let words = |words: &[&str]| words.iter().map(|word| Value::from(*word)).collect();
        let mut opts = vec![
            ("page", count(listing.page)),
            ("items_per_page", count(listing.size)),
            ("sort_by", "date_created DESC".into()),
        ];
        opts.extend(listing.kind.map(|kind| ("type", kind.word().into())));
        opts.extend(listing.after.map(|after| (">date_created", Value::DateTime(after))));
        if !listing.steps.is_empty() {
            opts.push(("step", Value::Array(words(listing.steps))));
        }
        if !listing.ids.is_empty() {
            let ids = listing.ids.iter().copied().map(Value::Int).collect();
            opts.push(("id", Value::Array(ids)));
        }
        let value = self.read(cx, "operation.list", &[structure(opts)]).await?;
        let rows = value.as_array().ok_or_else(|| not_understood("operation.list"))?;
        let mut listed = Operations::default();
        for row in rows {
            match Operation::read(row, &self.zone) {
                Ok(operation) => listed.rows.push(operation),
                Err(error) => listed.nameless.push(error),
            }
        }
        Ok(listed)
    }

    /// All pages of a listing, the newest first, until one shows the operation `lowest`,
    /// or a lower one.
    pub(crate) async fn all_operations(
        &self,
        cx: &Cx,
        listing: Listing<'_>,
        lowest: i64,
    ) -> Result<Operations> {
        let mut all = Operations::default();
        for page in 0..MAX_PAGES {
            let listing = Listing { page, size: PAGE, ..listing.clone() };
            let page = self.operations(cx, listing).await?;
            let last = page.len() < PAGE || page.rows.iter().any(|row| row.id <= lowest);
            all.rows.extend(page.rows);
            all.nameless.extend(page.nameless);
            if last {
                return Ok(all);
            }
        }
        Err(Error::unavailable("the upstream's list of operations does not end"))
    }

    /// `catalog.list`: the prices of one action for these descriptions.
    pub(crate) async fn catalog(
        &self,
        cx: &Cx,
        action: Action,
        descriptions: &[&str],
        (currency, grid): (&str, &str),
    ) -> Result<Catalog> {
        let mut catalog = Catalog::default();
        let described = descriptions.iter().map(|text| Value::from(*text)).collect();
        let product =
            Value::from([("type", "hosting".into()), ("description", Value::Array(described))]);
        for page in 0..MAX_PAGES {
            let opts = Value::from([
                ("product", product.clone()),
                ("action", Value::from([("name", action.word().into())])),
                ("page", i64::try_from(page).map(Value::Int).unwrap_or(Value::Nil)),
            ]);
            let params = [opts, currency.into(), grid.into()];
            let value = self.read(cx, "catalog.list", &params).await?;
            let last = value.as_array().is_none_or(|entries| entries.len() < PAGE);
            catalog.extend(Catalog::read(&value, action, currency, grid)?);
            if last {
                return Ok(catalog);
            }
        }
        Err(Error::unavailable("the upstream's catalogue does not end"))
    }

    /// `hosting.product.create`. Spends.
    pub(crate) async fn create(
        &self,
        cx: &Cx,
        (name, quantity, duration): (&str, i32, Duration),
        price: Option<Price>,
    ) -> Result<Spent<Operation>> {
        let product = Value::from([
            ("duration", duration.word().into()),
            ("product_name", name.into()),
            ("quantity", Value::Int(quantity.into())),
        ]);
        self.spend(cx, "product.create", &[product], price).await
    }

    /// `hosting.product.renew`. Spends.
    pub(crate) async fn renew(
        &self,
        cx: &Cx,
        id: i64,
        duration: Duration,
        price: Option<Price>,
    ) -> Result<Spent<Operation>> {
        let product = Value::from([("duration", duration.word().into())]);
        self.spend(cx, "product.renew", &[Value::Int(id), product], price).await
    }

    /// `hosting.product.update`. Spends.
    pub(crate) async fn update(
        &self,
        cx: &Cx,
        id: i64,
        quantity: i32,
        price: Option<Price>,
    ) -> Result<Spent<Operation>> {
        let product = Value::from([("quantity", Value::Int(quantity.into()))]);
        self.spend(cx, "product.update", &[Value::Int(id), product], price).await
    }

    /// `hosting.product.delete`. Moves money: it may refund.
    pub(crate) async fn delete(&self, cx: &Cx, id: i64) -> Result<Spent<Operation>> {
        self.spend(cx, "product.delete", &[Value::Int(id)], None).await
    }

    /// `operation.cancel`. Moves money: what was paid comes back.
    pub(crate) async fn cancel(&self, cx: &Cx, id: i64) -> Result<Spent<()>> {
        let call = "operation.cancel";
        Ok(match self.answer(cx, call, call, &[Value::Int(id)], None).await? {
            Spent::Accepted(Value::Boolean(true) | Value::Int(1)) => Spent::Accepted(()),
            Spent::Accepted(_) => Spent::Unknown("operation.cancel did not answer true".to_owned()),
            Spent::Refused { proof, error } => Spent::Refused { proof, error },
            Spent::Unknown(message) => Spent::Unknown(message),
        })
    }

    /// A time so many seconds before one that the upstream wrote, in its spelling.
    pub(crate) fn earlier(&self, text: &str, seconds: i64) -> Result<String> {
        self.before(&self.zone.moment(text)?, seconds)
    }

    /// A time so many seconds before a moment, in the upstream's spelling.
    pub(crate) fn before(&self, moment: &Timestamp, seconds: i64) -> Result<String> {
        let seconds = moment.seconds.saturating_sub(seconds);
        self.zone.xml_rpc(&Timestamp { seconds, nanos: 0 })
    }

    async fn read(&self, cx: &Cx, method: &str, params: &[Value]) -> Result<Value> {
        let answer = cx.http().call(method).xml_rpc(method, &self.keyed(params)).send().await?;
        if answer.status != 200 {
            return Err(answer.not_understood());
        }
        match answer.xml_rpc()? {
            Response::Value(value) => Ok(value),
            Response::Fault { code, string } => Err(error::of_read(code, &string)),
        }
    }

    async fn spend(
        &self,
        cx: &Cx,
        call: &str,
        params: &[Value],
        price: Option<Price>,
    ) -> Result<Spent<Operation>> {
        let method = self.spelled(call);
        Ok(match self.answer(cx, call, &method, params, price).await? {
            Spent::Accepted(Value::Nil) => {
                Spent::Refused { proof: proof::NIL, error: error::emptied() }
            }
            Spent::Accepted(value) => match Operation::read(&value, &self.zone) {
                Ok(operation) => Spent::Accepted(operation),
                Err(error) => Spent::Unknown(error.message),
            },
            Spent::Refused { proof, error } => Spent::Refused { proof, error },
            Spent::Unknown(message) => Spent::Unknown(message),
        })
    }

    /// Sends what must be sent at most once. An error is the host's, which knows what became of it.
    async fn answer(
        &self,
        cx: &Cx,
        call: &str,
        method: &str,
        params: &[Value],
        price: Option<Price>,
    ) -> Result<Spent<Value>> {
        let request = cx.http().call(call).xml_rpc(method, &self.keyed(params)).price(price);
        let answer = request.send().await?;
        if answer.status != 200 {
            return Ok(Spent::Unknown(format!(
                "the upstream answered with status {}",
                answer.status
            )));
        }
        Ok(match answer.xml_rpc() {
            Ok(Response::Value(value)) => Spent::Accepted(value),
            Ok(Response::Fault { code, string }) => match error::of_write(code, &string) {
                Verdict::Refused { proof, error } => Spent::Refused { proof, error },
                Verdict::Unknown(message) => Spent::Unknown(message),
            },
            Err(error) => Spent::Unknown(error.message),
        })
    }

    /// The method of a call as the configuration spells it. Deleting has no short spelling in the
    /// documents.
    fn spelled(&self, call: &str) -> String {
        match self.spelling {
            Spelling::Short if call != "product.delete" => call.to_owned(),
            Spelling::Short | Spelling::Hosting => format!("hosting.{call}"),
        }
    }

    /// The API key is the first parameter of every method.
    fn keyed(&self, params: &[Value]) -> Vec<Value> {
        let mut keyed = vec![Value::from(self.key.expose_secret())];
        keyed.extend_from_slice(params);
        keyed
    }
}

fn structure(members: Vec<(&str, Value)>) -> Value {
    Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
