//! Clients of the public API, generated from the protos, for the program's own commands and the tests.

#![allow(clippy::all, clippy::too_many_lines, unreachable_pub)]

include!(concat!(env!("OUT_DIR"), "/client/purveyor.v1.Operations.rs"));
include!(concat!(env!("OUT_DIR"), "/client/purveyor.v1.Orders.rs"));
include!(concat!(env!("OUT_DIR"), "/client/purveyor.v1.Products.rs"));
include!(concat!(env!("OUT_DIR"), "/client/purveyor.v1.Providers.rs"));
include!(concat!(env!("OUT_DIR"), "/client/purveyor.v1.Renewals.rs"));
include!(concat!(env!("OUT_DIR"), "/client/purveyor.v1.Services.rs"));
