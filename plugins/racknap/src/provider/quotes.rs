//! What a write would do and cost. The upstream is not asked: an order costs what the caller tells it,
//! and a plan that is not there is the catalogue's to refuse.

use purveyor_sdk::v1::quote::Step;
use purveyor_sdk::v1::{Effect, Price, Quote};
use purveyor_sdk::{Error, Result, Write, WriteRequest};

use super::RackNap;
use super::services::{Change, service_id};

pub(super) fn plan(racknap: &RackNap, write: &Write) -> Result<Quote> {
    let (change, name) = match &write.request {
        WriteRequest::CreateOrder(request) => {
            let line = racknap.line(request)?;
            return Ok(Quote {
                price: Some(racknap.first_price(&line)),
                recurring_price: Some(Price::of(line.recurring, racknap.settings.tax)),
                steps: vec![step("service/create", Effect::Spend)],
                ..Quote::default()
            });
        }
        WriteRequest::SuspendService(request) => (Change::Suspend, &request.name),
        WriteRequest::ResumeService(request) => (Change::Resume, &request.name),
        WriteRequest::TerminateService(request) => (Change::Terminate, &request.name),
        _ => return Err(Error::unsupported("a quote of this write")),
    };
    service_id(write.upstream_id(), name)?;
    Ok(Quote { steps: vec![step(change.call(), Effect::Setting)], ..Quote::default() })
}

fn step(call: &str, effect: Effect) -> Step {
    Step { call: call.to_owned(), effect: effect.into() }
}
