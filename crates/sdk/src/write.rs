//! The writes as the gateway accepted them, decoded, for quotes, evidence, progress and searches.

use std::future::Future;

use prost::{DecodeError, Message};
use prost_types::Timestamp;

use crate::error::Result;
use crate::plugin::v1::{self, Op, find_request, poll_request};
use crate::v1::{
    CancelOrderRequest, CreateOrderRequest, CreateProductRequest, CreateRenewalRequest,
    DeleteProductRequest, PayOrderRequest, ResumeServiceRequest, SuspendServiceRequest,
    TerminateServiceRequest, UpdateProductRequest, UpdateServiceRequest,
};

/// A write as it was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// What was asked.
    pub request: WriteRequest,
    /// The operation's request id; empty for a quote.
    pub request_id: String,
    /// The upstream's identifiers of the resource that the request names, several for an order that is
    /// several upstream objects; empty where it makes one.
    pub upstream_ids: Vec<String>,
}

/// What [`crate::Provider::baseline`] is asked: evidence before a step that spends.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// The write that is about to spend.
    pub write: Write,
    /// The step that is about to begin, from 1.
    pub step: i32,
    /// The handle that the step before returned; empty before the first.
    pub handle: Vec<u8>,
    /// Set when the gateway's store may lack what it sent since then: the write may have been sent already.
    /// The evidence is to be as it was at that time: what was made later, or cannot be told from that, is
    /// not in it, and [`Evidence::without_lost`] says so.
    pub lost_since: Option<Timestamp>,
}

/// What [`crate::Provider::baseline`] answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// What `find` will need; begins with a version of the plugin's own.
    pub evidence: Vec<u8>,
    /// Two spends of one account with the same word cannot be told apart upstream. Empty: no spend
    /// of the account can be told from another.
    pub similarity: String,
    /// Upstream identifiers that exist already and so cannot be what this spend makes.
    pub present_ids: Vec<String>,
    /// Where identifiers are numbers that only grow: the highest that is given out already, and
    /// `present_ids` then hold what is beside it and the lower ones.
    pub highest_id: String,
    /// The evidence holds nothing that was made since [`Baseline::lost_since`], or needs nothing to be left
    /// out because the search reads a state. Where that was asked and this is not set, an operator is
    /// asked instead of the upstream.
    pub without_lost: bool,
}

/// One operation that waits for its upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct PollItem {
    /// The write.
    pub write: Write,
    /// The last handle.
    pub handle: Vec<u8>,
    /// Identifiers that other operations of the account have claimed since this one was accepted; of an
    /// order alone.
    pub claimed_ids: Vec<String>,
}

/// What [`crate::Provider::find`] is asked: what became of the last attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Find {
    /// The write.
    pub write: Write,
    /// The step that the unknown attempt belongs to, from 1.
    pub step: i32,
    /// The handle that the step before returned.
    pub handle: Vec<u8>,
    /// The evidence of the baseline.
    pub evidence: Vec<u8>,
    /// The attempts of this step, oldest first, at least one; the last one is unknown.
    pub attempts: Vec<Attempt>,
    /// Upstream identifiers that belong to other operations and so are no evidence.
    pub claimed_ids: Vec<String>,
    /// Set when an operator says which upstream object it is: answer found for it, or absent.
    pub upstream_id: String,
    /// Requests of the same method on the account whose outcome is not known either. What bears the
    /// mark of one of them is explained by it, one object for each mark.
    pub other_request_ids: Vec<String>,
    /// Identifiers that a whole listing shows, newest first. One that is not listed and cannot be read
    /// by itself is gone, and the next one counts.
    pub witness_ids: Vec<String>,
}

impl Find {
    /// Why a listing is not whole; empty: it is. A whole listing shows the newest of what stood in the
    /// baseline (`known`, newest first) and the newest of [`Find::witness_ids`], unless reading them by
    /// their identifiers shows that they are gone; then the next of each counts. Where nothing is
    /// known, nothing shows that a listing is whole.
    ///
    /// # Errors
    ///
    /// What kept an object from being read.
    pub async fn incomplete<F: Future<Output = Result<bool>>>(
        &self,
        known: &[String],
        listed: impl Fn(&str) -> bool,
        exists: impl Fn(String) -> F,
    ) -> Result<String> {
        let mut shown = false;
        for ids in [known, &self.witness_ids] {
            for id in ids {
                if listed(id) {
                    shown = true;
                    break;
                }
                if exists(id.clone()).await? {
                    return Ok(format!("{id} exists and is not listed"));
                }
            }
        }
        let unknown = "nothing that the account is known to have is listed";
        Ok(if shown { String::new() } else { unknown.to_owned() })
    }
}

