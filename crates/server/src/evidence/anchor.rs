//! `mode = "anchor"`: checkpoints of our log are logged in Rekor from time to time.
//!
//! Whoever saw one there knows what our log was then, whatever we say later. Nothing waits for it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::Records;

/// Logs the published checkpoint every `every`, if it is another, until `stop` resolves.
pub(crate) async fn keep_anchoring(records: Arc<Records>, every: Duration, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let mut last = 0;
    loop {
        if let Ok(published) = records.ledger.published()
            && published.size > last
        {
            match records.sigstore.anchor(records.ledger.origin(), &published.note).await {
                Ok(anchored) => {
                    last = published.size;
                    let (entry, size) = (&anchored.entry, published.size);
                    tracing::info!(size, log = %entry.log, uuid = %entry.uuid, index = entry.index, "a checkpoint was logged");
                }
                Err(error) => tracing::warn!(%error, "a checkpoint could not be logged in Rekor"),
            }
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}
