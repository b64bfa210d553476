//! The program: its ready line, its ledger file, and that a restart repeats no id.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::client::{TOKEN, good, order, status};

/// The program while it runs; killed, not asked to end, when it is dropped.
struct Program {
    child: Child,
    ready: Value,
}

impl Program {
    fn start(ledger: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_purveyor-simulators"))
            .args(["klikk", "--listen", "127.0.0.1:0", "--account-token", TOKEN, "--seed", "7"])
            .args(["--account-token", "othertoken00000000000", "--login", "kari:secret"])
            .arg("--ledger")
            .arg(ledger)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
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
    let mut before = String::new();
    for (order_id, item_id) in [(73, 1293), (74, 1295)] {
        let program = Program::start(&path);
        assert_eq!(program.ready["provider"], "klikk");
        let url = program.ready["url"].as_str().unwrap().to_owned();
        assert_eq!(good(&url, order(&["a", "b"])).await["order_id"], json!(order_id));
        let told = good(&url, status(order_id)).await;
        assert_eq!(told["order_items"][0]["id"], json!(item_id));
        drop(program);
        let after = std::fs::read_to_string(&path).unwrap();
        assert!(after.starts_with(&before) && after.len() > before.len());
        before = after;
    }
    assert_eq!(before.lines().count(), 4);
}

#[test]
fn a_malformed_token_is_refused() {
    let run = Command::new(env!("CARGO_BIN_EXE_purveyor-simulators"))
        .args(["klikk", "--account-token", "short"])
        .output()
        .unwrap();
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("token"));
}
