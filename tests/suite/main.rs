//! The gateway's integration tests, in one binary: linking is what takes the time. They begin in the order of
//! their names, and `demo`, which builds for itself, shall not be the last.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole crate is tests")]

mod accounts;
mod api_calls;
mod api_connections;
mod api_described;
mod api_operations;
mod api_rig;
mod api_stop;
mod bad_days;
mod boundary;
mod buying;
mod changing;
mod clocks;
mod config;
mod crashing;
mod demo;
mod disk_faults;
mod doubting;
mod failing_over;
mod fairness;
mod file_lock;
mod file_loss;
mod finding_out;
mod looking_through;
mod mapping;
mod older_store;
mod operating;
mod plugin_cancelling;
mod plugin_egress;
mod plugin_faults;
mod plugin_loading;
mod plugin_support;
mod plugin_upstream;
mod polling;
mod pruning;
mod queueing;
mod reading;
mod recording;
mod refusing;
mod renewing;
mod renewing_by_order;
mod replicas;
mod restored_store;
mod rolling;
mod starting;
mod stopping;
mod store;
mod support;
mod tidy;
mod watching;
mod wire;
