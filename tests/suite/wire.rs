//! What upstreams put on the wire beside an honest answer: encodings, texts of megabytes, and the credentials
//! that they were sent. Money is spent once and everything stays readable, with either store.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use purveyor_sdk::prost_types::Value;
use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::v1::watch_operations_response::Event;
use purveyor_sdk::v1::{
    CreateOrderRequest, ListOperationsRequest, ListOrdersRequest, WatchOperationsRequest,
};
use purveyor_simulators::klikk::Klikk;
use purveyor_simulators::{Dress, Encoding, Fault, FaultKind, Simulator};
use tokio_stream::StreamExt as _;
use xtask::configuration::Configuration;

use crate::finding_out::stage::{KLIKK_CREATE, TOKEN, klikk, sales, server};
use crate::support::client::{Client, order, succeeded};
use crate::support::postgres::{self, database};
use crate::support::program::Program;
use crate::support::{asked, configuration, gandi};

/// What the simulator says of an order that it has just taken.
const TAKEN: &str = "Order is being processed";

/// What the file-based store and the one on a server keep.
async fn both_stores(configuration: &Configuration) -> [Configuration; 2] {
    let server = postgres::server();
    let url = server.url(&database(server).await);
    [configuration.clone(), configuration.clone().store(&url)]
}

fn saying(text: String) -> Dress {
    Dress { put: vec![(TAKEN.to_owned(), text)], ..Dress::default() }
}

