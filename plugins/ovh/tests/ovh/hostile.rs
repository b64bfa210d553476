//! Answers that should never come, at every read: an error that says so, and never a wrong resource.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::{ErrorReason, ListOrdersRequest, ListOrdersResponse};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::Bench;

fn answers() -> Vec<FaultKind> {
    vec![
        FaultKind::Nil,
        FaultKind::WrongType,
        FaultKind::XmlBomb,
        FaultKind::NestedArrays { depth: 40_000 },
        FaultKind::Megabytes { n: 2 },
        FaultKind::Garbage,
        FaultKind::Redirect,
        FaultKind::Status { status: 200 },
        FaultKind::Status { status: 503 },
        FaultKind::TruncateAfterCommit,
        FaultKind::DropBeforeCommit,
    ]
}

#[tokio::test]
async fn reads_that_cannot_be_understood_are_errors() {
    for kind in answers() {
        let bench = Bench::new().await;
        let id = bench.unpaid().await;
        let check = async |call: &str, read: Read| {
            bench.upstream.inject(Fault::next(call, kind.clone()));
            let reason = read.of(&bench, &id).await;
            assert_eq!(reason, Some(ErrorReason::UpstreamUnavailable), "{call} {kind:?}");
            assert_eq!(read.of(&bench, &id).await, None, "{call} {kind:?}: the fault struck twice");
        };
        check("GET /service/{serviceId}", Read::Service).await;
        check("GET /vps/{serviceName}/serviceInfos", Read::Alias).await;
        check("GET /service/{serviceId}/renew", Read::Options).await;
        check("GET /me/order/{orderId}", Read::Order).await;
        check("GET /me/order/{orderId}/status", Read::Order).await;
        check("GET /me/order", Read::Orders).await;
        check("GET /me", Read::Identity).await;
    }
}

#[tokio::test]
async fn refusals_of_reads() {
    let check = async |code: i32, expected: ErrorReason| {
        let bench = Bench::new().await;
        let fault = FaultKind::Fault { code, text: "no".to_owned() };
        bench.upstream.inject(Fault::next("GET /service/{serviceId}", fault));
        let error = bench.service("12345").await.unwrap_err();
        assert_eq!(error.reason, expected, "{code}");
        assert!(error.metadata.contains_key("upstream_code"), "{code}");
    };
    check(400, ErrorReason::UpstreamRejected).await;
    check(403, ErrorReason::UpstreamRejected).await;
    check(404, ErrorReason::ServiceNotFound).await;
    check(409, ErrorReason::StateConflict).await;
    check(460, ErrorReason::StateConflict).await;
    check(429, ErrorReason::UpstreamRateLimit).await;
    check(500, ErrorReason::UpstreamUnavailable).await;
    check(503, ErrorReason::UpstreamUnavailable).await;
}

/// What is read, by name: closures that borrow cannot be kept in one table.
#[derive(Debug, Clone, Copy)]
enum Read {
    Service,
    Alias,
    Options,
    Order,
    Orders,
    Identity,
}

impl Read {
    async fn of(self, bench: &Bench, id: &str) -> Option<ErrorReason> {
        let read = match self {
            Self::Service => bench.service("12346").await.map(|_| ()),
            Self::Alias => bench.service("vps112233.ovh.net").await.map(|_| ()),
            Self::Options => bench.options("12345", false).await.map(|_| ()),
            Self::Order => bench.order(id).await.map(|_| ()),
            Self::Orders => {
                let parent = "providers/test".to_owned();
                let request = ListOrdersRequest { parent, ..Default::default() };
                let listed = bench.plugin.read::<ListOrdersResponse>(Op::ListOrders, &request, "");
                listed.await.map(|_| ())
            }
            Self::Identity => bench.plugin.identify().await.map(|_| ()),
        };
        read.err().map(|error| error.reason)
    }
}
