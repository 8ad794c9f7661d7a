//! An operator's re-pin in public: the statement that follows the one of the record that it replaces.
//!
//! Logged before our own log has it, like any record, and kept before that: our log refuses first what it would not take,
//! and the same command again sends the same bytes.

use ledger::{Appended, Evidence, Ledger, ManifestBytes, Pending, Recorded, Submission};
use oci::TagName;
use sigstore::{Action, Statement};
use taglog::{Reason, TagKey};

use super::begun::read;
use super::{Records, Unlogged, decided, document};
use crate::admin::AdminError;

/// A re-pin that is asked for.
pub(crate) struct Repin<'a> {
    pub(crate) tag: &'a TagName,
    pub(crate) current: &'a Recorded,
    pub(crate) manifest: ManifestBytes,
    pub(crate) reason: Reason,
}

/// Signs and logs it; gives what our own log is to take.
///
/// # Errors
///
/// Nothing was changed then, though the statement may be logged: the same command again finds its place.
pub(crate) async fn repin(
    records: &Records,
    ledger: &Ledger,
    repin: Repin<'_>,
) -> Result<Submission, AdminError> {
    let Repin { tag, current, manifest, reason } = repin;
    let before = ledger.pending(&TagKey::of(&tag.name, &tag.tag))?;
    let mut wanted = Statement {
        reference: tag.to_string(),
        digest: manifest.digest(),
        media_type: Some(manifest.media_type().as_str().to_owned()),
        sequence: 0,
        previous: None,
        action: Action::Supersede { reason: reason.as_str().to_owned() },
        log_origin: records.log_origin.clone(),
    };
    // What was begun is finished in its own words.
    let begun = before.as_ref().and_then(|pending| read(pending, &wanted));
    let reason = match &begun {
        Some((_, Statement { action: Action::Supersede { reason: said }, .. })) => {
            Reason::parse(said).unwrap_or(reason)
        }
        _ => reason,
    };
    let submission = Submission::Supersede {
        name: tag.name.clone(),
        tag: tag.tag.clone(),
        old: current.digest(),
        manifest: manifest.clone(),
        reason,
    };
    let pending = match (begun, before) {
        (Some(_), Some(pending)) => pending,
        (_, Some(other)) if is_re_pin(&other) => {
            return Err(AdminError::Begun { tag: tag.to_string(), digest: other.digest });
        }
        (_, before) => {
            (wanted.sequence, wanted.previous) = follows(records, ledger, tag, current).await?;
            let replaces = before.map(|stale| stale.prepared);
            match records.begin(&submission, &wanted, replaces).await?.1 {
                Appended::Pending(pending) => pending,
                _ => return Err(AdminError::NotRecorded { tag: tag.to_string() }),
            }
        }
    };
    let verified = records.log(&submission, pending, &wanted).await?;
    let (media_type, size) = (manifest.media_type(), manifest.bytes().len() as u64);
    let evidence: Evidence = document(&verified, &tag.name, media_type.as_str(), size);
    Ok(Submission::Evidenced { submission: Box::new(submission), evidence })
}

fn is_re_pin(pending: &Pending) -> bool {
    let statement =
        sigstore::Prepared::from_bytes(&pending.prepared).and_then(|prepared| prepared.statement());
    statement.is_ok_and(|statement| matches!(statement.action, Action::Supersede { .. }))
}

/// Sequence and predecessor of the statement that follows: without them others could not tell that it takes the other back.
async fn follows(
    records: &Records,
    ledger: &Ledger,
    tag: &TagName,
    current: &Recorded,
) -> Result<(u64, Option<[u8; 32]>), AdminError> {
    if let Some(before) = records.of(current) {
        return Ok((before.statement.sequence + 1, Some(before.pae_hash)));
    }
    if ledger.evidence(current.index())?.is_some() {
        return Err(AdminError::Unproved { tag: tag.to_string(), index: current.index() });
    }
    // Lost, as after `restore`, or from before there were any: Rekor knows.
    let media_type = match current.manifest() {
        Some((media_type, _)) => Some(media_type),
        None => ledger.manifest(&tag.name, &current.digest())?.map(|stored| stored.media_type),
    };
    let candidate = Statement {
        reference: tag.to_string(),
        digest: current.digest(),
        media_type: media_type.map(|media_type| media_type.as_str().to_owned()),
        sequence: 0,
        previous: None,
        action: Action::FirstSeen,
        log_origin: records.log_origin.clone(),
    };
    let found = records.consult(&candidate).await?;
    let known = decided(&candidate.reference, found, None)
        .map_err(|entry| AdminError::Unreadable { tag: tag.to_string(), entry: entry.uuid })?;
    Ok(known.map_or((0, None), |known| (known.statement.sequence + 1, Some(known.pae_hash))))
}

impl From<Unlogged> for AdminError {
    fn from(error: Unlogged) -> Self {
        match error {
            Unlogged::Sigstore(error) => error.into(),
            Unlogged::Append(error) => error.into(),
        }
    }
}
