//! What each method answers, and which fault each mistake gets.

use std::time::Duration;

use dxr::Value;
use purveyor_simulators::gandi::{CatalogStyle, Mode, NullStyle};

use crate::client::{
    Failure, KEY, call, call_raw, id, int, items, member, number, product, product_named, products,
    record, start, start_at, string, text,
};

#[tokio::test]
async fn a_purchase_becomes_a_product() {
    let simulator = start(Mode::default()).await;
    let url = simulator.url();
    let before = products(url).await.len();
    for method in ["hosting.product.create", "product.create"] {
        let operation = call(url, method, [product("disk", 3, "12m")]).await.unwrap();
        assert_eq!(string(member(&operation, "type")), "hosting_account_product_add");
        assert_eq!(string(member(&operation, "step")), "BILL");
        assert_eq!(string(member(&operation, "source")), "AB3917-GANDI");
        assert_eq!(member(&operation, "date_start"), &text(""));
        let infos = member(&operation, "infos");
        assert_eq!(string(member(infos, "product_name")), "disk");
        assert_eq!(string(member(infos, "product_action")), "add");
        assert_eq!(number(member(infos, "quantity")), 3);
        assert_eq!(member(infos, "id"), &text(""), "operations tell the product by default");
        let done = call(url, "operation.info", [int(id(&operation))]).await.unwrap();
        assert_eq!(string(member(&done, "step")), "DONE");
    }
    assert_eq!(products(url).await.len(), before + 2);
    let disk = product_named(url, "disk").await;
    assert_eq!(string(member(&disk, "duration")), "1y");
    assert_eq!(number(member(&disk, "quantity")), 3);
    assert!(items(member(&disk, "errors_for_renewing")).is_empty());
}

#[tokio::test]
async fn mistakes_get_their_documented_faults() {
    let simulator = start(Mode::default()).await;
    let url = simulator.url();
    let create = "hosting.product.create";
    let free = number(member(&product_named(url, "ips").await, "id"));
    let cases = [
        (create, vec![product("bread", 1, "1m")], 535_130),
        (create, vec![product("disk", 0, "1m")], 571_530),
        (create, vec![product("disk", -1, "1m")], 571_530),
        (create, vec![product("disk", 1, "2m")], 570_530),
        (create, vec![product("disk", i32::MAX, "1m")], 521_163),
        (create, vec![record([("duration", text("1m"))])], 501_532),
        (create, vec![text("disk")], 501_510),
        (create, vec![], 501_632),
        (create, vec![product("disk", 1, "1m"), int(1)], 501_633),
        ("hosting.product.renew", vec![int(1), record([("duration", text("1m"))])], 535_140),
        ("hosting.product.renew", vec![int(free), record([("duration", text("1m"))])], 535_160),
        ("hosting.product.renew", vec![text("1"), record([("duration", text("1m"))])], 501_010),
        ("hosting.product.update", vec![int(1), record([("quantity", int(1))])], 535_140),
        ("hosting.product.update", vec![int(1), record([("quantity", text("1"))])], 571_510),
        ("hosting.product.delete", vec![int(1)], 535_140),
        ("hosting.product.delete", vec![text("x")], 501_010),
        ("operation.info", vec![int(1)], 510_242),
        ("operation.cancel", vec![int(1)], 510_242),
        ("operation.list", vec![record([("colour", text("red"))])], 501_533),
        ("operation.list", vec![record([("items_per_page", int(0))])], 501_030),
        ("operation.list", vec![record([(">date_created", text("yesterday"))])], 501_310),
        ("catalog.list", vec![record([])], 501_532),
        ("hosting.account.credit", vec![record([])], 1),
    ];
    for (method, params, expected) in cases {
        let shown = format!("{method} {params:?}");
        let failure = call(url, method, params).await.unwrap_err();
        assert_eq!(failure.code(), Some(expected), "{shown}: {failure:?}");
    }
    let mut extra = product("disk", 1, "1m");
    if let Value::Struct(members) = &mut extra {
        members.insert("colour".to_owned(), text("red"));
    }
    assert_eq!(call(url, create, [extra]).await.unwrap_err().code(), Some(501_533));
    assert!(simulator.ledger().is_empty());
}

