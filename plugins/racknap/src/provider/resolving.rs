//! What can be known of a write whose answer was lost: nothing, by asking the upstream. An operator who
//! looked at it may name the service; then the record is completed with what was sent.

use purveyor_sdk::v1::UpstreamRef;
use purveyor_sdk::{Error, Find, Finding, Result, Step, WriteRequest};

use super::RackNap;
use super::services::{Change, service_id};
use crate::error::number;

pub(super) fn find(racknap: &RackNap, request: &Find) -> Result<Finding> {
    let named = request.upstream_id.as_str();
    let (change, name) = match &request.write.request {
        WriteRequest::CreateOrder(order) => {
            if named.is_empty() {
                return Err(Error::unsupported("a way to find out whether a record was written"));
            }
            // The upstream cannot be asked; what is no number of a service is none, whoever says so.
            if number(named, 1, "upstream_id").is_err() {
                return Ok(Finding::absent());
            }
            let upstream = UpstreamRef::of(named.to_owned());
            let order = racknap.order(order, &racknap.line(order)?, upstream)?;
            return Ok(Finding::found(named, Step::Done(order.into())));
        }
        WriteRequest::SuspendService(request) => (Change::Suspend, &request.name),
        WriteRequest::ResumeService(request) => (Change::Resume, &request.name),
        WriteRequest::TerminateService(request) => (Change::Terminate, &request.name),
        _ => return Err(Error::unsupported("a search for this write")),
    };
    // The context names what the operator named; the write knows its own service.
    let id = service_id(request.write.upstream_id(), name)?;
    if named != id.to_string() {
        // Nothing can be read: whether it is sent again, the gateway decides.
        return Ok(Finding::absent());
    }
    let service = racknap.changed(change, id, UpstreamRef::default())?;
    Ok(Finding::found(named, Step::Done(service.into())))
}
