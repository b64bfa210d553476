//! The program: its ready line, its ledger file, and that a restart keeps what was written.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::client::{PASSWORD, PRODUCTS, USER, basic, resource, send};

/// The program while it runs; killed, not asked to end, when it is dropped.
struct Program {
    child: Child,
    ready: Value,
}

impl Program {
    fn start(ledger: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_purveyor-simulators"))
            .args(["computestacks", "--listen", "127.0.0.1:0", "--seed", "7"])
            .args(["--user", &format!("{USER}:{PASSWORD}"), "--region", "fra", "--term", "hour"])
            .arg("--ledger")
            .arg(ledger)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    async fn create(&self) -> i64 {
        let url = format!("{}{PRODUCTS}", self.ready["url"].as_str().unwrap());
        let headers = [("authorization", basic(USER, PASSWORD))];
        let body = resource("r", "cpu").to_string();
        let answer = send("POST", &url, &headers, body).await.unwrap();
        answer.json()["product"]["id"].as_i64().unwrap()
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
    let first = Program::start(&path);
    assert_eq!(first.ready["provider"], "computestacks");
    assert!(first.ready["control_url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let made = first.create().await;
    drop(first);
    let before = std::fs::read_to_string(&path).unwrap();
    assert_eq!(before.lines().count(), 1);

    let second = Program::start(&path);
    assert!(second.create().await > made);
    let after = std::fs::read_to_string(&path).unwrap();
    assert!(after.starts_with(&before));
    assert_eq!(after.lines().count(), 2);
}

#[test]
fn a_user_without_a_password_is_refused() {
    let run = Command::new(env!("CARGO_BIN_EXE_purveyor-simulators"))
        .args(["computestacks", "--user", "nobody"])
        .output()
        .unwrap();
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("username:password"));
}
