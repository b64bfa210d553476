//! Orders and their payments: what is shown of them, who may see the secrets, and what they are paid
//! with.

use purveyor_sdk::Result;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::serde_json::json;
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::{
    ErrorReason, GetOrderSecretsRequest, ListOrdersRequest, ListOrdersResponse,
    ListPaymentMethodsRequest, ListPaymentMethodsResponse, ListView, OrderSecrets, Payment,
};
use purveyor_simulators::ovh::{Lapsed, Mode, Options};

use super::driver::{
    Bench, PAY, amount, default_payment, method, order_name, pay_order, paypal, reason,
};

async fn methods(bench: &Bench, id: &str) -> Result<ListPaymentMethodsResponse> {
    let request = ListPaymentMethodsRequest { parent: order_name(id), ..Default::default() };
    bench.plugin.read(Op::ListPaymentMethods, &request, id).await
}

async fn list(bench: &Bench, request: ListOrdersRequest) -> Result<ListOrdersResponse> {
    bench.plugin.read(Op::ListOrders, &request, "").await
}

/// A bench whose plugin pays with the newer methods.
async fn with_methods() -> Bench {
    Bench::with(Options::default(), json!({ "payment_api": "method" })).await
}

#[tokio::test]
async fn an_order_in_full_and_its_secrets_apart() {
    let bench = Bench::new().await;
    let id = bench.unpaid().await;
    let order = bench.order(&id).await.unwrap();
    assert_eq!(
        (order.state(), order.name.as_str()),
        (State::AwaitingPayment, order_name(&id).as_str())
    );
    assert_eq!(amount(order.price_with_tax.as_ref()), "17.96 EUR");
    assert_eq!(amount(order.price_without_tax.as_ref()), "14.97 EUR");
    assert_eq!(amount(order.tax.as_ref()), "2.99 EUR");
    let price = order.price_with_tax.as_ref().unwrap();
    assert_eq!((price.tax(), price.display_text.as_str()), (Tax::Included, "17.96 €"));
    assert_eq!(order.price_without_tax.as_ref().unwrap().tax(), Tax::Excluded);
    assert_eq!(order.create_time.unwrap().seconds + 24 * 3600, order.expire_time.unwrap().seconds);
    assert_eq!((order.retraction_time, order.has_secrets), (None, true));
    let item = &order.items[0];
    assert_eq!((item.quantity, item.term.as_ref().unwrap().period.as_str()), (1, "P3M"));
    assert_eq!(item.upstream.as_ref().unwrap().r#type, "renew");
    assert!(!format!("{order:?}").contains("aBcD"), "a secret is shown");

    let request = GetOrderSecretsRequest { name: order_name(&id) };
    let secrets: OrderSecrets =
        bench.plugin.read(Op::GetOrderSecrets, &request, &id).await.unwrap();
    assert_eq!(secrets.password, "aBcD123456789");
    assert!(secrets.url.contains(&secrets.password) && secrets.pdf_url.contains(&secrets.password));
    for none in ["1", "x", ""] {
        assert_eq!(reason(bench.order(none).await), ErrorReason::OrderNotFound, "{none}");
        let read = bench.plugin.read::<OrderSecrets>(Op::GetOrderSecrets, &request, none).await;
        assert_eq!(reason(read.map(|_| ())), ErrorReason::OrderNotFound);
    }
}

#[tokio::test]
async fn secrets_are_declared() {
    let manifest = purveyor_sdk::testing::TestHost::<purveyor_ovh::Ovh>::manifest().unwrap();
    assert_eq!(manifest.secret_pointers, ["/password", "/url", "/pdfUrl"]);
}

#[tokio::test]
async fn currencies_that_are_none() {
    for (word, code) in [("CAD", "CAD"), (" INR", "INR"), ("points", "")] {
        let bench = Bench::new().await;
        bench.change_account(|account| account.currency = word.to_owned());
        let id = bench.unpaid().await;
        let price = bench.order(&id).await.unwrap().price_with_tax.unwrap();
        assert_eq!(price.amount.unwrap().currency_code, code);
        assert_eq!(price.upstream_currency, word);
    }
}

#[tokio::test]
async fn a_new_order_without_details() {
    let bench = Bench::in_mode(Mode { details_lag_ms: 60_000, ..Mode::default() }).await;
    let id = bench.unpaid().await;
    assert_eq!(bench.order(&id).await.unwrap().items, []);
    assert_eq!(bench.renewal(&id).await.unwrap().services, []);
}

#[tokio::test]
async fn orders_are_listed_newest_first() {
    let bench = Bench::new().await;
    let first = bench.unpaid().await;
    bench.upstream.advance(std::time::Duration::from_secs(100));
    let second = bench.unpaid().await;
    let all = ListOrdersRequest { parent: "providers/test".to_owned(), ..Default::default() };
    let ids = async |request: ListOrdersRequest| {
        let page = list(&bench, request).await.unwrap();
        let id = |order: &purveyor_sdk::v1::Order| order.upstream.as_ref().unwrap().id().to_owned();
        (page.orders.iter().map(id).collect::<Vec<_>>(), page.next_page_token)
    };
    let (both, end) = ids(all.clone()).await;
    assert_eq!((both, end.as_str()), (vec![second.clone(), first.clone()], ""));
    let (page, token) = ids(ListOrdersRequest { page_size: 1, ..all.clone() }).await;
    assert_eq!(page, std::slice::from_ref(&second));
    let rest = ListOrdersRequest { page_token: token, ..all.clone() };
    assert_eq!(ids(rest).await.0, std::slice::from_ref(&first));
    let made = bench.order(&second).await.unwrap().create_time;
    let new = ListOrdersRequest { create_after: made, ..all.clone() };
    assert_eq!(ids(new).await.0, std::slice::from_ref(&second));
    let full = ListOrdersRequest { view: ListView::Full.into(), ..all.clone() };
    let rows = list(&bench, full).await.unwrap().orders;
    assert_eq!(rows[0], bench.order(&second).await.unwrap());
    let paid = ListOrdersRequest { states: vec![State::Completed.into()], ..all.clone() };
    assert!(ids(paid).await.0.is_empty());
    let wrong = ListOrdersRequest { page_token: "x".to_owned(), ..all };
    assert_eq!(reason(list(&bench, wrong).await), ErrorReason::PageTokenInvalid);
}

#[tokio::test]
async fn what_an_order_can_be_paid_with() {
    let bench = Bench::new().await;
    let id = bench.unpaid().await;
    let told = |page: ListPaymentMethodsResponse| {
        let row = |it: &purveyor_sdk::v1::PaymentMethod| {
            format!("{} {} {}", it.r#type, it.id, it.is_default)
        };
        page.payment_methods.iter().map(row).collect::<Vec<_>>()
    };
    let means = told(methods(&bench, &id).await.unwrap());
    assert_eq!(means, ["paypal 1234 true", "creditCard 77 false", "fidelityAccount  false"]);
    assert_eq!(reason(methods(&bench, "1").await), ErrorReason::OrderNotFound);
    let bench = with_methods().await;
    let id = bench.unpaid().await;
    let newer = told(methods(&bench, &id).await.unwrap());
    let expected =
        ["PAYPAL 701234 true", "CREDIT_CARD 700077 false", "FIDELITY_ACCOUNT 700009 false"];
    assert_eq!(newer, expected);
    assert_eq!(reason(methods(&bench, "1").await), ErrorReason::OrderNotFound);
}

#[tokio::test]
async fn an_order_is_paid() {
    for payment in [paypal(), default_payment(), method("fidelityAccount", "")] {
        let bench = Bench::new().await;
        let id = bench.unpaid().await;
        let order = bench.plugin.run(&pay_order(&id, payment.clone())).await.order();
        assert_eq!(order.state(), State::Completed);
        assert_eq!((bench.made_and_paid(), bench.asked(PAY)), ((1, 1), 1), "{payment:?}");
    }
    for payment in [method("PAYPAL", "701234"), method("", "700077"), default_payment()] {
        let bench = with_methods().await;
        let id = bench.unpaid().await;
        let order = bench.plugin.run(&pay_order(&id, payment.clone())).await.order();
        assert_eq!(order.state(), State::Completed);
        assert_eq!((bench.made_and_paid(), bench.asked(PAY)), ((1, 1), 0), "{payment:?}");
    }
}

#[tokio::test]
async fn payments_that_are_refused_before_anything_is_sent() {
    let bench = Bench::new().await;
    let id = bench.unpaid().await;
    let check = async |bench: &Bench, payment: Payment, field: &str| {
        let id = bench.unpaid().await;
        let error = bench.plugin.run(&pay_order(&id, payment)).await.error();
        assert_eq!(
            (error.reason, error.violations[0].field.as_str()),
            (ErrorReason::FieldViolation, field)
        );
    };
    check(&bench, method("gold", "1"), "payment.method.type").await;
    check(&bench, method("paypal", ""), "payment.method.id").await;
    check(&bench, method("paypal", "x"), "payment.method.id").await;
    check(&bench, Payment::default(), "payment").await;
    let newer = with_methods().await;
    check(&newer, method("PAYPAL", "1"), "payment.method.id").await;
    check(&newer, method("PAYPAL", "x"), "payment.method.id").await;
    check(&newer, method("PAYPAL", "700077"), "payment.method.type").await;
    bench.change_account(|account| account.means[0].is_default = false);
    let error = bench.plugin.run(&pay_order(&id, default_payment())).await.error();
    assert_eq!(error.reason, ErrorReason::StateConflict);
    bench.change_account(|_| ());
    let wrong = bench.plugin.run(&pay_order("1", paypal())).await.error();
    assert_eq!(wrong.reason, ErrorReason::OrderNotFound);
    assert_eq!((bench.asked(PAY), newer.made_and_paid().1), (0, 0));

    bench.plugin.run(&pay_order(&id, paypal())).await.order();
    let again = bench.plugin.run(&pay_order(&id, paypal())).await.error();
    assert_eq!(again.reason, ErrorReason::StateConflict);
    assert_eq!(bench.asked(PAY), 1);
}

#[tokio::test]
async fn a_number_that_is_none_is_refused_by_the_upstream() {
    let bench = Bench::new().await;
    let id = bench.unpaid().await;
    let error = bench.plugin.run(&pay_order(&id, method("paypal", "9"))).await.error();
    assert_eq!(error.reason, ErrorReason::UpstreamRejected);
    assert!(error.metadata.contains_key("upstream_query_id"));
    assert_eq!(bench.made_and_paid(), (1, 0));
}

#[tokio::test]
async fn a_lapsed_order_is_not_paid() {
    let bench = Bench::in_mode(Mode { lapsed: Lapsed::NotPaid, ..Mode::default() }).await;
    let id = bench.unpaid().await;
    bench.upstream.advance(std::time::Duration::from_secs(24 * 3600));
    assert_eq!(bench.order(&id).await.unwrap().state(), State::Expired);
    let error = bench.plugin.run(&pay_order(&id, paypal())).await.error();
    assert_eq!((error.reason, bench.asked(PAY)), (ErrorReason::StateConflict, 0));
}

#[tokio::test]
async fn a_quote_of_a_payment() {
    let bench = Bench::new().await;
    let id = bench.unpaid().await;
    let quote = bench.plugin.quote(&pay_order(&id, paypal())).await.unwrap();
    assert_eq!(
        (amount(quote.price.as_ref()), quote.steps[0].call.as_str()),
        ("17.96 EUR".to_owned(), "order.pay.mean")
    );
    assert_eq!(bench.made_and_paid(), (1, 0));
}