#[tokio::test]
async fn keys_are_checked_before_anything_else() {
    let simulator = start(Mode::default()).await;
    let check = async |params: Vec<Value>, code: i32, reason: &str| {
        let failure = call_raw(simulator.url(), "version.info", params).await.unwrap_err();
        assert_eq!(failure, Failure::Fault(code, reason.to_owned()));
    };
    let malformed = "Error on object : OBJECT_STRING (CAUSE_BADPARAMETER) \
        [API key does not match ^[a-z0-9]{24}$]";
    let wrong = "Error on object : OBJECT_ACCOUNT (CAUSE_NORIGHT) [Invalid API key]";
    check(vec![text("short")], 501_237, malformed).await;
    check(vec![text(&KEY.to_uppercase())], 501_237, malformed).await;
    check(vec![text(&"0".repeat(24))], 510_150, wrong).await;
    let none = "Error on object : OBJECT_METHOD (CAUSE_EXPECTED) [an API key is due]";
    check(vec![], 501_632, none).await;
    let unknown = call(simulator.url(), "a.b", []).await.unwrap_err();
    assert_eq!(unknown, Failure::Fault(1, "Method \"a.b\" is not supported".to_owned()));
}

#[tokio::test]
async fn nothing_is_bought_from_the_emptied_api() {
    let check = async |mode: Mode| {
        let simulator = start(mode).await;
        let bought = call(simulator.url(), "hosting.product.create", [product("disk", 1, "1m")]);
        assert_eq!(bought.await, Ok(Value::Nil));
        assert!(simulator.ledger().is_empty());
    };
    check(Mode { emptied: true, ..Mode::default() }).await;
    check(Mode { rating: true, ..Mode::default() }).await;
}

#[tokio::test]
async fn an_account_billed_by_credits_has_no_products() {
    let mode = Mode { rating: true, null_style: NullStyle::Nil, ..Mode::default() };
    let simulator = start(mode).await;
    let account = call(simulator.url(), "hosting.account.info", []).await.unwrap();
    assert_eq!(member(&account, "products"), &Value::Nil);
    assert_eq!(member(&account, "rating_enabled"), &Value::Boolean(true));
    assert_eq!(member(member(&account, "resources"), "granted"), &Value::Nil);
}

#[tokio::test]
async fn an_account_tells_its_products_and_resources() {
    let simulator = start(Mode::default()).await;
    let account = call(simulator.url(), "hosting.account.info", []).await.unwrap();
    assert_eq!(string(member(&account, "handle")), "AB3917-GANDI");
    let resources = member(&account, "resources");
    assert_eq!(member(member(resources, "granted"), "bandwidth"), &Value::Double(61_440.0));
    assert_eq!(member(member(resources, "available"), "bandwidth"), &int(61_440));
    assert_eq!(member(member(resources, "available"), "cores"), &int(3));
    let fixed = product_named(simulator.url(), "shares_fixed").await;
    assert_eq!(string(member(&fixed, "date_end")), "");
    let errors = |name: &str| -> Vec<String> {
        items(member(&fixed, name)).iter().map(|error| string(error).to_owned()).collect()
    };
    let both = ["product_name_does_not_match", "no_action_on_free_product"];
    assert_eq!(errors("errors_for_renewing"), both);
    assert_eq!(errors("errors_for_releasing"), ["db_can_not_release"]);
    assert!(errors("errors_for_removing").is_empty());
}

#[tokio::test]
async fn the_balance_is_text() {
    let simulator = start(Mode::default()).await;
    for method in ["contact.balance", "contact.info"] {
        let contact = call(simulator.url(), method, []).await.unwrap();
        let prepaid = member(&contact, "prepaid");
        assert_eq!(string(member(prepaid, "amount")), "1337.42");
        assert_eq!(string(member(prepaid, "currency")), "EUR");
    }
}

#[tokio::test]
async fn methods_tell_about_themselves() {
    let simulator = start(Mode::default()).await;
    let url = simulator.url();
    let names = call_raw(url, "system.listMethods", vec![]).await.unwrap();
    for name in ["hosting.product.create", "product.create", "operation.list", "version.info"] {
        assert!(items(&names).contains(&text(name)), "{name}");
        let help = call_raw(url, "system.methodHelp", vec![]).await.unwrap_err();
        assert_eq!(help.code(), Some(1));
        let help = call_raw(url, "system.methodHelp", vec![text(name)]).await.unwrap();
        assert!(!string(&help).is_empty());
    }
    assert!(!items(&names).contains(&text("hosting.account.credit")));
    let signature = call_raw(url, "system.methodSignature", vec![text("operation.info")]).await;
    let types = ["struct", "string", "int"].map(text).to_vec();
    assert_eq!(signature, Ok(Value::Array(vec![Value::Array(types)])));
    let version = call(url, "version.info", []).await.unwrap();
    assert_eq!(string(member(&version, "api_version")), "3.1.2");
}

