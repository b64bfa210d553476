//! The attribute macros of the Purveyor plugin SDK.
