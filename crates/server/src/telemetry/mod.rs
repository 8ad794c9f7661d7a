//! What an operator sees: log lines and metrics.
//!
//! Knows nothing of requests; whoever handles a thing counts it.

pub mod log;
pub(crate) mod metrics;
