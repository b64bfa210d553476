//! The author API as an author meets it: what compiles, what does not, and what crosses the boundary.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground gives way")]

#[path = "suite/acme.rs"]
mod acme;
#[path = "suite/boundary.rs"]
mod boundary;
#[path = "suite/compile_fail.rs"]
mod compile_fail;
#[path = "suite/descriptors.rs"]
mod descriptors;
#[path = "suite/upstream.rs"]
mod upstream;
