//! How a spend is sent wrongly on purpose, and how one is held up: for the torture run. It must not be
//! compiled into anything that is shipped.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::super::Egress;
use super::super::answer::Exchange;
use super::super::connect::Stream;
use super::super::request::Prepared;
use super::{Body, SpendTask, Stopped, exchange, request, stopped};
use crate::failpoint::{Control, control, stall};

type Connection = http1::Connection<TokioIo<Box<dyn Stream>>, Body>;

/// How often the naive control sends again.
const NAIVE_TRIES: usize = 3;

impl SpendTask {
    /// Negative control: what most clients do when a connection breaks.
    pub(super) async fn naively_again(&self, mut done: Exchange) -> Exchange {
        for _ in 0..NAIVE_TRIES {
            if !control(Control::Naive) || !matches!(done, Exchange::Broken(..)) {
                break;
            }
            if let Ok(again) = connect_and_send(&self.egress, &self.prepared).await {
                done = again;
            }
        }
        done
    }

    /// Negative control: the permit and the look at the clock come first, the connection last.
    pub(super) async fn connecting_last(&self) -> Result<Exchange, Stopped> {
        let permit = self.permit().await?;
        if permit.deadline.is_past(self.egress.clock.boot()) {
            return Err(stopped("the permit's deadline was missed".to_owned()));
        }
        let Some(pause) = stall() else {
            return connect_and_send(&self.egress, &self.prepared).await.map_err(stopped);
        };
        let (egress, prepared) = (Arc::clone(&self.egress), self.prepared.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            // Nobody waits for what becomes of it; the upstream's ledger tells.
            let _unheard = connect_and_send(&egress, &prepared).await;
        });
        Ok(given_up())
    }

    /// A sender that stops between the look at the clock and the write, for so long that everybody else
    /// holds it to be dead and decides about its attempt; and then writes.
    pub(super) fn held_up(
        &self,
        pause: Duration,
        sender: http1::SendRequest<Body>,
        connection: Connection,
        request: Request<Body>,
    ) -> Exchange {
        let (prepared, max_bytes) = (self.prepared.clone(), self.egress.max_answer_bytes);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _unheard = exchange(sender, connection, request, &prepared, max_bytes).await;
        });
        given_up()
    }
}

async fn connect_and_send(egress: &Egress, prepared: &Prepared) -> Result<Exchange, String> {
    let request = request(prepared).map_err(|stopped| stopped.reason)?;
    let stream = egress.dial.connect().await?;
    let handshake = http1::handshake::<_, Body>(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|error| error.to_string())?;
    Ok(exchange(sender, connection, request, prepared, egress.max_answer_bytes).await)
}

fn given_up() -> Exchange {
    Exchange::Broken("the sender was held up".to_owned(), None)
}
