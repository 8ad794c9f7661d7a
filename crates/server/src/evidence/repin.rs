//! An operator's re-pin in public: the statement that follows the one of the record that it replaces.
//!
//! Logged before our own log has it, like any record.

use ledger::{Evidence, ManifestBytes, Recorded};
use oci::TagName;
use sigstore::{Action, Error, Statement};

use super::{Records, document};

/// Signs and logs it; gives what is kept with the leaf.
///
/// # Errors
///
/// [`Error`]: then nothing was changed, though the statement may be logged; the same command again finds its place.
pub(crate) async fn repin(
    records: &Records,
    tag: &TagName,
    current: &Recorded,
    manifest: &ManifestBytes,
    reason: &str,
    log_origin: Option<String>,
) -> Result<Evidence, Error> {
    let before = records.of(current);
    let statement = Statement {
        reference: tag.to_string(),
        digest: manifest.digest(),
        media_type: Some(manifest.media_type().as_str().to_owned()),
        // A record from before there were statements is followed by the first of them.
        sequence: before.as_ref().map_or(0, |before| before.statement.sequence + 1),
        previous: before.as_ref().map(|before| before.pae_hash),
        action: Action::Supersede { reason: reason.to_owned() },
        log_origin,
    };
    let prepared = records.sigstore.sign(&statement).await?;
    let verified = records.sigstore.submit(&prepared).await?;
    Ok(document(&verified, manifest.media_type().as_str(), manifest.bytes().len() as u64))
}
