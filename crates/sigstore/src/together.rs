//! One attempt for all who wait for the same: who waits while it fails gets that failure, and does not try again in turn.
//!
//! Knows not what is attempted.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::Error;

/// What is attempted by one at a time.
#[derive(Debug, Default)]
pub(crate) struct Together {
    /// Attempts that ended.
    ended: AtomicU64,
    /// The last one by its number, if it failed.
    failed: Mutex<Option<(u64, Error)>>,
}

impl Together {
    /// What is held already, or the outcome of an attempt that ends from now on: another's or one's own.
    pub(crate) async fn run<T>(
        &self,
        held: impl Fn() -> Option<T>,
        attempt: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if let Some(held) = held() {
            return Ok(held);
        }
        let before = self.ended.load(Ordering::SeqCst);
        let mut failed = self.failed.lock().await;
        if let Some(held) = held() {
            return Ok(held);
        }
        if let Some((number, error)) = &*failed
            && *number > before
        {
            return Err(error.clone());
        }
        let outcome = attempt.await;
        let number = self.ended.fetch_add(1, Ordering::SeqCst) + 1;
        *failed = outcome.as_ref().err().map(|error| (number, error.clone()));
        outcome
    }
}
