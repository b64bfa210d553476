//! The stores, held to one contract. What every store has to do stands in `conformance`; what is
//! special to one kind of store stands in the file of its name. It must not reach behind the
//! `Store` trait.

mod conformance;
mod growth;
mod postgres;
mod samples;
mod sqlite;
