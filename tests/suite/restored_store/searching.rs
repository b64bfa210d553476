//! What was bought in the time that a restored store lacks, at each kind of evidence: by its mark, by the state,
//! by a listing, and where nothing can be asked. What is new is bought.

use std::time::{Duration, Instant};

use purveyor_sdk::v1::operation::{Outcome, Result as Came, State};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::product::{Offer, Package, Shape};
use purveyor_sdk::v1::{
    CreateProductRequest, CreateRenewalRequest, DeleteProductRequest, GetProductRequest, Money,
    Operation, PayOrderRequest, Price, Product, ResolveOperationRequest, Service,
    UpdateServiceRequest, resolve_operation_request as resolve,
};
use purveyor_simulators::Kind;
use purveyor_simulators::computestacks::Mode;
use tempfile::TempDir;
use xtask::configuration::Provider;

use super::stage::{Backup, Home, Keeper, now};
use crate::finding_out::stage::{candidates, computestacks, klikk, racknap, record, sales, server};
use crate::renewing_by_order::stage as renewing;
use crate::support::client::{Client, succeeded};
use crate::support::program::{Program, confirm_with};
use crate::support::requests::{purchase, quantity, renewal, request_id};
use crate::support::{configuration, gandi, sold, until};

/// Longer than the settle window of an upstream with the times of these tests.
const LONG_GONE: Duration = Duration::from_secs(8);

/// A gateway whose store is backed up, and the moment from which on everything is lost.
struct Lost {
    keeper: Keeper,
    backup: Backup,
    from: String,
    program: Program,
}

impl Lost {
    /// Backs up a store in which `prepare` has done something.
    async fn begin(
        home: Home,
        (id, provider): (&str, Provider),
        prepare: impl AsyncFnOnce(&Client),
    ) -> Self {
        let keeper = Keeper::new(home).await;
        let program = keeper.start(configuration().provider(id, provider));
        prepare(&program.client().await).await;
        let (folder, backup) = keeper.back_up(program.kill());
        let from = now();
        Self { keeper, backup, from, program: Program::start_in(folder) }
    }

    async fn client(&self) -> Client {
        self.program.client().await
    }

    /// Restores the backup, and confirms that everything since then is lost.
    async fn restored(self) -> Program {
        let Self { keeper, backup, from, program } = self;
        let folder: TempDir = keeper.restore(program.kill(), &backup).await;
        let confirmed = confirm_with(folder.path(), &["--lost-from", &from]);
        assert!(confirmed.status.success(), "{confirmed:?}");
        Program::start_in(folder)
    }
}

fn outcomes(operation: &Operation) -> Vec<Outcome> {
    operation.attempts.iter().map(|it| it.outcome()).collect()
}

async fn resolve(client: &Client, operation: &Operation, found: resolve::Resolution) -> Operation {
    let request = ResolveOperationRequest {
        name: operation.name.clone(),
        etag: operation.etag.clone(),
        note: "looked at the provider".to_owned(),
        resolution: Some(found),
    };
    let resolved = client.operations().resolve_operation(request).await;
    let name = resolved.expect("it is resolved").into_inner().name;
    client.done(&name).await
}

async fn executed(client: &Client, operation: &Operation, id: &str) -> Operation {
    let executed = resolve::Executed { upstream_id: id.to_owned() };
    resolve(client, operation, resolve::Resolution::Executed(executed)).await
}