/// Everything that a caller can ask, as text.
async fn everything(client: &Client, program: &Program, name: &str) -> String {
    let request = WatchOperationsRequest::default();
    let watched = client.operations().watch_operations(request).await.expect("it is watched");
    let watched = watched.into_inner().map(|message| message.expect("no error").event);
    let is_told = |event: &Option<Event>| matches!(event, Some(Event::Operation(_)));
    let watched: Vec<_> = watched.take_while(is_told).collect().await;
    assert!(!watched.is_empty());
    let cli = program.operations(&["show", name]);
    assert!(cli.status.success(), "{cli:?}");
    let listed = program.operations(&["list"]);
    assert!(listed.status.success(), "{listed:?}");
    format!(
        "{watched:?} {:?} {:?} {:?} {} {}",
        client.operation(name).await,
        client.all_operations().await,
        client.all_orders("klikk").await,
        String::from_utf8_lossy(&cli.stdout),
        String::from_utf8_lossy(&listed.stdout),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn purchase_answered_with_megabytes_of_text_stays_readable() {
    let (upstream, provider) = klikk().await;
    for configuration in both_stores(&configuration().provider("klikk", provider)).await {
        let program = Program::start(configuration);
        let client = program.client().await;
        let sold = sales(&upstream).len();
        upstream.set_dress(saying("y".repeat(2_200_000)));
        let operation = succeeded(client.ordered(server()).await);
        upstream.set_dress(Dress::default());
        assert_eq!(sales(&upstream).len(), sold + 1);
        let text = everything(&client, &program, &operation.name).await;
        assert!(text.len() < 1024 * 1024, "{} bytes", text.len());
        let order = order(&operation);
        client.get_order(&order.name).await.expect("it is there");
    }
}

/// A server whose options have 200 kB.
fn large() -> CreateOrderRequest {
    let mut request = server();
    let item = &mut request.order.as_mut().expect("an order").items[0];
    let value = Value { kind: Some(Kind::StringValue("v".repeat(200_000))) };
    item.options.as_mut().expect("options").fields.insert("os_version".to_owned(), value);
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_large_rows_ends_by_bytes() {
    const ORDERS: usize = 29;
    let (_upstream, provider) = klikk().await;
    for configuration in both_stores(&configuration().provider("klikk", provider)).await {
        let program = Program::start(configuration);
        let client = program.client().await;
        let mut bought = Vec::new();
        for _ in 0..ORDERS {
            bought.push(succeeded(client.ordered(large()).await).target);
        }
        let parent = "providers/klikk".to_owned();
        let mut request = ListOrdersRequest { parent, page_size: 200, ..Default::default() };
        let (mut listed, mut pages) = (Vec::new(), 0);
        loop {
            let page = client.orders().list_orders(request.clone()).await.expect("a page");
            let page = page.into_inner();
            listed.extend(page.orders.into_iter().map(|order| order.name));
            pages += 1;
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert!(pages > 1);
        bought.retain(|name| !listed.contains(name));
        assert_eq!(bought, [""; 0], "no row is left out");
        listed.sort_unstable();
        let rows = listed.len();
        listed.dedup();
        assert_eq!(listed.len(), rows, "no row is listed twice");

        let mut request = ListOperationsRequest { page_size: 200, ..Default::default() };
        let mut operations = 0;
        loop {
            let page = client.operations().list_operations(request.clone()).await.expect("a page");
            let page = page.into_inner();
            operations += page.operations.len();
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(operations, ORDERS);
        assert!(program.operations(&["list"]).status.success());
    }
}

/// The token as it may stand in a text.
fn spellings() -> [String; 5] {
    [
        TOKEN.to_owned(),
        STANDARD.encode(TOKEN),
        URL_SAFE_NO_PAD.encode(TOKEN),
        hex::encode(TOKEN),
        hex::encode_upper(TOKEN),
    ]
}

/// Every spelling of the token, each with a word after it that is looked for.
fn echo() -> String {
    spellings().map(|spelling| format!("{spelling} was-repeated\u{202e}.")).join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn credential_that_the_upstream_repeats_is_nowhere() {
    let (upstream, provider) = klikk().await;
    let configuration = configuration().log_filter("trace").provider("klikk", provider);
    let program = Program::start(configuration);
    let client = program.client().await;
    // In the answer to a purchase, in its status, in a name, and in a refusal.
    let put = [TAKEN, "Delivered", "alike"].map(|text| (text.to_owned(), echo()));
    upstream.set_dress(Dress { put: put.into(), ..Dress::default() });
    let first = succeeded(client.ordered(server()).await);
    let text = everything(&client, &program, &first.name).await;
    assert!(text.contains("was-repeated"), "{text}");
    upstream.inject(Fault::next(KLIKK_CREATE, FaultKind::Fault { code: 400, text: echo() }));
    let accepted = client.order(server()).await.expect("accepted");
    client.done(&accepted.name).await;
    let text = text + &everything(&client, &program, &accepted.name).await;
    upstream.inject(Fault::next("order_list", FaultKind::Fault { code: 400, text: echo() }));
    let parent = "providers/klikk".to_owned();
    let request = ListOrdersRequest { parent, ..ListOrdersRequest::default() };
    let refused = client.orders().list_orders(request).await;
    let text = format!("{text} {refused:?}");
    for spelling in &spellings() {
        assert!(!text.contains(spelling), "{spelling} in {text}");
    }
    assert!(!text.contains('\u{202e}') && !text.contains("\\u{202e}"), "{text}");
    let folder = program.kill();
    let mut kept = 0;
    for file in fs::read_dir(folder.path()).expect("the folder is there") {
        let path = file.expect("a file").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Configuration and credentials stand beside the store and the log.
        if !name.starts_with("purveyor.db") && !name.ends_with(".log") {
            continue;
        }
        kept += 1;
        let bytes = fs::read(&path).expect("it can be read");
        for spelling in &spellings() {
            let found = bytes.windows(spelling.len()).any(|part| part == spelling.as_bytes());
            assert!(!found, "{spelling} in {}", path.display());
        }
    }
    assert!(kept > 1, "the store and the log are read");
}

/// A purchase through the gateway whose answers are dressed.
async fn buys(client: &Client, upstream: &Simulator<Klikk>, dress: Dress) {
    let sold = asked(upstream, KLIKK_CREATE);
    upstream.set_dress(dress);
    succeeded(client.ordered(server()).await);
    assert_eq!(asked(upstream, KLIKK_CREATE), sold + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn encoded_answers_are_read_and_money_is_spent_once() {
    let (upstream, provider) = klikk().await;
    let program = Program::start(configuration().provider("klikk", provider));
    let client = program.client().await;
    let (plain, before) = (Dress::default, client.all_orders("klikk").await.len());
    for compression in [Encoding::Gzip, Encoding::Deflate] {
        buys(&client, &upstream, Dress { compression: Some(compression), ..plain() }).await;
    }
    buys(&client, &upstream, Dress { byte_order_mark: true, ..plain() }).await;
    assert_eq!(client.all_orders("klikk").await.len(), before + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn xml_in_iso_8859_1_is_read() {
    let (upstream, provider) = gandi().await;
    let program = Program::start(configuration().provider("gandi", provider));
    let client = program.client().await;
    upstream.set_dress(Dress { latin_1: true, ..Dress::default() });
    let request = crate::support::requests::purchase("gandi", &[("shares", 2)]);
    succeeded(client.ordered(request).await);
}
