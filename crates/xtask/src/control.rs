//! Tells a simulator what to do next, over its control API. What was sold is never asked for: the
//! ledger's file is the truth.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Posts a command, `http://127.0.0.1:1234` and `/faults`.
pub(crate) async fn post(url: &str, command: &str, body: &Value) -> Result<()> {
    let (status, _) = send(url, Method::POST, command, body).await?;
    ensure!(status.is_success(), "the simulator refused {command} with {status}");
    Ok(())
}

/// Sends a command that may be refused; the status and what is answered.
pub(crate) async fn send(
    url: &str,
    method: Method,
    command: &str,
    body: &Value,
) -> Result<(StatusCode, Value)> {
    let host = url.strip_prefix("http://").context("the control API speaks plain http")?;
    let stream = TcpStream::connect(host).await.context("the simulator does not listen")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(command)
        .header(header::HOST, host)
        .body(Full::new(Bytes::from(body.to_string())))?;
    let answer = sender.send_request(request).await.context("the simulator does not answer")?;
    let status = answer.status();
    let answer = answer.into_body().collect().await.context("the simulator breaks off")?;
    connection.abort();
    Ok((status, serde_json::from_slice(&answer.to_bytes()).unwrap_or_default()))
}