async fn not_executed(client: &Client, operation: &Operation) -> Operation {
    let again = resolve::NotExecuted { try_again: true, at_own_risk: false };
    resolve(client, operation, resolve::Resolution::NotExecuted(again)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn order_with_a_mark_is_found_and_a_new_one_is_bought() {
    let (upstream, provider) = klikk().await;
    let earlier = async |client: &Client| {
        succeeded(client.ordered(server()).await);
    };
    let lost = Lost::begin(Home::Sqlite, ("klikk", provider), earlier).await;
    let (request, other) = (server(), server());
    let client = lost.client().await;
    let (first, second) =
        tokio::join!(client.ordered(request.clone()), client.ordered(other.clone()));
    succeeded(first);
    succeeded(second);
    assert_eq!(sales(&upstream).len(), 3);

    let program = lost.restored().await;
    assert!(program.serves().await);
    let client = program.client().await;
    let found = succeeded(client.ordered(request).await);
    assert_eq!((outcomes(&found).len(), sales(&upstream).len()), (1, 3));
    assert!(sales(&upstream).contains(&found.attempts[0].upstream_id));
    // A new one is searched for as well, is not there, and is bought. The other lost order bears the mark of
    // a request that nobody knows yet.
    let bought = succeeded(client.ordered(server()).await);
    assert_eq!(outcomes(&bought)[0], Outcome::Absent);
    assert_eq!((outcomes(&bought).len(), sales(&upstream).len()), (2, 4));
    succeeded(client.ordered(other).await);
    assert_eq!(sales(&upstream).len(), 4);
}

/// The operation itself is in the backup, and was carried out later.
#[tokio::test(flavor = "multi_thread")]
async fn restored_operation_is_found_before_it_is_sent() {
    for home in [Home::Sqlite, Home::Postgres] {
        let (upstream, provider) = klikk().await;
        let keeper = Keeper::new(home).await;
        let held = configuration().engine("hold", true).provider("klikk", provider.clone());
        let program = keeper.start(held);
        let accepted = program.client().await.order(server()).await.expect("it is accepted");
        let (folder, backup) = keeper.back_up(program.kill());
        let from = now();
        hold(&folder, false);
        let program = Program::start_in(folder);
        succeeded(program.client().await.done(&accepted.name).await);
        assert_eq!(sales(&upstream).len(), 1);

        let folder = keeper.restore(program.kill(), &backup).await;
        let confirmed = confirm_with(folder.path(), &["--lost-from", &from]);
        assert!(confirmed.status.success(), "{confirmed:?}");
        let program = Program::start_in(folder);
        let found = succeeded(program.client().await.done(&accepted.name).await);
        assert_eq!((found.attempts.len(), sales(&upstream).len()), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_order_is_for_an_operator_and_another_one_is_bought() {
    for home in [Home::Sqlite, Home::Postgres] {
        let (upstream, provider) = gandi().await;
        let earlier = async |client: &Client| {
            succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
        };
        let lost = Lost::begin(home, ("gandi", provider), earlier).await;
        let request = purchase("gandi", &[("shares", 2)]);
        succeeded(lost.client().await.ordered(request.clone()).await);
        let sale = sold(&upstream, Kind::ProductAdd).pop().expect("it was sold");

        let program = lost.restored().await;
        let client = program.client().await;
        let doubtful = client.ordered(request).await;
        assert_eq!(doubtful.state(), State::NeedsOperator, "{doubtful:#?}");
        assert_eq!(candidates(&doubtful), [sale.as_str()]);
        // What is not like it is not doubtful.
        let other = succeeded(client.ordered(purchase("gandi", &[("shares", 5)])).await);
        assert_eq!(outcomes(&other)[0], Outcome::Absent);
        assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 3);
        let resolved = succeeded(executed(&client, &doubtful, &sale).await);
        assert_eq!(resolved.attempts.len(), 1);
        assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 3);
        // It is explained now, and nothing keeps the same order from being bought.
        succeeded(client.ordered(purchase("gandi", &[("shares", 2)])).await);
        assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_that_may_be_a_persons_is_an_operators_and_a_further_one_is_paid() {
    let upstream = renewing::upstream().await;
    let provider = renewing::provider(&upstream);
    let lost = Lost::begin(Home::Sqlite, ("ovh", provider), async |_| {}).await;
    let client = lost.client().await;
    let request = renewing::quarter(&client, renewing::paypal()).await;
    succeeded(renewed(&client, request.clone()).await);
    assert_eq!(renewing::made_and_paid(&upstream), (1, 1));

    let program = lost.restored().await;
    let client = program.client().await;
    let asked = renewed(&client, request).await;
    assert_eq!(asked.state(), State::NeedsOperator, "{asked:#?}");
    let order = renewing::ORDER.rsplit('/').next().expect("an id");
    assert!(candidates(&asked).contains(&order), "{asked:#?}");
    let found = succeeded(executed(&client, &asked, order).await);
    assert_eq!((found.attempts.len(), renewing::made_and_paid(&upstream)), (1, (1, 1)));
    let further = renewing::quarter(&client, renewing::paypal()).await;
    let further = succeeded(renewed(&client, further).await);
    assert_eq!(outcomes(&further)[0], Outcome::Absent);
    assert_eq!(renewing::made_and_paid(&upstream), (2, 2));
}

async fn renewed(client: &Client, request: CreateRenewalRequest) -> Operation {
    let accepted = client.renewals().create_renewal(request).await;
    client.done(&accepted.expect("it is accepted").into_inner().name).await
}

/// What changes a service is told by its operation, and by the service where there is none.
#[tokio::test(flavor = "multi_thread")]
async fn lost_change_of_a_service_is_for_an_operator() {
    for change in [Change::Renewal, Change::Quantity] {
        let (upstream, provider) = gandi().await;
        let lost = Lost::begin(Home::Sqlite, ("gandi", provider), async |client| {
            client.bought(purchase("gandi", &[("shares", 2)])).await;
        })
        .await;
        let client = lost.client().await;
        let services = client.all_services("gandi").await.expect("they are listed");
        let bought = services.iter().find(|it| it.display_name == "shares" && it.quantity == 2);
        let service = bought.expect("it was bought");
        let request = change.request(service);
        succeeded(request.sent(&client).await);
        let spent = upstream.ledger().len();

        let program = lost.restored().await;
        let client = program.client().await;
        let doubtful = request.sent(&client).await;
        assert_eq!(doubtful.state(), State::NeedsOperator, "{doubtful:#?}");
        assert_eq!(candidates(&doubtful).len(), 1, "{doubtful:#?}");
        assert_eq!(upstream.ledger().len(), spent);
        let id = candidates(&doubtful)[0].to_owned();
        succeeded(executed(&client, &doubtful, &id).await);
        assert_eq!(upstream.ledger().len(), spent);
    }
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Renewal,
    Quantity,
}

/// A request that is sent as it is again and again.
enum Sent {
    Renewal(CreateRenewalRequest),
    Quantity(UpdateServiceRequest),
}

impl Change {
    fn request(self, service: &Service) -> Sent {
        match self {
            Change::Renewal => Sent::Renewal(renewal(&service.name, service.expire_time)),
            Change::Quantity => Sent::Quantity(quantity(&service.name, 3)),
        }
    }
}

impl Sent {
    async fn sent(&self, client: &Client) -> Operation {
        let accepted = match self {
            Sent::Renewal(request) => client.renewals().create_renewal(request.clone()).await,
            Sent::Quantity(request) => client.services().update_service(request.clone()).await,
        };
        client.done(&accepted.expect("it is accepted").into_inner().name).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_is_found_by_the_paid_order() {
    let upstream = renewing::upstream().await;
    let provider = renewing::provider(&upstream);
    let unpaid = async |client: &Client| {
        let request = renewing::quarter(client, None).await;
        succeeded(renewed(client, request).await);
    };
    let lost = Lost::begin(Home::Sqlite, ("ovh", provider), unpaid).await;
    let request = renewing::payment(renewing::ORDER, renewing::paypal());
    succeeded(paid(&lost.client().await, request.clone()).await);
    assert_eq!(renewing::made_and_paid(&upstream), (1, 1));

    let program = lost.restored().await;
    let client = program.client().await;
    let found = succeeded(paid(&client, request).await);
    assert_eq!((found.attempts.len(), renewing::made_and_paid(&upstream)), (1, (1, 1)));
}

async fn paid(client: &Client, request: PayOrderRequest) -> Operation {
    let accepted = client.orders().pay_order(request).await;
    client.done(&accepted.expect("it is accepted").into_inner().name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn record_that_cannot_be_searched_for_is_for_an_operator() {
    let (upstream, provider) = racknap().await;
    let lost = Lost::begin(Home::Sqlite, ("racknap", provider), async |_| {}).await;
    let request = record();
    succeeded(lost.client().await.ordered(request.clone()).await);
    let sale = sales(&upstream).pop().expect("it was sold");

    let program = lost.restored().await;
    let client = program.client().await;
    let asked = client.ordered(request).await;
    assert_eq!(asked.state(), State::NeedsOperator, "{asked:#?}");
    assert!(asked.message.contains("cannot be asked"), "{asked:#?}");
    succeeded(executed(&client, &asked, &sale).await);
    assert_eq!(sales(&upstream).len(), 1);
    // A new one is asked about as well, and bought at the operator's word.
    let new = client.ordered(record()).await;
    assert_eq!(new.state(), State::NeedsOperator, "{new:#?}");
    succeeded(not_executed(&client, &new).await);
    assert_eq!(sales(&upstream).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_product_is_for_an_operator_and_another_one_is_made() {
    let (upstream, provider) = computestacks().await;
    let earlier = async |client: &Client| {
        succeeded(made(client, package("an earlier one")).await);
    };
    let lost = Lost::begin(Home::Sqlite, ("computestacks", provider), earlier).await;
    let request = package("a lost one");
    succeeded(made(&lost.client().await, request.clone()).await);
    let count = sales(&upstream).len();

    let program = lost.restored().await;
    let client = program.client().await;
    let doubtful = made(&client, request).await;
    assert_eq!(doubtful.state(), State::NeedsOperator, "{doubtful:#?}");
    assert_eq!(candidates(&doubtful).len(), 1);
    assert_eq!(sales(&upstream).len(), count);
    let id = candidates(&doubtful)[0].to_owned();
    succeeded(executed(&client, &doubtful, &id).await);
    assert_eq!(sales(&upstream).len(), count);
    let new = succeeded(made(&client, package("another one")).await);
    assert_eq!(outcomes(&new)[0], Outcome::Absent);
    assert!(sales(&upstream).len() > count);
}

/// The end was accepted before the backup and happened after it; its target's id is another product's since.
#[tokio::test(flavor = "multi_thread")]
async fn end_whose_id_came_back_is_for_an_operator() {
    let (upstream, provider) = computestacks().await;
    upstream.set_mode(Mode { reuse_ids: true, ..Mode::default() });
    let keeper = Keeper::new(Home::Sqlite).await;
    let program = keeper.start(configuration().provider("computestacks", provider));
    let first = succeeded(made(&program.client().await, package("the first")).await);
    let product = product_of(&first);
    let folder = program.kill();
    hold(&folder, true);
    let program = Program::start_in(folder);
    let request = DeleteProductRequest {
        name: product.clone(),
        request_id: request_id(),
        ..DeleteProductRequest::default()
    };
    let end = program.client().await.products().delete_product(request).await;
    let end = end.expect("it is accepted").into_inner();
    let (folder, backup) = keeper.back_up(program.kill());
    let from = now();
    hold(&folder, false);
    let program = Program::start_in(folder);
    let client = program.client().await;
    succeeded(client.done(&end.name).await);
    let second = succeeded(made(&client, package("the second")).await);
    assert_eq!(product_of(&second), product);

    let folder = keeper.restore(program.kill(), &backup).await;
    hold(&folder, false);
    let confirmed = confirm_with(folder.path(), &["--lost-from", &from]);
    assert!(confirmed.status.success(), "{confirmed:?}");
    let program = Program::start_in(folder);
    let client = program.client().await;
    let asked = client.done(&end.name).await;
    assert_eq!(asked.state(), State::NeedsOperator, "{asked:#?}");
    assert!(asked.message.contains("another object"), "{asked:#?}");
    let kept = GetProductRequest { name: product, ..GetProductRequest::default() };
    let kept = client.products().get_product(kept).await.expect("it is there").into_inner();
    assert_eq!(kept.display_name, "the second");
}

/// A product was deleted before the backup, and its id is that of the one which was made after it.
#[tokio::test(flavor = "multi_thread")]
async fn product_whose_id_came_back_is_for_an_operator() {
    let (upstream, provider) = computestacks().await;
    upstream.set_mode(Mode { reuse_ids: true, ..Mode::default() });
    let begin = Instant::now();
    let earlier = async |client: &Client| {
        let first = succeeded(made(client, package("an earlier one")).await);
        let request = DeleteProductRequest {
            name: product_of(&first),
            request_id: request_id(),
            ..DeleteProductRequest::default()
        };
        let end = client.products().delete_product(request).await.expect("it is accepted");
        succeeded(client.done(&end.into_inner().name).await);
        // Long gone, as far as a request is concerned that is sent from now on.
        until("it is long gone", async || begin.elapsed() > LONG_GONE).await;
    };
    let lost = Lost::begin(Home::Sqlite, ("computestacks", provider), earlier).await;
    let request = package("a lost one");
    succeeded(made(&lost.client().await, request.clone()).await);
    let count = sales(&upstream).len();
    let program = lost.restored().await;
    let doubtful = made(&program.client().await, request).await;
    assert_eq!(doubtful.state(), State::NeedsOperator, "{doubtful:#?}");
    assert_eq!(candidates(&doubtful).len(), 1);
    assert_eq!(sales(&upstream).len(), count);
}

/// Switches whether the gateway of a folder sends anything.
fn hold(folder: &TempDir, hold: bool) {
    let file = folder.path().join("purveyor.toml");
    let written = std::fs::read_to_string(&file).expect("the configuration");
    let without = written.replace("hold = true\n", "").replace("hold = false\n", "");
    let with = without.replace("[engine]\n", &format!("[engine]\nhold = {hold}\n"));
    std::fs::write(&file, with).expect("it is written");
}

fn product_of(operation: &Operation) -> String {
    match &operation.result {
        Some(Came::Product(product)) => product.name.clone(),
        other => panic!("{} made no product: {other:?}", operation.name),
    }
}

async fn made(client: &Client, request: CreateProductRequest) -> Operation {
    let accepted = client.products().create_product(request).await;
    client.done(&accepted.expect("it is accepted").into_inner().name).await
}

fn package(label: &str) -> CreateProductRequest {
    let package = Package {
        cpu_cores: Some("2.5".to_owned()),
        memory_mb: Some(1024),
        storage_gb: Some(20),
        ..Package::default()
    };
    let amount = Money { currency_code: "EUR".to_owned(), units: 5, nanos: 0 };
    let price = Price::of(amount, Tax::Unspecified);
    let product = Product {
        display_name: label.to_owned(),
        shape: Some(Shape::Package(package)),
        offers: vec![Offer { price: Some(price), ..Offer::default() }],
        ..Product::default()
    };
    CreateProductRequest {
        parent: "providers/computestacks".to_owned(),
        product: Some(product),
        request_id: request_id(),
        wait: Some(purveyor_sdk::prost_types::Duration::default()),
        ..CreateProductRequest::default()
    }
}