/// One attempt whose outcome matters.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// From 1.
    pub number: i32,
    /// The upstream call.
    pub call: String,
    /// When its permit was given.
    pub send_time: Timestamp,
}

/// One variant for each write of the table of methods.
macro_rules! write_requests {
    ($($variant:ident($request:ty),)*) => {
        /// What was asked, by method.
        #[derive(Debug, Clone, PartialEq)]
        pub enum WriteRequest {
            $(
                #[doc = concat!("As `", stringify!($variant), "`.")]
                $variant($request),
            )*
        }

        impl WriteRequest {
            /// Which write it is.
            pub fn op(&self) -> Op {
                match self {
                    $(Self::$variant(_) => Op::$variant,)*
                }
            }

            /// The request's own bytes.
            pub fn encode_to_vec(&self) -> Vec<u8> {
                match self {
                    $(Self::$variant(request) => request.encode_to_vec(),)*
                }
            }

            /// The request of the write `op`; `None` when `op` is no write.
            ///
            /// # Errors
            ///
            /// What is wrong with the bytes.
            pub fn decode(op: Op, bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
                Ok(match op {
                    $(Op::$variant => Some(Self::$variant(<$request>::decode(bytes)?)),)*
                    _ => None,
                })
            }
        }

        $(
            impl From<$request> for WriteRequest {
                fn from(request: $request) -> Self {
                    Self::$variant(request)
                }
            }
        )*
    };
}

write_requests! {
    CreateProduct(CreateProductRequest),
    UpdateProduct(UpdateProductRequest),
    DeleteProduct(DeleteProductRequest),
    CreateOrder(CreateOrderRequest),
    CancelOrder(CancelOrderRequest),
    PayOrder(PayOrderRequest),
    UpdateService(UpdateServiceRequest),
    SuspendService(SuspendServiceRequest),
    ResumeService(ResumeServiceRequest),
    TerminateService(TerminateServiceRequest),
    CreateRenewal(CreateRenewalRequest),
}

impl Write {
    /// Which write it is.
    pub fn op(&self) -> Op {
        self.request.op()
    }

    /// The message that crosses the boundary.
    pub fn to_wire(&self) -> v1::Write {
        v1::Write {
            op: self.op().into(),
            request: self.request.encode_to_vec(),
            request_id: self.request_id.clone(),
            upstream_ids: self.upstream_ids.clone(),
        }
    }

    /// The first identifier of the resource that the request names; empty where it makes one.
    pub fn upstream_id(&self) -> &str {
        self.upstream_ids.first().map_or("", String::as_str)
    }

    /// `None` for what is no write, or is missing, or cannot be decoded.
    fn from_wire(wire: Option<v1::Write>) -> Option<Self> {
        let wire = wire?;
        let request = WriteRequest::decode(wire.op(), &wire.request).ok()??;
        Some(Self { request, request_id: wire.request_id, upstream_ids: wire.upstream_ids })
    }
}

/// A message of the boundary that is decoded further before an author sees it.
pub(crate) trait FromWire: Sized {
    /// What crosses.
    type Wire: Message + Default;

    /// `None` for a message that breaks the contract.
    fn from_wire(wire: Self::Wire) -> Option<Self>;
}

impl FromWire for Write {
    type Wire = v1::PlanRequest;

    fn from_wire(wire: v1::PlanRequest) -> Option<Self> {
        Self::from_wire(wire.write)
    }
}

impl FromWire for Baseline {
    type Wire = v1::BaselineRequest;

    fn from_wire(wire: v1::BaselineRequest) -> Option<Self> {
        let write = Write::from_wire(wire.write)?;
        let (step, handle, lost_since) = (wire.step, wire.handle, wire.lost_since);
        Some(Self { write, step, handle, lost_since })
    }
}

impl FromWire for Vec<PollItem> {
    type Wire = v1::PollRequest;

    fn from_wire(wire: v1::PollRequest) -> Option<Self> {
        let item = |poll_request::Item { write, handle, claimed_ids }| {
            Some(PollItem { write: Write::from_wire(write)?, handle, claimed_ids })
        };
        wire.items.into_iter().map(item).collect()
    }
}

impl FromWire for Find {
    type Wire = v1::FindRequest;

