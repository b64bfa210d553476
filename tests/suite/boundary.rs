//! The boundary between gateway and plugins as it is shipped: a plugin that is not in Rust, what a
//! plugin's file shows to the linker, and callers that hang up.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use futures_util::future::join_all;
use object::{Object as _, ObjectSymbol as _, SymbolScope};
use prost::Message as _;
use purveyor::plugin::{Availability, Environment, ProviderConfig, Registry};
use purveyor_sdk::plugin::v1::{CallContext, CallKind, Manifest, Method, Op};
use purveyor_sdk::v1::{GetProductRequest, ListServicesRequest, Product};
use purveyor_sdk::{Error, v1::ErrorReason};
use purveyor_simulators::gandi::Gandi;
use purveyor_simulators::{Fault, Simulator};
use tempfile::TempDir;
use tonic::{Code, Request};

use crate::plugin_support::{Plugins, clock};
use crate::support::client::{Client, told};
use crate::support::{FOR_EVER, Gateway, asked, built, configuration, gandi, until};

/// What the plugin in C can do: two ops that answer with the request, and one that it does not know
/// although its manifest says so.
fn manifest() -> Manifest {
    let method = |op: Op| Method { op: op.into(), ..Method::default() };
    Manifest {
        name: "plain-c".to_owned(),
        version: "1.0.0".to_owned(),
        description: "a plugin that is not in Rust".to_owned(),
        configuration_schema: "{}".to_owned(),
        methods: [Op::ListProducts, Op::GetProduct, Op::GetService].map(method).to_vec(),
        ..Manifest::default()
    }
}

/// Compiles the plugin with its manifest into `folder`.
fn compile(folder: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bytes: Vec<String> = manifest().encode_to_vec().iter().map(u8::to_string).collect();
    let header = folder.join("manifest.h");
    fs::write(&header, bytes.join(",")).unwrap();
    let library = folder.join("libplain_c.so");
    let compiled = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"])
        .args(["-fvisibility=hidden", "-Wl,--gc-sections", "-I"])
        .arg(root.join("crates/abi/include"))
        .arg(format!("-DPURVEYOR_MANIFEST=\"{}\"", header.display()))
        .arg("-o")
        .arg(&library)
        .arg(root.join("tests/plugins/c/plugin.c"))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    library
}

#[tokio::test]
async fn a_plugin_in_c_is_loaded_and_called_as_any_other() {
    let folder = TempDir::new().unwrap();
    let plugins = Plugins::empty();
    plugins.add(&compile(folder.path()));
    let account =
        ProviderConfig::new("c", "plain-c", "http://127.0.0.1:9/".parse().expect("a URL"));
    let environment = Environment::new(clock());
    let registry = Registry::open(plugins.config(), vec![account], environment).await;
    assert!(registry.refusals().is_empty(), "{:?}", registry.refusals());
    let provider = registry.get("c").unwrap();
    assert_eq!(provider.state(), Availability::Available);
    assert_eq!(provider.manifest(), &manifest());

    let context = CallContext::default();
    let call =
        async |op: Op, request: &[u8]| provider.call(CallKind::Read, op, request, &context).await;
    // A request with a name alone is a product with a name alone. The plugin waits once before.
    let name = "providers/c/products/1".to_owned();
    let request = GetProductRequest { name: name.clone(), ..GetProductRequest::default() };
    let answer = call(Op::GetProduct, &request.encode_to_vec()).await.unwrap();
    assert_eq!(Product::decode(answer).unwrap().name, name);
    assert_eq!(call(Op::ListProducts, b"").await.unwrap(), b"".as_slice());

    let reason = |answer: Result<_, Error>| answer.map(drop).unwrap_err().reason;
    assert_eq!(reason(call(Op::GetService, b"").await), ErrorReason::CapabilityUnsupported);
    assert_eq!(reason(call(Op::ListOrders, b"").await), ErrorReason::CapabilityUnsupported);
    call(Op::ListProducts, b"").await.unwrap();
}

