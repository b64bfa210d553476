//! The published gandi.cli 1.6, unchanged, against the simulator.

use std::path::Path;
use std::process::Output;

use purveyor_simulators::Simulator;
use purveyor_simulators::gandi::{Gandi, Mode};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::client::{KEY, call, id, product, start};

/// The environment is installed once, by whichever test comes first.
static INSTALLED: OnceCell<()> = OnceCell::const_new();

async fn script(url: &str, key: &str, arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gandi-cli-1.6");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/gandi_cli.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(folder).arg(url).arg(key).args(arguments);
    let run = python.output().await;
    run.expect("python3 with pip is needed to run the published gandi.cli, and did not start")
}

async fn gandi(simulator: &Simulator<Gandi>, key: &str, arguments: &[&str]) -> (bool, String) {
    INSTALLED
        .get_or_init(|| async {
            let run = script(simulator.url(), key, &["--version"]).await;
            let errors = String::from_utf8_lossy(&run.stderr);
            assert!(run.status.success(), "gandi.cli could not be installed: {errors}");
        })
        .await;
    let run = script(simulator.url(), key, arguments).await;
    let output = [run.stdout, run.stderr].concat();
    (run.status.success(), String::from_utf8(output).unwrap())
}

#[tokio::test]
async fn account_info() {
    let simulator = start(Mode::default()).await;
    let (success, output) = gandi(&simulator, KEY, &["account", "info"]).await;
    assert!(success, "{output}");
    assert!(output.contains("AB3917-GANDI"), "{output}");
    assert!(output.contains("1337.42 EUR"), "{output}");
}

#[tokio::test]
async fn oper_list_and_info() {
    let simulator = start(Mode { bill_ms: 3_600_000, ..Mode::default() }).await;
    let params = [product("shares", 1, "1m")];
    let operation = call(simulator.url(), "hosting.product.create", params).await.unwrap();
    let number = id(&operation).to_string();
    for arguments in [vec!["oper", "list"], vec!["oper", "info", &number]] {
        let (success, output) = gandi(&simulator, KEY, &arguments).await;
        assert!(success, "{output}");
        for expected in [&number, "hosting_account_product_add", "BILL"] {
            assert!(output.contains(expected), "{arguments:?}: {output}");
        }
    }
    let (_, done) = gandi(&simulator, KEY, &["oper", "list", "--step", "DONE"]).await;
    assert!(!done.contains(&number), "{done}");
}

#[tokio::test]
async fn a_wrong_key_is_understood() {
    let simulator = start(Mode::default()).await;
    let (success, output) = gandi(&simulator, &"0".repeat(24), &["account", "info"]).await;
    assert!(!success);
    assert!(output.contains("Invalid API key"), "{output}");
}
