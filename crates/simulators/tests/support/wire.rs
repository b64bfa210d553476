//! One request on one fresh connection, for the independent clients of the simulators' tests. It must
//! follow nothing, repeat nothing, and know no provider.

use std::error::Error;
use std::io;

use bytes::Bytes;
use http::response::Parts;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How a connection ended without a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// By FIN.
    Closed,
    /// By RST.
    Reset,
}

/// Sends one request and answers status and body.
pub(crate) async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<(u16, Bytes), Broken> {
    let (head, body) = exchange(method, url, headers, body).await?;
    Ok((head.status.as_u16(), body))
}

/// Sends one request and answers the whole head and the body.
pub(crate) async fn exchange(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<(Parts, Bytes), Broken> {
    let (authority, path) = split(url);
    let stream = TcpStream::connect(authority).await.map_err(|error| classify(&error))?;
    let connecting = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = connecting.await.map_err(|error| classify(&error))?;
    let connection = tokio::spawn(connection);
    let mut request = http::Request::builder().method(method).uri(path).header("host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let response = sender.send_request(request).await.map_err(|error| classify(&error))?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| classify(&error))?;
    connection.abort();
    Ok((head, body.to_bytes()))
}

/// Authority and path of an address.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").unwrap().1;
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}

fn classify(error: &(dyn Error + 'static)) -> Broken {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
            return Broken::Reset;
        }
        cause = error.source();
    }
    Broken::Closed
}
