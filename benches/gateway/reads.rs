//! A read that a plugin answers from memory, beside a bare tonic server that answers the same message.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use prost::Message;
use purveyor::api::client::products_client::ProductsClient;
use purveyor_sdk::v1::ListProductsRequest;
use tonic::transport::Channel;
use xtask::process::Running;

use crate::load;
use crate::stage::{Stage, connect, memory};
use crate::table::{head, median, rate, row};

/// Rounds of one server after the other.
const ROUNDS: usize = 7;
const SPAN: Duration = Duration::from_millis(1500);

pub(crate) async fn measure(stage: &Stage) -> Result<String> {
    let gateway = stage.start(stage.configuration().provider("memory", memory()))?;
    let through = connect(gateway.address).await?;
    let mut client = ProductsClient::new(through.clone());
    let message = client.list_products(request()).await?.into_inner();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("products");
    fs::write(&file, message.encode_to_vec())?;
    let mut command = Command::new(env::current_exe()?);
    command.arg("bare").arg(&file);
    let mut bare = Running::start("bare", command, folder.path().join("bare.log"))?;
    let address: SocketAddr = bare.wait_for(|line| {
        line.strip_prefix("bare serves at ").and_then(|address| address.parse().ok())
    })?;
    let beside = connect(address).await?;
    let size = message.encoded_len();
    let title = format!("A read of {} products ({size} bytes)", message.products.len());
    let mut table = head(&title, &["in flight", "bare tonic", "gateway", "ratio"]);
    for in_flight in [1, 64] {
        let (mut alone, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            alone.push(reads(&beside, in_flight).await?);
            whole.push(reads(&through, in_flight).await?);
        }
        let (alone, whole) = (median(alone), median(whole));
        let ratio = format!("{:.2}", whole / alone);
        row(&mut table, &[in_flight.to_string(), rate(alone), rate(whole), ratio]);
    }
    bare.stop()?;
    gateway.process.stop()?;
    Ok(table)
}

async fn reads(channel: &Channel, in_flight: usize) -> Result<f64> {
    let client = ProductsClient::new(channel.clone());
    load::run(in_flight, SPAN, move || {
        let mut client = client.clone();
        async move {
            client.list_products(request()).await?;
            Ok(())
        }
    })
    .await
}

fn request() -> ListProductsRequest {
    ListProductsRequest { parent: "providers/memory".to_owned(), ..Default::default() }
}
