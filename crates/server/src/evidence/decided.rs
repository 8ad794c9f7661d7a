//! Which of the records that Rekor has of a tag decides: the earliest first one, and the re-pins that follow it. Pure.

use sigstore::{Action, Consulted, Entry, Verified};

/// What this service logged itself.
pub(crate) struct Own {
    pub(crate) verified: Verified,
    /// Just now, from its beginning: nobody can have re-pinned it.
    pub(crate) just_now: bool,
}

/// The record that decides, if there is one. `own` is compared with what was found: the index may not have it yet, and has
/// it without its timestamp.
///
/// # Errors
///
/// An entry of ours that cannot be read and may say otherwise: it is earlier, or it may be the re-pin of what can be read.
pub(crate) fn decided(
    reference: &str,
    found: Consulted,
    own: Option<Own>,
) -> Result<Option<Verified>, Box<Entry>> {
    let mut records = found.records;
    let just_now = own.as_ref().filter(|own| own.just_now).map(|own| own.verified.entry.clone());
    if let Some(Own { verified, .. }) = own {
        match records.iter_mut().find(|record| record.pae_hash == verified.pae_hash) {
            // Somebody said the same before.
            Some(theirs) if place(&theirs.entry) < place(&verified.entry) && !same(theirs, &verified) => {}
            Some(seen) => *seen = verified,
            None => records.push(verified),
        }
        records.sort_by_key(|record| place(&record.entry));
    }
    let first = records.iter().find(|record| record.statement.previous.is_none());
    let unfollowed = first.is_some_and(|first| {
        just_now.as_ref().is_some_and(|own| (&own.log, own.index) == (&first.entry.log, first.entry.index))
    });
    for hidden in &found.unreadable {
        let later = first.is_some_and(|first| place(&first.entry) < place(hidden));
        if !(later && unfollowed) {
            tracing::error!(%reference, uuid = %hidden.uuid, "Rekor has a record of ours that cannot be read");
            return Err(Box::new(hidden.clone()));
        }
        tracing::warn!(%reference, uuid = %hidden.uuid, "Rekor has a later record of ours that cannot be read");
    }
    let Some(mut current) = first else { return Ok(None) };
    let others = records.iter().filter(|record| record.statement.previous.is_none());
    for other in others.filter(|other| other.statement.digest != current.statement.digest) {
        let (uuid, digest) = (&other.entry.uuid, other.statement.digest);
        tracing::error!(%reference, %uuid, %digest, "Rekor has a later record of ours that contradicts the first one");
    }
    while let Some(next) = records.iter().find(|record| {
        record.statement.previous == Some(current.pae_hash)
            && record.statement.sequence == current.statement.sequence + 1
            && matches!(record.statement.action, Action::Supersede { .. })
    }) {
        current = next;
    }
    Ok(Some(current.clone()))
}

fn place(entry: &Entry) -> (u64, u64) {
    (entry.time, entry.index)
}

/// Whether both are one entry.
pub(crate) fn same(one: &Verified, other: &Verified) -> bool {
    (&one.entry.log, one.entry.index) == (&other.entry.log, other.entry.index)
}
