//! `mode = "anchor"`: checkpoints of our log are logged in Rekor from time to time.
//!
//! Whoever saw one there knows what our log was then, whatever we say later; the bundle is kept and shown, since Rekor has
//! only its hash. Nothing waits for it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ledger::{Evidence, Submission};
use sha2::{Digest as _, Sha256};
use sigstore::Anchored;

use super::Records;

/// Under which all of them are kept, so that the newest can be asked for; no hash of anything.
pub(super) const ANY: [u8; 32] = [0; 32];

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
                    records.keep_anchor(published.size - 1, &anchored).await;
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

impl Records {
    async fn keep_anchor(&self, index: u64, anchored: &Anchored) {
        let bundle = Bytes::from(anchored.bundle.clone());
        let evidence =
            Evidence { ids: vec![anchored.pae_hash, Sha256::digest(&bundle).into(), ANY], document: bundle };
        if let Err(error) = self.ledger.append(Submission::Anchored { index, evidence }).await {
            tracing::warn!(%error, "the bundle of a checkpoint could not be kept");
        }
    }
}
