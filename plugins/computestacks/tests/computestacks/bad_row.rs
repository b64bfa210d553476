//! One product that cannot be read whole: it is shown with its gap, hides no other product, and stops only
//! what depends on it.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::find_response::Outcome as Found;
use purveyor_sdk::rows::ROW_INCOMPLETE;
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::{
    ErrorReason, ListProductsRequest, ListProductsResponse, ListView, Notice, Product,
};
use purveyor_simulators::{Fault, FaultKind};

use super::bench::{
    Bench, CREATE, LIST, PATCH, SHOW, absent, create, lose, package, reason, update,
};

/// A text of a product's answers, spelled otherwise from now on.
fn respelled(bench: &Bench, from: &str, to: &str) {
    for method in [LIST, SHOW] {
        let kind = FaultKind::Respell { from: from.to_owned(), to: to.to_owned() };
        bench.upstream.inject(Fault { times: u32::MAX, ..Fault::next(method, kind) });
    }
}

async fn products(bench: &Bench) -> Vec<Product> {
    let request = ListProductsRequest { view: ListView::Full.into(), ..Default::default() };
    let page: ListProductsResponse =
        bench.plugin.read(Op::ListProducts, &request, "").await.unwrap();
    page.products
}

fn gaps(notices: &[Notice]) -> Vec<&str> {
    let gaps = notices.iter().filter(|notice| notice.reason == ROW_INCOMPLETE);
    gaps.map(|notice| notice.source.as_str()).collect()
}

#[tokio::test]
async fn product_that_cannot_be_read_whole_is_shown_with_its_gap() {
    for (member, from, to) in [
        ("label", r#""label":"bad""#, r#""label":["bad"]"#),
        ("package", r#""memory":1536"#, r#""memory":"much""#),
    ] {
        let bench = Bench::new().await;
        let bad = bench.make(package("bad")).await;
        let good = bench.make(package("good")).await;
        let before = products(&bench).await;
        respelled(&bench, from, to);
        let after = products(&bench).await;
        assert_eq!(after.len(), before.len(), "{member}");
        for (after, before) in after.iter().zip(&before) {
            let expected = if after.name == bad.name { vec![member] } else { Vec::new() };
            assert_eq!(gaps(&after.notices), expected, "{member}");
            assert!(after == before || after.name == bad.name, "{member}");
        }
        assert_eq!(gaps(&bench.get(&bad.name).await.unwrap().notices), [member]);
        let another = bench.make(package("another")).await;
        assert_eq!((another.display_name.as_str(), another.name != good.name), ("another", true));
        // Its package would be filled up from what cannot be read.
        let wanted = Product { name: bad.name.clone(), ..package("renamed") };
        let write = update(wanted, &["display_name"]);
        let refused = bench.plugin.prepared(&write, Position { step: 1, ..Default::default() });
        assert_eq!(reason(refused.await), ErrorReason::UpstreamUnavailable, "{member}");
        assert_eq!(bench.asked(PATCH), 0);
    }
}

#[tokio::test]
async fn old_product_that_cannot_be_read_leaves_absence_conclusive() {
    let bench = Bench::new().await;
    bench.make(package("bad")).await;
    respelled(&bench, r#""label":"bad""#, r#""label":["bad"]"#);
    let write = create(package("s"));
    let at = bench.before(&write, Position::default()).await;
    bench.upstream.inject(Fault::next(CREATE, FaultKind::DropBeforeCommit));
    assert!(bench.plugin.step_at(&write, &at).await.is_err());
    assert_eq!(absent(&bench, &write, &at, &[]).await, Default::default());
    let at = lose(&bench, &write, Position::default(), CREATE).await;
    let found = bench.plugin.search(&write, &at, &[], "").await.unwrap();
    assert!(matches!(found, Found::Found(_)), "{found:?}");
}

#[tokio::test]
async fn new_product_that_cannot_be_read_speaks_against_absence() {
    for (from, to) in
        [(r#""label":"s""#, r#""label":["s"]"#), (r#""memory":1536"#, r#""memory":"much""#)]
    {
        let bench = Bench::new().await;
        let write = create(package("s"));
        let at = lose(&bench, &write, Position::default(), CREATE).await;
        respelled(&bench, from, to);
        let traces = absent(&bench, &write, &at, &[]).await;
        let ids: Vec<_> = traces.unexplained.iter().map(|it| it.id()).collect();
        assert_eq!((ids, traces.alike_ids.len()), (vec!["2"], 0), "{from}");
    }
}

#[tokio::test]
async fn product_without_an_identifier_is_never_proof_of_absence() {
    let bench = Bench::new().await;
    let write = create(package("s"));
    let before = products(&bench).await;
    let at = lose(&bench, &write, Position::default(), CREATE).await;
    respelled(&bench, r#""id":2,"#, r#""id":"x","#);
    assert_eq!(products(&bench).await, before);
    let traces = absent(&bench, &write, &at, &[]).await;
    assert!(traces.incomplete.contains("has no identifier"), "{traces:?}");
}
