//! The stranger against logs that are good, and against logs with exactly one fault each.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod auditing;
mod bits;
mod comparing;
mod cosigning;
mod malice;
mod monitoring;
mod reading;
mod remembering;
mod simulator;
mod verifying;

/// A reader who knows the keys of the evidence to be the logs'.
fn knowing(evidence: &audit::evidence::Evidence) -> audit::Trust {
    evidence.keys().fold(audit::Trust::default(), |trust, key| trust.and_key(key.clone()).unwrap())
}
