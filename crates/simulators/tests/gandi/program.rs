//! The program: its ready line, its ledger file, and that a restart keeps what was written.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::client::{KEY, call, id, product};

/// The program while it runs; killed, not asked to end, when it is dropped.
struct Program {
    child: Child,
    ready: Value,
}

impl Program {
    fn start(ledger: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_purveyor-simulators"))
            .args(["gandi", "--listen", "127.0.0.1:0", "--api-key", KEY, "--seed", "7"])
            .arg("--ledger")
            .arg(ledger)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    fn url(&self) -> &str {
        self.ready["url"].as_str().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_killed_program_keeps_its_ledger_and_repeats_no_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let buy = async |url: &str| {
        let sold = call(url, "hosting.product.create", [product("ips", 1, "1m")]).await;
        id(&sold.unwrap())
    };
    let first = Program::start(&path);
    assert_eq!(first.ready["provider"], "gandi");
    assert!(first.ready["control_url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let sold = buy(first.url()).await;
    drop(first);
    let before = std::fs::read_to_string(&path).unwrap();
    assert_eq!(before.lines().count(), 1);

    let second = Program::start(&path);
    assert!(buy(second.url()).await > sold);
    let after = std::fs::read_to_string(&path).unwrap();
    assert!(after.starts_with(&before));
    assert_eq!(after.lines().count(), 2);
}

#[test]
fn a_malformed_key_is_refused() {
    let run = Command::new(env!("CARGO_BIN_EXE_purveyor-simulators"))
        .args(["gandi", "--api-key", "short"])
        .output()
        .unwrap();
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("API key"));
}
