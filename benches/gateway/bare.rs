//! A tonic server with nothing behind it: it answers one message that it holds in memory. What the
//! gateway's reads are compared with.

use std::convert::Infallible;
use std::io::Write;
use std::path::Path;
use std::task::{Context, Poll};
use std::{fs, io};

use anyhow::Result;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use prost::Message;
use purveyor_sdk::v1::{ListProductsRequest, ListProductsResponse};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic_prost::ProstCodec;
use tower_service::Service;

/// Serves the message in `file` on a free port, whose address is printed.
pub(crate) async fn serve(file: &Path) -> Result<()> {
    let answer = ListProductsResponse::decode(fs::read(file)?.as_slice())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut out = io::stdout();
    writeln!(out, "bare serves at {}", listener.local_addr()?)?;
    out.flush()?;
    let incoming = TcpListenerStream::new(listener).map_nodelay();
    Server::builder().add_service(Products(answer)).serve_with_incoming(incoming).await?;
    Ok(())
}

/// Answers as fast as sockets are written: without it, small answers wait for each other.
trait Nodelay: Sized {
    fn map_nodelay(self) -> impl futures_util::Stream<Item = io::Result<tokio::net::TcpStream>>;
}

impl Nodelay for TcpListenerStream {
    fn map_nodelay(self) -> impl futures_util::Stream<Item = io::Result<tokio::net::TcpStream>> {
        use futures_util::StreamExt;
        self.map(|accepted| accepted.and_then(|stream| stream.set_nodelay(true).map(|()| stream)))
    }
}

#[derive(Clone)]
struct Products(ListProductsResponse);

impl NamedService for Products {
    const NAME: &'static str = "purveyor.v1.Products";
}

impl Service<Request<Body>> for Products {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let handler = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(handler, request).await) })
    }
}

impl UnaryService<ListProductsRequest> for Products {
    type Response = ListProductsResponse;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::Response>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<ListProductsRequest>) -> Self::Future {
        let answer = self.0.clone();
        Box::pin(async move { Ok(tonic::Response::new(answer)) })
    }
}
