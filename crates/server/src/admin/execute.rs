//! The two commands themselves, on an open log.

use std::sync::Arc;

use ledger::{Appended, Ledger, ManifestBytes, Recorded, Submission};
use oci::{ManifestSelector, Name, Sha256Digest, TagName};
use taglog::{SupersedeRule, TagKey};

use super::{AdminError, Command, Outcome};
use crate::config::Config;
use crate::evidence::{Records, Repin, repin};

/// For re-pins that are logged in public first.
#[derive(Clone, Copy)]
pub(super) struct Public<'a> {
    pub(super) config: &'a Config,
    pub(super) records: &'a Records,
}

/// Fetches and hashes what a tag is to mean, then appends the leaf.
pub(super) async fn execute(
    ledger: &Ledger,
    upstream: &upstream::Client,
    public: Option<Public<'_>>,
    command: Command,
) -> Result<Outcome, AdminError> {
    if ledger.supersede_rule() == SupersedeRule::Never {
        return Err(ledger::AppendError::Forbidden.into());
    }
    let (tag, submission, old) = match command {
        Command::Supersede { tag, digest, reason } => {
            let record = current(ledger, &tag)?;
            let old = record.digest();
            let manifest = fetch(ledger, upstream, &tag.name, digest).await?;
            let submission = match public.filter(|public| public.config.publishes(tag.name.host())) {
                None => {
                    let TagName { name, tag: of } = tag.clone();
                    Submission::Supersede { name, tag: of, old, manifest, reason }
                }
                Some(Public { records, .. }) => {
                    let asked = Repin { tag: &tag, current: &record, manifest, reason };
                    repin(records, ledger, asked).await?
                }
            };
            (tag, submission, old)
        }
        Command::Thaw { tag, reason } => {
            let record = current(ledger, &tag)?;
            if !record.is_frozen() {
                return Err(AdminError::NotFrozen { tag: tag.to_string() });
            }
            let old = record.digest();
            let TagName { name, tag: of } = tag.clone();
            (tag, Submission::Thaw { name, tag: of, digest: old, reason }, old)
        }
    };
    match ledger.append(submission).await? {
        Appended::Recorded(record) => {
            let kind = record.entry().leaf.kind().to_owned();
            tracing::warn!(reference = %tag, %kind, index = record.index(), %old, new = %record.digest(), "an operator changed a record");
            Ok(Outcome {
                kind,
                index: record.index(),
                time: record.time(),
                old: old.to_string(),
                new: record.digest().to_string(),
            })
        }
        Appended::Existing(_)
        | Appended::Evidence { .. }
        | Appended::Kept
        | Appended::Pending(_)
        | Appended::Closed { .. }
        | Appended::NotRecorded(_) => Err(AdminError::NotRecorded { tag: tag.to_string() }),
    }
}

fn current(ledger: &Ledger, tag: &TagName) -> Result<Arc<Recorded>, AdminError> {
    let record = ledger.lookup(&TagKey::of(&tag.name, &tag.tag))?;
    record.ok_or_else(|| AdminError::NotRecorded { tag: tag.to_string() })
}

/// From upstream; where that cannot answer, what passed through here before will do, for its bytes are hashed too.
async fn fetch(
    ledger: &Ledger,
    upstream: &upstream::Client,
    name: &Name,
    digest: Sha256Digest,
) -> Result<ManifestBytes, AdminError> {
    match upstream.manifest(name, &ManifestSelector::Digest(digest.into())).await {
        Ok(fetched) => Ok(ManifestBytes::new(fetched.bytes, Some(fetched.manifest.media_type.as_str()))?),
        Err(source) => match ledger.manifest(name, &digest)? {
            Some(stored) => Ok(ManifestBytes::new(stored.bytes.clone(), Some(stored.media_type.as_str()))?),
            None => Err(AdminError::Fetch { subject: format!("{name}@{digest}"), source }),
        },
    }
}
