//! What the author of a Purveyor provider plugin sees.