#[test]
fn a_plugin_shows_one_symbol_and_no_other() {
    let artifacts = built();
    assert!(artifacts.pins.contains_key("libpurveyor_gandi.so"), "{:?}", artifacts.pins);
    for file in artifacts.pins.keys() {
        let bytes = fs::read(artifacts.plugins.join(file)).unwrap();
        let elf = object::File::parse(&*bytes).unwrap();
        let exported: Vec<&str> = elf
            .dynamic_symbols()
            .filter(|symbol| symbol.is_definition() && symbol.scope() == SymbolScope::Dynamic)
            .map(|symbol| symbol.name().unwrap())
            .collect();
        assert_eq!(exported, ["purveyor_plugin_v1"], "{file}");
    }
}

const READ: &str = "hosting.account.info";

/// Two hundred calls: each account is asked less often than its upstream allows.
const ACCOUNTS: u64 = 8;
const WAVES: u64 = 25;

/// A gateway whose reads of services hang at every upstream.
async fn stuck() -> (Gateway, Client, Vec<Simulator<Gandi>>) {
    let mut configuration = configuration();
    let mut upstreams = Vec::new();
    for number in 0..ACCOUNTS {
        let (upstream, provider) = gandi().await;
        upstream.inject(Fault::next(READ, FOR_EVER).times(1000));
        configuration = configuration.provider(&format!("gandi-{number}"), provider);
        upstreams.push(upstream);
    }
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    (gateway, client, upstreams)
}

fn listing(number: u64) -> ListServicesRequest {
    let parent = format!("providers/gandi-{number}");
    ListServicesRequest { parent, ..ListServicesRequest::default() }
}

fn reads(upstreams: &[Simulator<Gandi>]) -> u64 {
    upstreams.iter().map(|upstream| asked(upstream, READ)).sum()
}

fn open(upstreams: &[Simulator<Gandi>]) -> u64 {
    upstreams.iter().map(|upstream| upstream.connections().open).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_hangs_up_leaves_no_connection_open() {
    let (_gateway, client, upstreams) = stuck().await;
    for wave in 1..=WAVES {
        let calls = (0..ACCOUNTS).map(|number| {
            let mut services = client.services();
            tokio::spawn(async move { services.list_services(listing(number)).await })
        });
        let calls: Vec<_> = calls.collect();
        until("all wait upstream", async || reads(&upstreams) == wave * ACCOUNTS).await;
        assert_eq!(open(&upstreams), ACCOUNTS);
        for call in calls {
            call.abort();
            assert!(call.await.expect_err("it was cut off").is_cancelled());
        }
        until("they are let go", async || open(&upstreams) == 0).await;
    }
    upstreams[0].clear_faults();
    client.all_services("gandi-0").await.expect("services");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_passes_leaves_no_connection_open() {
    let (_gateway, client, upstreams) = stuck().await;
    for wave in 1..=WAVES {
        let calls = (0..ACCOUNTS).map(|number| {
            let (mut services, mut request) = (client.services(), Request::new(listing(number)));
            request.set_timeout(Duration::from_millis(300));
            async move { services.list_services(request).await.expect_err("it hangs") }
        });
        for status in join_all(calls).await {
            // The gateway's answer, or the client's own when that is late.
            let late = [Code::DeadlineExceeded, Code::Cancelled, Code::Unavailable];
            assert!(late.contains(&status.code()), "{status:?}");
        }
        assert!(reads(&upstreams) <= wave * ACCOUNTS);
        until("they are let go", async || open(&upstreams) == 0).await;
    }
    assert!(reads(&upstreams) > WAVES, "the upstreams were hardly asked");
    upstreams[0].clear_faults();
    client.all_services("gandi-0").await.expect("services");
}

#[tokio::test]
async fn a_deadline_is_told_with_its_reason() {
    let (_gateway, client, _upstreams) = stuck().await;
    let mut request = Request::new(listing(0));
    // Less than the upstream's own time-out, and enough for the gateway's answer to arrive.
    request.set_timeout(Duration::from_millis(900));
    let status = client.services().list_services(request).await.expect_err("it hangs");
    let (code, reason, _) = told(&status);
    assert_eq!((code, reason.as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
}
