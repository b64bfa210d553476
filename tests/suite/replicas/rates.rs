//! Several gateways send for one account: together they send no more than it allows, and the one that is
//! left has all of it again.

use std::fs;
use std::time::{Duration, Instant};

use purveyor_sdk::v1::ListProductsRequest;
use purveyor_simulators::Simulator;
use purveyor_simulators::gandi::{Gandi, Options};
use tonic::Status;

use crate::support::client::{Client, told};
use crate::support::postgres::{database, server};
use crate::support::program::Program;
use crate::support::{configuration, provider, until, upstream};

/// Two gateways that know of each other, and their upstream's account with its rate.
async fn pair(requests: u32, period: Duration) -> (Program, Program, Simulator<Gandi>) {
    let upstream = upstream(Options::default()).await;
    let period_ms = u32::try_from(period.as_millis()).expect("a short time");
    let provider = provider(&upstream).rate(requests, period_ms);
    let configuration = configuration().provider("gandi", provider);
    let configuration = configuration.store(&server().url(&database(server()).await));
    let left = Program::start(configuration.clone());
    let right = Program::start(configuration);
    for program in [&left, &right] {
        until("it knows of the other", async || counts(program).contains(&2)).await;
    }
    (left, right, upstream)
}

/// Among how many a gateway has shared its accounts' rates, by its log.
fn counts(program: &Program) -> Vec<u32> {
    let log = fs::read_to_string(program.folder().join("gateway.log")).expect("it has a log");
    let shared = log.lines().filter(|line| line.contains("each account's rate is shared"));
    let counts = shared.filter_map(|line| {
        let (_, rest) = line.split_once("replicas")?;
        let digits = rest.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    });
    counts.collect()
}

async fn read(client: &Client) -> Result<(), Status> {
    let request = ListProductsRequest {
        parent: "providers/gandi".to_owned(),
        ..ListProductsRequest::default()
    };
    client.products().list_products(request).await.map(drop)
}

/// Reads until the account's rate leaves no turn in time.
async fn exhaust(client: &Client) {
    let refused = loop {
        if let Err(status) = read(client).await {
            break status;
        }
    };
    assert_eq!(told(&refused).1, "UPSTREAM_RATE_LIMIT");
}

fn sent(upstream: &Simulator<Gandi>) -> u64 {
    upstream.requests().values().sum()
}

#[tokio::test]
async fn together_they_send_what_the_account_allows() {
    const ALLOWED: u32 = 20;
    // So long that nothing of it is over before the scenario ends.
    let period = Duration::from_secs(3600);
    let (left, right, upstream) = pair(ALLOWED, period).await;
    let (left, first) = (left, right.client().await);
    exhaust(&first).await;
    assert_eq!(
        sent(&upstream),
        u64::from(ALLOWED) / 2,
        "one has its share, however idle the other"
    );
    let client = left.client().await;
    exhaust(&client).await;
    assert_eq!(sent(&upstream), u64::from(ALLOWED));
    // What the dead one has sent counts at the upstream for the rest of the period.
    right.kill();
    until("it is alone", async || counts(&left).last() == Some(&1)).await;
    exhaust(&client).await;
    assert_eq!(sent(&upstream), u64::from(ALLOWED));
}

#[tokio::test]
async fn the_one_that_is_left_has_the_whole_rate() {
    const ALLOWED: u32 = 6;
    let period = Duration::from_secs(4);
    let (left, right, _upstream) = pair(ALLOWED, period).await;
    let client = left.client().await;
    let burst = async || {
        let begin = Instant::now();
        for _ in 0..ALLOWED {
            read(&client).await.expect("its turn comes in time");
        }
        begin.elapsed()
    };
    // Half of it at a time: the fourth has its turn a period after the first.
    assert!(burst().await >= period);
    right.kill();
    until("it is alone", async || counts(&left).last() == Some(&1)).await;
    // One burst after the other: all of it takes a period each time, half of it two.
    until("all of it at a time", async || burst().await < period * 3 / 2).await;
}
