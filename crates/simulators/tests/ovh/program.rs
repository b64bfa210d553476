//! The program: its ready line, its ledger file, and that a restart gives no number twice.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::client::{KEYS, sign};
use crate::wire;

/// The program while it runs; killed, not asked to end, when it is dropped.
struct Program {
    child: Child,
    ready: Value,
}

impl Program {
    fn start(ledger: &Path) -> Self {
        let keys = format!("{}:{}:{}", KEYS.application, KEYS.secret, KEYS.consumer);
        let mut child = Command::new(env!("CARGO_BIN_EXE_purveyor-simulators"))
            .args(["ovh", "--listen", "127.0.0.1:0", "--keys", &keys, "--seed", "7"])
            .args(["--keys", "other:other:other", "--ledger"])
            .arg(ledger)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    async fn order(&self) -> i64 {
        let url = format!("{}/service/12345/renew", self.ready["url"].as_str().unwrap());
        let body = json!({ "duration": "P3M", "services": [12345] }).to_string();
        let stamp = jiff::Timestamp::now().as_second().to_string();
        let signature = sign(KEYS, "POST", &url, &body, &stamp);
        let headers = [
            ("X-Ovh-Application", KEYS.application),
            ("X-Ovh-Consumer", KEYS.consumer),
            ("X-Ovh-Timestamp", stamp.as_str()),
            ("X-Ovh-Signature", signature.as_str()),
        ];
        let (_, answer) = wire::send("POST", &url, &headers, body).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["orderId"].as_i64().unwrap_or_else(|| panic!("{answer}"))
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
    assert_eq!(first.ready["provider"], "ovh");
    assert!(first.ready["url"].as_str().unwrap().ends_with("/1.0"));
    let made = first.order().await;
    drop(first);
    let second = Program::start(&path);
    assert_eq!(second.order().await, made + 1);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[test]
fn keys_that_are_none_are_refused() {
    let run = Command::new(env!("CARGO_BIN_EXE_purveyor-simulators"))
        .args(["ovh", "--keys", "a:b"])
        .output()
        .unwrap();
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("three keys"));
}
