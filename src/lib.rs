//! Purveyor
