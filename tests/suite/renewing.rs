//! Renewing: a further term, paid once, and only while the service expires when the caller believes it
//! does.

use purveyor_sdk::term::Period;
use purveyor_sdk::v1::operation::{Result as Came, State};
use purveyor_sdk::v1::renewal::State as RenewalState;
use purveyor_sdk::v1::{
    CreateRenewalRequest, ListRenewalOptionsRequest, Operation, Renewal, Service, Term,
};
use purveyor_simulators::gandi::Gandi;
use purveyor_simulators::{Fault, FaultKind, Kind, Simulator};
use tonic::{Code, Status};

use crate::support::client::{Client, succeeded, told};
use crate::support::requests::{purchase, renewal};
use crate::support::{Gateway, asked, configuration, gandi, sold};

const RENEW: &str = "hosting.product.renew";

struct Desk {
    _gateway: Gateway,
    client: Client,
    upstream: Simulator<Gandi>,
    service: Service,
}

impl Desk {
    async fn with_service() -> Self {
        let (upstream, provider) = gandi().await;
        let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
        let client = gateway.client().await;
        let service = client.bought(purchase("gandi", &[("shares", 2)])).await;
        assert!(service.expire_time.is_some(), "{service:?}");
        Self { _gateway: gateway, client, upstream, service }
    }

    /// A month more, as long as the service expires when it did at first.
    fn request(&self) -> CreateRenewalRequest {
        renewal(&self.service.name, self.service.expire_time)
    }

    async fn renew(&self, request: CreateRenewalRequest) -> Result<Operation, Status> {
        let accepted = self.client.renewals().create_renewal(request).await?.into_inner();
        Ok(self.client.done(&accepted.name).await)
    }

    async fn expires(&self) -> Option<i64> {
        let service = self.client.service(&self.service.name).await.expect("it is there");
        service.expire_time.map(|time| time.seconds)
    }
}

#[track_caller]
fn renewed(operation: &Operation) -> &Renewal {
    match &operation.result {
        Some(Came::Renewal(renewal)) => renewal,
        other => panic!("no renewal: {other:?}"),
    }
}

#[tokio::test]
async fn a_service_is_renewed_once_by_those_who_know_when_it_expires() {
    let desk = Desk::with_service().await;
    let parent = desk.service.name.clone();
    let options = ListRenewalOptionsRequest { parent, ..ListRenewalOptionsRequest::default() };
    let options = desk.client.renewals().list_renewal_options(options).await;
    let options = options.expect("there are options").into_inner().renewal_options;
    let terms: Vec<String> =
        options.iter().map(|it| it.term.clone().expect("a term").period).collect();
    assert_eq!(terms, ["P1M", "P1Y"]);
    assert!(options.iter().all(|option| option.price.is_some()), "{options:?}");
    assert_eq!(options[0].services[0].expected_expire_time, desk.service.expire_time);

    let operation = succeeded(desk.renew(desk.request()).await.expect("accepted"));
    assert_eq!(renewed(&operation).state(), RenewalState::Completed);
    assert!(desk.expires().await > desk.service.expire_time.map(|time| time.seconds));

    let status = desk.renew(desk.request()).await.expect_err("it expires later now");
    let (code, reason, _) = told(&status);
    assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "EXPIRE_TIME_CHANGED"));
    assert_eq!(
        (sold(&desk.upstream, Kind::ProductRenew).len(), asked(&desk.upstream, RENEW)),
        (1, 1)
    );
}

#[tokio::test]
async fn a_renewal_that_is_not_to_be_paid_or_not_offered_is_refused() {
    let desk = Desk::with_service().await;
    let check = async |change: &dyn Fn(&mut CreateRenewalRequest), expected: (Code, &str, &str)| {
        let mut request = desk.request();
        change(&mut request);
        let found = told(&desk.renew(request).await.expect_err("refused"));
        assert_eq!((found.0, found.1.as_str(), found.2.as_str()), expected);
    };
    fn renewal(request: &mut CreateRenewalRequest) -> &mut Renewal {
        request.renewal.as_mut().expect("a renewal")
    }
    let invalid = |field| (Code::InvalidArgument, "FIELD_VIOLATION", field);
    check(&|it| it.payment = None, (Code::FailedPrecondition, "PAYMENT_REQUIRED", "")).await;
    let three = Term::recurring(Period::Months(3), "");
    check(&|it| renewal(it).term = Some(three.clone()), invalid("renewal.term")).await;
    check(
        &|it| renewal(it).services[0].expected_expire_time = None,
        invalid("renewal.services[0].expected_expire_time"),
    )
    .await;
    let nobody = || "providers/gandi/services/999999".to_owned();
    check(
        &|it| {
            renewal(it).service = nobody();
            renewal(it).services[0].service = nobody();
        },
        (Code::NotFound, "SERVICE_NOT_FOUND", ""),
    )
    .await;
    assert_eq!(asked(&desk.upstream, RENEW), 0);
    assert_eq!(desk.client.all_operations().await.len(), 1, "only the purchase");
}

#[tokio::test]
async fn a_renewal_whose_answer_is_lost_is_made_once() {
    for (kind, sent) in [(FaultKind::DropAfterCommit, 1), (FaultKind::DropBeforeCommit, 2)] {
        let desk = Desk::with_service().await;
        desk.upstream.inject(Fault::next(RENEW, kind.clone()));
        let operation = desk.renew(desk.request()).await.expect("accepted");
        assert_eq!(operation.state(), State::Succeeded, "{kind:?}: {operation:#?}");
        assert_eq!(asked(&desk.upstream, RENEW), sent, "{kind:?}");
        assert_eq!(sold(&desk.upstream, Kind::ProductRenew).len(), 1, "{kind:?}");
        let later = desk.expires().await;
        assert!(later > desk.service.expire_time.map(|time| time.seconds), "{kind:?}");
    }
}
