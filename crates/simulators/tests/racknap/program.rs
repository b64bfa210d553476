//! The program: its ready line, its ledger file, and that a restart gives no number twice.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::client::{TOKEN, service};
use crate::wire;

/// The program while it runs; killed, not asked to end, when it is dropped.
struct Program {
    child: Child,
    ready: Value,
}

impl Program {
    fn start(ledger: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_purveyor-simulators"))
            .args(["racknap", "--listen", "127.0.0.1:0", "--token", TOKEN, "--seed", "7"])
            .arg("--ledger")
            .arg(ledger)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    async fn create(&self) -> String {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("cache-control", "no-cache"), ("validate", bearer.as_str())];
        let url = format!("{}/service/create", self.ready["url"].as_str().unwrap());
        let sent = wire::send("POST", &url, &headers, service().to_string()).await;
        let answer: Value = serde_json::from_slice(&sent.unwrap().1).unwrap();
        answer["message"].as_str().unwrap()[..16].to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_killed_program_keeps_its_ledger_and_repeats_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let first = Program::start(&path);
    assert_eq!(first.ready["provider"], "racknap");
    assert!(first.ready["control_url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert!(first.ready["url"].as_str().unwrap().ends_with("/api/v2"));
    assert_eq!(first.create().await, "Service ID: 1334");
    drop(first);

    let second = Program::start(&path);
    assert_eq!(second.create().await, "Service ID: 1335");
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[test]
fn a_malformed_token_is_refused() {
    let run = Command::new(env!("CARGO_BIN_EXE_purveyor-simulators"))
        .args(["racknap", "--token", "short"])
        .output()
        .unwrap();
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("token"));
}
