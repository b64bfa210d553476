//! A provider that gets another id: what was stored under the former one goes on, under the names that it has.

use purveyor_sdk::v1::operation::State;
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{
    ListOperationsRequest, ListProvidersRequest, Operation, OperationFilter, Service,
    SuspendServiceRequest,
};
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::racknap::{self, RackNap};
use purveyor_simulators::{Fault, Kind, Simulator};
use xtask::configuration::{Configuration, Provider};

use super::{CREATE, EMBEDDED, slow};
use crate::recording;
use crate::support::client::{Client, order, succeeded};
use crate::support::postgres::{database, server};
use crate::support::program::{Program, refused_by_configuration};
use crate::support::requests::{purchase, request_id};
use crate::support::{HOUR, LATER, asked, configuration, provider, sold, upstream};

fn renamed(store: &str, provider: Provider) -> Configuration {
    let configuration = configuration().store(store).engine("lease_s", 3);
    configuration.provider("new", provider.renamed_from("old"))
}

fn original(store: &str, provider: Provider) -> Configuration {
    configuration().store(store).engine("lease_s", 3).provider("old", provider)
}

/// The operations at a provider, by what callers name it.
async fn operations_at(client: &Client, provider: &str) -> Vec<String> {
    let filter = OperationFilter { provider: provider.to_owned(), ..Default::default() };
    let request = ListOperationsRequest { filter: Some(filter), ..Default::default() };
    let listed = client.operations().list_operations(request).await.expect("they are listed");
    listed.into_inner().operations.into_iter().map(|it| it.name).collect()
}

/// The names of a provider's orders.
async fn orders_of(client: &Client, provider: &str) -> Vec<String> {
    let orders = client.all_orders(provider).await;
    let mut names: Vec<String> = orders.into_iter().map(|order| order.name).collect();
    names.sort_unstable();
    names
}

/// A gateway whose provider was renamed after one order and in the middle of another.
struct Stage {
    _program: Program,
    _upstream: Simulator<Gandi>,
    client: Client,
    bought: Operation,
    found: Operation,
}

async fn stage(store: &str) -> Stage {
    let upstream = upstream(Options::default()).await;
    let program = Program::start(original(store, slow(&upstream)));
    let client = program.client().await;
    let bought = succeeded(client.ordered(purchase("old", &[("shares", 1)])).await);
    upstream.inject(Fault::next(CREATE, LATER));
    let open = client.order(purchase("old", &[("shares", 2)])).await.expect("accepted");
    client.reaches(&open.name, State::Reconciling).await;

    let folder = program.kill();
    renamed(store, slow(&upstream)).write(folder.path()).expect("written");
    upstream.advance(HOUR);
    let program = Program::start_in(folder);
    let client = program.client().await;
    let found = succeeded(client.done(&open.name).await);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (2, 2));
    is_one_account(&client, &found, &bought).await;
    Stage { _program: program, _upstream: upstream, client, bought, found }
}

/// What is bought by the new id, and by the former one, is one list with what was bought before.
async fn is_one_account(client: &Client, found: &Operation, bought: &Operation) {
    let new = succeeded(client.ordered(purchase("new", &[("shares", 3)])).await);
    let old = succeeded(client.ordered(purchase("old", &[("shares", 4)])).await);
    assert!(order(&new).name.starts_with("providers/new/orders/"), "{new:?}");
    let all = [&old, &new, found, bought].map(|it| it.name.clone());
    for provider in ["providers/new", "providers/old"] {
        assert_eq!(operations_at(client, provider).await, all);
    }
    let mut orders = [&old, &new, found, bought].map(|it| order(it).name.clone());
    orders.sort_unstable();
    for provider in ["new", "old"] {
        assert_eq!(orders_of(client, provider).await, orders);
    }
}

/// Names stay, whoever asks by either id gets them, and one provider is listed.
async fn names_stay(Stage { client, bought, found, .. }: &Stage) {
    for operation in [bought, found] {
        let name = &order(operation).name;
        assert!(name.starts_with("providers/old/orders/"), "{name}");
        for provider in ["new", "old"] {
            let asked = name.replace("/old/", &format!("/{provider}/"));
            assert_eq!(client.get_order(&asked).await.expect("it is known").name, *name);
        }
    }
    let providers = client.providers().list_providers(ListProvidersRequest::default()).await;
    let providers = providers.expect("they are listed").into_inner().providers;
    let shown: Vec<&str> = providers.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(shown, ["providers/new"]);
}

async fn goes_on(store: &str) {
    let stage = Box::pin(stage(store)).await;
    names_stay(&stage).await;
}

#[tokio::test]
async fn renamed_provider_goes_on_in_an_embedded_store() {
    goes_on(EMBEDDED).await;
}

#[tokio::test]
async fn renamed_provider_goes_on_in_a_shared_store() {
    goes_on(&server().url(&database(server()).await)).await;
}

async fn suspended(client: &Client, name: &str) -> Operation {
    let request = SuspendServiceRequest {
        name: name.to_owned(),
        request_id: request_id(),
        ..SuspendServiceRequest::default()
    };
    let accepted = client.services().suspend_service(request).await.expect("it is accepted");
    client.done(&accepted.into_inner().name).await
}

/// An upstream that shows nothing: a service is known by its record alone, and its account by the provider's id.
async fn keeps_records(store: &str) {
    let options = racknap::Options::default();
    let upstream = RackNap::start(options).await.expect("the simulator starts");
    let program = Program::start(original(store, recording::provider(&upstream)));
    let client = program.client().await;
    succeeded(client.ordered(recording::purchase_at("old")).await);
    let services = client.all_services("old").await.expect("listed");
    let [service]: [Service; 1] = services.try_into().expect("one service");

    let folder = program.kill();
    renamed(store, recording::provider(&upstream)).write(folder.path()).expect("written");
    let program = Program::start_in(folder);
    let client = program.client().await;
    let name = service.name.clone();
    let by_new_id = name.replace("/old/", "/new/");
    for asked in [&name, &by_new_id] {
        assert_eq!(client.service(asked).await.expect("on record"), service);
    }
    for provider in ["new", "old"] {
        let listed = client.all_services(provider).await.expect("listed");
        assert_eq!(listed, std::slice::from_ref(&service));
    }
    succeeded(suspended(&client, &by_new_id).await);
    let after = client.service(&by_new_id).await.expect("on record");
    assert_eq!((after.state(), &after.name), (ServiceState::Suspended, &name));
    assert_eq!((&after.order, &after.product), (&service.order, &service.product));
    assert_eq!(client.all_services("new").await.expect("listed"), [after]);
}

#[tokio::test]
async fn renamed_provider_keeps_its_service_records_in_an_embedded_store() {
    keeps_records(EMBEDDED).await;
}

#[tokio::test]
async fn renamed_provider_keeps_its_service_records_in_a_shared_store() {
    keeps_records(&server().url(&database(server()).await)).await;
}

#[tokio::test]
async fn former_id_of_another_plugin_is_refused_at_start() {
    let upstream = upstream(Options::default()).await;
    let program = Program::start(original(EMBEDDED, provider(&upstream)));
    succeeded(program.client().await.ordered(purchase("old", &[("shares", 1)])).await);
    let folder = program.kill();
    let other = RackNap::start(racknap::Options::default()).await.expect("the simulator starts");
    renamed(EMBEDDED, recording::provider(&other)).write(folder.path()).expect("written");
    let said = refused_by_configuration(folder.path()).await;
    let expected =
        "providers.new.formerly: \"old\" had plugin \"gandi\", and this provider has \"racknap\"";
    assert!(said.contains(expected), "{said}");
}
