//! What is about to be recorded: decided, charged and kept before anything of it is said in public, because nothing takes
//! that back. It must not know what was signed.

use bytes::Bytes;
use oci::Name;
use taglog::TagKey;

use super::{Draft, Failure};
use crate::budgets::Charge;
use crate::error::AppendError;
use crate::evidence::{MAX_PREPARED, Pending};
use crate::store;
use crate::submission::{Appended, ManifestBytes, NotRecorded, Observation, Submission};

impl Draft<'_> {
    /// Keeps what was signed for `submission`, if that would be recorded now; who comes first decides.
    pub(super) fn pend(
        &mut self,
        submission: &Submission,
        prepared: &Bytes,
        replaces: Option<&[u8]>,
    ) -> Result<Appended, Failure> {
        if prepared.len() > MAX_PREPARED {
            return Err(AppendError::PreparedTooLarge.into());
        }
        match submission {
            Submission::Record(seen) => {
                let key = TagKey::of(&seen.name, &seen.tag);
                if let Some(record) = self.current(&key)?
                    && (record.is_frozen() || self.row(&key)?.had_tag)
                {
                    return Ok(Appended::Existing(record));
                }
                let (date, trusted) = (seen.upstream_date, seen.is_of_a_configured_upstream());
                self.begin(key, (&seen.name, &seen.manifest), prepared, replaces, |draft, again| {
                    draft.time(date, trusted)?;
                    let charge = seen.charge();
                    // Signed anew it is a further entry in public, of the same bytes.
                    let manifest_bytes = if again { 0 } else { charge.manifest_bytes };
                    Ok(draft.charge(Charge { manifest_bytes, ..charge })?)
                })
            }
            Submission::Supersede { name, tag, old, manifest, .. } => {
                let key = self.stands(name, tag, old, manifest)?;
                self.begin(key, (name, manifest), prepared, replaces, |draft, _again| {
                    draft.time(None, false)?;
                    Ok(())
                })
            }
            _ => Ok(Appended::NotRecorded(NotRecorded::NotWanted)),
        }
    }

    fn begin(
        &mut self,
        key: TagKey,
        (name, manifest): (&Name, &ManifestBytes),
        prepared: &Bytes,
        replaces: Option<&[u8]>,
        pay: impl FnOnce(&mut Self, bool) -> Result<(), Failure>,
    ) -> Result<Appended, Failure> {
        let connection = self.terms.connection;
        let before = store::pending(connection, &key)?;
        if let Some(before) = &before
            && replaces != Some(&before.prepared[..])
        {
            return Ok(Appended::Pending(before.clone()));
        }
        self.room()?;
        let pending = Pending { digest: manifest.digest(), prepared: prepared.clone() };
        pay(self, before.is_some_and(|before| before.digest == pending.digest))?;
        // Upstream may not have it any more when the rest is done.
        self.keep(name, manifest, None)?;
        store::put_pending(connection, &key, &pending)?;
        self.kept += 1;
        Ok(Appended::Pending(pending))
    }
}

impl Observation {
    /// What its first record costs.
    pub(super) fn charge(&self) -> Charge {
        Charge {
            client: self.client,
            upstream: Some(self.upstream.clone()),
            manifest_bytes: self.manifest.bytes().len() as u64,
            ..Charge::default()
        }
    }

    pub(super) fn is_of_a_configured_upstream(&self) -> bool {
        self.upstream != Self::OTHER
    }
}
