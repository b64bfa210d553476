//! The Gandi provider plugin.
