//! A provider that needs no upstream.
