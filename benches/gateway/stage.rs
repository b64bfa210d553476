//! What the measurements run on: the release programs and plugins, a gateway as a process of its own,
//! and an upstream that sells at once.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use xtask::artifacts::{self, Artifacts, Profile};
use xtask::configuration::{Configuration, Provider};
use xtask::process::Running;

/// What the programs are.
pub(crate) struct Stage {
    pub(crate) artifacts: Artifacts,
}

/// A gateway that runs.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) started_in: Duration,
    pub(crate) process: Running,
    _folder: TempDir,
}

impl Stage {
    pub(crate) fn build() -> Result<Self> {
        Ok(Self { artifacts: artifacts::build(Profile::Release)? })
    }

    /// A configuration without providers.
    pub(crate) fn configuration(&self) -> Configuration {
        Configuration::new(&self.artifacts).log_filter("error")
    }

    /// Starts a gateway and waits until it accepts calls.
    pub(crate) fn start(&self, configuration: Configuration) -> Result<Gateway> {
        let folder = tempfile::tempdir()?;
        let file = configuration.write(folder.path())?;
        let mut command = Command::new(self.artifacts.program("purveyor")?);
        command.arg("serve").arg("--config").arg(&file);
        let began = Instant::now();
        let mut process = Running::start("purveyor", command, folder.path().join("purveyor.log"))?;
        let address = process.wait_for(|line| {
            line.strip_prefix("purveyor serves at ").and_then(|address| address.parse().ok())
        })?;
        Ok(Gateway { address, started_in: began.elapsed(), process, _folder: folder })
    }
}

/// A connection to a server.
pub(crate) async fn connect(address: SocketAddr) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    endpoint.connect().await.with_context(|| format!("cannot connect to {address}"))
}

/// A provider that needs no upstream.
pub(crate) fn memory() -> Provider {
    Provider::new("memory", "http://127.0.0.1:9")
}

/// An upstream that sells at once, and the provider that points to it.
pub(crate) async fn instant() -> Result<Provider> {
    let sold = Arc::new(AtomicU64::new(1));
    let sell = move || {
        let id = sold.fetch_add(1, Ordering::Relaxed);
        async move { Json(json!({ "id": id })) }
    };
    let orders = post(sell).get(|| async { Json(Value::Array(Vec::new())) });
    let router = Router::new().route("/orders", orders);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Provider::new("instant", &endpoint))
}

/// The resident memory of a process, in MiB.
pub(crate) fn resident_mib(process: u32) -> Result<f64> {
    let status =
        std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).context("no VmRSS")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}