    fn from_wire(wire: v1::FindRequest) -> Option<Self> {
        let attempt = |find_request::Attempt { number, call, send_time }| {
            Some(Attempt { number, call, send_time: send_time? })
        };
        let attempts: Vec<_> = wire.attempts.into_iter().map(attempt).collect::<Option<_>>()?;
        (!attempts.is_empty()).then_some(())?;
        Some(Self {
            write: Write::from_wire(wire.write)?,
            step: wire.step,
            handle: wire.handle,
            evidence: wire.evidence,
            attempts,
            claimed_ids: wire.claimed_ids,
            upstream_id: wire.upstream_id,
            other_request_ids: wire.other_request_ids,
            witness_ids: wire.witness_ids,
        })
    }
}

impl From<Evidence> for v1::BaselineResponse {
    fn from(evidence: Evidence) -> Self {
        let Evidence { evidence, similarity, present_ids, highest_id, without_lost } = evidence;
        Self { evidence, similarity, present_ids, highest_id, without_lost }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::{Find, FromWire, Op, PollItem, Write, WriteRequest};
    use crate::op::{OPS, OpKind};
    use crate::plugin::v1::{self, poll_request::Item};
    use crate::v1::CreateOrderRequest;

    #[test]
    fn every_write_of_the_table_is_decoded_and_nothing_else() {
        for info in OPS {
            let decoded = WriteRequest::decode(info.op, &[]).unwrap();
            assert_eq!(decoded.is_some(), info.kind == OpKind::Write, "{info:?}");
            assert!(decoded.is_none_or(|request| request.op() == info.op));
        }
    }

    #[test]
    fn a_write_survives_the_boundary() {
        let request = CreateOrderRequest { parent: "providers/a".to_owned(), ..Default::default() };
        let (request_id, upstream_ids) = ("r".to_owned(), vec!["u".to_owned(), "v".to_owned()]);
        let write = Write { request: request.into(), request_id, upstream_ids };
        assert_eq!(Write::from_wire(Some(write.to_wire())), Some(write));
    }

    #[test]
    fn incomplete_listing_lacks_what_exists_or_knows_nothing() {
        /// `known` and `witnesses` are newest first; identifiers from 50 on are gone.
        fn check(known: &[&str], witnesses: &[&str], listed: &[&str], expected: &str) {
            let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
            let find = Find { witness_ids: texts(witnesses), ..find() };
            let exists = |id: String| std::future::ready(Ok(id.parse::<u32>().unwrap() < 50));
            let known = texts(known);
            let told = find.incomplete(&known, |id| listed.contains(&id), exists);
            assert_eq!(told.now_or_never().unwrap().unwrap(), expected);
        }
        let nothing = "nothing that the account is known to have is listed";
        check(&[], &[], &["7"], nothing);
        check(&["7"], &[], &["7"], "");
        check(&["7"], &["9"], &["7", "9"], "");
        check(&["7"], &["9"], &["7"], "9 exists and is not listed");
        check(&["8", "7"], &[], &["7"], "8 exists and is not listed");
        check(&["50", "7"], &[], &["7"], "");
        check(&["50"], &["51"], &["7"], nothing);
        check(&["50"], &["51", "9"], &["9"], "");
    }

    fn find() -> Find {
        Find {
            write: Write {
                request: CreateOrderRequest::default().into(),
                request_id: String::new(),
                upstream_ids: Vec::new(),
            },
            step: 1,
            handle: Vec::new(),
            evidence: Vec::new(),
            attempts: Vec::new(),
            claimed_ids: Vec::new(),
            upstream_id: String::new(),
            other_request_ids: Vec::new(),
            witness_ids: Vec::new(),
        }
    }

    #[test]
    fn what_breaks_the_contract_is_refused() {
        fn check(op: Op, request: &[u8], expected: bool) {
            let write =
                v1::Write { op: op.into(), request: request.to_vec(), ..Default::default() };
            let wire =
                v1::PollRequest { items: vec![Item { write: Some(write), ..Item::default() }] };
            assert_eq!(Vec::<PollItem>::from_wire(wire).is_some(), expected, "{op:?} {request:?}");
        }
        check(Op::CreateOrder, &[], true);
        check(Op::CreateOrder, &[0xff], false);
        check(Op::GetOrder, &[], false);
        check(Op::Unspecified, &[], false);
        let nothing = v1::PollRequest { items: vec![Item::default()] };
        assert_eq!(Vec::<PollItem>::from_wire(nothing), None);
        assert_eq!(Find::from_wire(v1::FindRequest::default()), None);
    }
}
