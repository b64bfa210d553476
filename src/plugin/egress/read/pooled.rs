//! Whether a request went over a connection of the pool. The client does not say so; but it makes a new
//! connection in the request's own task, where a layer around the connector can note it.

use std::cell::Cell;
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    static CONNECTED: Cell<bool>;
}

/// Runs a request; beside what comes of it, whether no connection was made for it.
pub(super) async fn noting<T>(request: impl Future<Output = T>) -> (T, bool) {
    let noted = async {
        let done = request.await;
        (done, !CONNECTED.with(Cell::get))
    };
    CONNECTED.scope(Cell::new(false), noted).await
}

/// Whether the connection ended before an answer began.
pub(super) fn is_closed(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled() || error.is_closed())
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            let closed = [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof];
            return closed.contains(&error.kind());
        }
        next = error.source();
    }
    false
}

/// Notes each connection that is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoteConnects;

/// A connector that notes what it makes.
#[derive(Debug, Clone)]
pub(super) struct Noting<S>(S);

impl<S> Layer<S> for NoteConnects {
    type Service = Noting<S>;

    fn layer(&self, inner: S) -> Noting<S> {
        Noting(inner)
    }
}

impl<S, R> Service<R> for Noting<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            // The client may finish a connection that it no longer needs outside of any request.
            let _outside = CONNECTED.try_with(|connected| connected.set(true));
            connecting.await
        })
    }
}