#[tokio::test]
async fn the_catalog_prices_what_it_is_asked_for() {
    let simulator = start(Mode::default()).await;
    let list = async |product: Value, action: Value, currency: &str| {
        let opts = record([("product", product), ("action", action)]);
        call(simulator.url(), "catalog.list", [opts, text(currency)]).await
    };
    let hosting = || record([("type", text("hosting"))]);
    let shares = || record([("type", text("hosting")), ("description", text("shares"))]);
    let add = || record([("name", text("add"))]);
    assert_eq!(items(&list(hosting(), record([]), "EUR").await.unwrap()).len(), 15);
    assert_eq!(items(&list(hosting(), add(), "EUR").await.unwrap()).len(), 5);
    let domains = record([("type", text("domain"))]);
    assert!(items(&list(domains, add(), "EUR").await.unwrap()).is_empty());
    assert_eq!(list(hosting(), add(), "XXX").await.unwrap_err().code(), Some(570_130));

    let entries = list(shares(), add(), "EUR").await.unwrap();
    let prices = member(&items(&entries)[0], "unit_price").clone();
    assert_eq!(items(&prices).len(), 2);
    let a_year = record([("name", text("add")), ("duration", Value::Double(12.0))]);
    let yearly = list(shares(), a_year, "EUR").await.unwrap();
    let yearly = items(member(&items(&yearly)[0], "unit_price")).to_vec();
    assert_eq!(
        yearly.iter().map(|p| string(member(p, "duration_unit"))).collect::<Vec<_>>(),
        ["y"]
    );
    let of = |unit: &str| {
        let prices = items(&prices);
        let price = prices.iter().find(|price| string(member(price, "duration_unit")) == unit);
        member(price.unwrap(), "price").clone()
    };
    assert_eq!((of("m"), of("y")), (Value::Double(12.0), Value::Double(120.0)));
}

#[tokio::test]
async fn the_catalog_may_know_no_prices() {
    let check = async |catalog: CatalogStyle, expected: usize| {
        let simulator = start(Mode { catalog, ..Mode::default() }).await;
        let opts = record([("product", record([("type", text("hosting"))]))]);
        let entries = call(simulator.url(), "catalog.list", [opts]).await.unwrap();
        assert_eq!(items(&entries).len(), expected);
        for entry in items(&entries) {
            assert!(items(member(entry, "unit_price")).is_empty());
        }
    };
    check(CatalogStyle::Unpriced, 15).await;
    check(CatalogStyle::Absent, 0).await;
}

#[tokio::test]
async fn a_dry_run_lists_mistakes_and_buys_nothing() {
    let simulator = start(Mode::default()).await;
    let run = async |name: &str, quantity: i32| {
        let mut params = product(name, quantity, "1m");
        if let Value::Struct(members) = &mut params {
            members.insert("--dry-run".to_owned(), Value::Boolean(true));
        }
        call(simulator.url(), "hosting.product.create", [params]).await.unwrap()
    };
    assert!(items(&run("disk", 1).await).is_empty());
    let mistakes = run("bread", 0).await;
    let fields: Vec<&str> =
        items(&mistakes).iter().map(|mistake| string(member(mistake, "field"))).collect();
    assert_eq!(fields, ["product_name", "quantity"]);
    let short = run("shares", 1000).await;
    assert_eq!(string(member(&items(&short)[0], "error")), "CAUSE_NOT_ENOUGH_MONEY");
    assert!(simulator.ledger().is_empty());
    assert_eq!(products(simulator.url()).await.len(), 2);
}

#[tokio::test]
async fn calls_beyond_the_rate_are_refused() {
    let mode = Mode { rate_limit: true, ..Mode::default() };
    let simulator = start_at("2011-03-24T15:49:50Z", "100", mode).await;
    let version = async || call(simulator.url(), "version.info", []).await;
    for _ in 0..30 {
        assert!(version().await.is_ok());
    }
    assert_eq!(version().await.unwrap_err().code(), Some(510_135));
    simulator.advance(Duration::from_secs(2));
    assert!(version().await.is_ok());
}
