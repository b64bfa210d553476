//! What the upstream tells, in types: services, orders, the ways to renew, means of payment. Amounts
//! keep their digits; members that nobody reads here stay beside them as they came.

mod json;
mod money;
mod order;
mod payment;
mod service;
mod strategy;
mod time;

pub(crate) use json::{document, to_struct};
pub(crate) use money::{Amount, notices, price};
pub(crate) use order::{Detail, Extension, Order, Secrets, Status};
pub(crate) use payment::{Mean, MeanKind, Method, needs_id};
pub(crate) use service::{Infos, Service, segments};
pub(crate) use strategy::{Strategy, term_of};
pub(crate) use time::moment;
