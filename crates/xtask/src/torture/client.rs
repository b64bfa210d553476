//! A client that wants its order and takes no error for an answer: it sends the same request id again
//! until an operation has ended, hangs up, has no patience, and tries another body now and then. It
//! writes down whatever it is told and believes none of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use purveyor_sdk::v1::Operation;
use tonic::Status;

use super::call::{self, PATIENCE, Write, rests};
use super::dice::Dice;
use super::fleet::Doors;
use super::journal::{Answer, Journal, Line};
use super::subject::{Order, Subject};

/// The orders and what all clients share.
pub(crate) struct Market {
    pub(crate) seed: u64,
    pub(crate) subjects: Vec<Box<dyn Subject>>,
    pub(crate) orders: Vec<Order>,
    pub(crate) doors: Arc<Doors>,
    pub(crate) journal: Journal,
    pub(crate) next: AtomicUsize,
    pub(crate) done: AtomicUsize,
    /// Whether clients misbehave too.
    pub(crate) unruly: bool,
}

/// Takes one order after another until none is left.
///
/// # Errors
/// When the log cannot be written.
pub(crate) async fn buy(market: Arc<Market>) -> Result<()> {
    while let Some(order) = market.orders.get(market.next.fetch_add(1, Ordering::SeqCst)) {
        Client::new(&market, order).order().await?;
        market.done.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

struct Client<'a> {
    market: &'a Market,
    order: &'a Order,
    write: Write,
    dice: Dice,
}

/// How a call is made.
enum Manner {
    Patient,
    /// The deadline is almost at once.
    Hasty(Duration),
    /// The client hangs up after so long.
    Leaving(Duration),
}

impl<'a> Client<'a> {
    fn new(market: &'a Market, order: &'a Order) -> Self {
        let write = market.subjects[order.subject].write(order);
        let dice = Dice::new(market.seed, (1 << 40) + order.number as u64);
        Self { market, order, write, dice }
    }

    async fn order(mut self) -> Result<()> {
        let mut accepted = false;
        let tries_wrong = self.market.unruly && self.dice.percent(8);
        loop {
            // Once it is accepted, waiting and asking again are the same.
            let asks = accepted && self.dice.percent(50);
            let answer = self.call(asks).await?;
            let Some(state) = answer else {
                tokio::time::sleep(Duration::from_millis(self.dice.between(2, 40))).await;
                continue;
            };
            if !accepted && tries_wrong {
                self.try_another_body().await?;
            }
            accepted = true;
            if rests(state) {
                return Ok(());
            }
        }
    }

    /// One call; the operation's state, if it was told.
    async fn call(&mut self, asks: bool) -> Result<Option<purveyor_sdk::v1::operation::State>> {
        let channel = self.market.doors.any(&mut self.dice).await;
        let wait = Duration::from_millis(self.dice.between(0, 3000));
        let manner = self.manner();
        let patience = match manner {
            Manner::Hasty(patience) => patience,
            _ => PATIENCE,
        };
        let id = self.order.request_id.clone();
        let write = self.write.clone();
        let calling = async move {
            if asks {
                call::wait(channel, &id, wait, patience).await
            } else {
                write.send(channel, &id, wait, patience).await
            }
        };
        let Manner::Leaving(after) = manner else {
            let called = calling.await;
            self.note(false, Answer::of(&called))?;
            return Ok(called.ok().map(|operation| operation.state()));
        };
        match tokio::time::timeout(after, calling).await {
            Ok(called) => {
                self.note(false, Answer::of(&called))?;
                Ok(called.ok().map(|operation| operation.state()))
            }
            Err(_) => {
                self.note(false, Answer::HungUp)?;
                Ok(None)
            }
        }
    }

    fn manner(&mut self) -> Manner {
        if !self.market.unruly {
            return Manner::Patient;
        }
        match self.dice.roll(100) {
            0..10 => Manner::Hasty(Duration::from_millis(self.dice.between(1, 60))),
            10..20 => Manner::Leaving(Duration::from_micros(self.dice.between(200, 60_000))),
            _ => Manner::Patient,
        }
    }

    /// The request id is taken, so this has to be refused, and nothing of it may ever be sold.
    async fn try_another_body(&mut self) -> Result<()> {
        let wrong = Order { wrong: true, ..self.order.clone() };
        let write = self.market.subjects[self.order.subject].write(&wrong);
        let channel = self.market.doors.any(&mut self.dice).await;
        let sent: Result<Operation, Status> =
            write.send(channel, &self.order.request_id, Duration::ZERO, PATIENCE).await;
        self.note(true, Answer::of(&sent))
    }

    fn note(&self, wrong: bool, answer: Answer) -> Result<()> {
        self.market.journal.write(&Line { order: self.order.number, wrong, answer })
    }
}
