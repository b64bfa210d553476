//! What the project's own commands and its tests share: the built plugins, the programs, their
//! configuration, and the tools that are fetched. It must not know what a test or the demo does
//! with them, and must not depend on the gateway, whose tests depend on it.

mod apt;
pub mod artifacts;
pub mod configuration;
pub mod faketime;
pub mod gateway;
pub mod network;
pub mod postgres;
pub mod process;
pub mod tools;
pub mod workspace;
