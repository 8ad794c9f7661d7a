//! What each kind of submission means for the log, decided against the records before it (design §4, rules U and T).
//! It must not know how a batch begins or ends.

use oci::{Name, Sha256Digest, Tag};
use taglog::{Leaf, Reason, Record, TagKey};

use super::{Draft, Failure};
use crate::budgets::Charge;
use crate::error::AppendError;
use crate::evidence::Pending;
use crate::record::Recorded;
use crate::store::{self, Standing, TagRow, corrupt};
use crate::submission::{Appended, ManifestBytes, NotRecorded, Observation};

impl Draft<'_> {
    /// `in_public`: what was said there decides, whatever was about to be recorded.
    pub(super) fn record(&mut self, seen: &Observation, in_public: bool) -> Result<Appended, Failure> {
        let Observation { freeze, name, tag, manifest, upstream_date, .. } = seen;
        let key = TagKey::of(name, tag);
        let current = self.current(&key)?;
        // What is frozen, and what was thawed, is no longer this policy's to decide: rule U allows no second `tag` leaf.
        let had_tag = match &current {
            Some(record) if record.is_frozen() => true,
            Some(_) => self.row(&key)?.had_tag,
            None => false,
        };
        let freezes = *freeze && !had_tag;
        let begun = if had_tag { None } else { store::pending(self.terms.connection, &key)? };
        if let Some(record) = current.filter(|record| record.is_frozen() || !freezes) {
            if record.is_frozen() || record.digest() == manifest.digest() {
                self.keep_if_missing(&record, name, manifest)?;
                return Ok(Appended::Existing(record));
            }
            refuse_another(seen, begun.as_ref().filter(|_| !in_public))?;
            let time = self.time(*upstream_date, seen.is_of_a_configured_upstream())?;
            self.room()?;
            let bytes = manifest.bytes().len() as u64;
            self.charge(Charge { seen: Some(key), manifest_bytes: bytes, ..Charge::default() })?;
            let leaf = Leaf::Seen(leaf_of(name, tag, manifest, time));
            return self.change(key, &leaf, had_tag, Some((name, manifest)));
        }
        refuse_another(seen, begun.as_ref().filter(|_| !in_public))?;
        // What was begun was dated and paid for then.
        let date = upstream_date.filter(|_| begun.is_none());
        let time = self.time(date, seen.is_of_a_configured_upstream())?;
        self.room()?;
        let begun = begun.is_some();
        if !begun {
            self.charge(seen.charge())?;
        }
        let fields = leaf_of(name, tag, manifest, time);
        let leaf = if freezes { Leaf::Tag(fields) } else { Leaf::Seen(fields) };
        if self.tip.map.get(&key).is_some() {
            store::delete_pending(self.terms.connection, &key)?;
            return self.change(key, &leaf, true, Some((name, manifest)));
        }
        let index = self.tip.frontier.size();
        match store::insert_tag(self.terms.connection, &key, TagRow { index, first: index, had_tag: freezes })
        {
            // The map was checked against all of `tags` at the start, so a row that it does not know was put there since.
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                if !begun {
                    self.uncharge();
                }
                return Err(corrupt(format!("the row of `{name}:{tag}`")).into());
            }
            other => other?,
        }
        if begun {
            store::delete_pending(self.terms.connection, &key)?;
        }
        let record = self.append_record(key, &leaf)?;
        self.keep(name, manifest, Some(record.index()))?;
        Ok(Appended::Recorded(record))
    }

    pub(super) fn moved(
        &mut self,
        name: &Name,
        tag: &Tag,
        recorded: &Sha256Digest,
        seen: &Sha256Digest,
        upstream_date: Option<i64>,
    ) -> Result<Appended, Failure> {
        let key = TagKey::of(name, tag);
        let frozen_at = self.current(&key)?.filter(|record| record.is_frozen()).map(|record| record.digest());
        if frozen_at != Some(*recorded) || recorded == seen {
            return Ok(Appended::NotRecorded(NotRecorded::NotWanted));
        }
        if store::is_moved(self.terms.connection, &key, recorded, seen)? {
            return Ok(Appended::NotRecorded(NotRecorded::Already));
        }
        let time = self.time(upstream_date, false)?;
        // The refusal stands without the evidence, so what has no room is counted and forgotten.
        if self.room().is_err() {
            self.unrecorded_moves += 1;
            return Ok(Appended::NotRecorded(NotRecorded::DiskFull));
        }
        if self.charge(Charge { moved: Some(key), ..Charge::default() }).is_err() {
            self.unrecorded_moves += 1;
            return Ok(Appended::NotRecorded(NotRecorded::Budget));
        }
        let index = self.tip.frontier.size();
        store::insert_move(self.terms.connection, &key, recorded, seen)?;
        store::insert_change(self.terms.connection, &key, index)?;
        self.tip.last_time = time;
        let leaf =
            Leaf::Moved { name: name.clone(), tag: tag.clone(), recorded: *recorded, seen: *seen, time };
        self.append(&leaf.to_bytes())?;
        Ok(Appended::Evidence { index })
    }

    pub(super) fn supersede(
        &mut self,
        name: &Name,
        tag: &Tag,
        old: &Sha256Digest,
        manifest: &ManifestBytes,
        reason: &Reason,
    ) -> Result<Appended, Failure> {
        let key = self.stands(name, tag, old, manifest)?;
        let time = self.time(None, false)?;
        self.room()?;
        store::delete_pending(self.terms.connection, &key)?;
        let leaf = Leaf::Supersede {
            name: name.clone(),
            tag: tag.clone(),
            old: *old,
            new: manifest.digest(),
            time,
            reason: reason.clone(),
        };
        self.change(key, &leaf, true, Some((name, manifest)))
    }

    /// The key of a re-pin that this log takes.
    pub(super) fn stands(
        &self,
        name: &Name,
        tag: &Tag,
        old: &Sha256Digest,
        manifest: &ManifestBytes,
    ) -> Result<TagKey, Failure> {
        self.operator()?;
        let key = TagKey::of(name, tag);
        let current = self.current(&key)?;
        let stands = match &current {
            Some(record) if record.digest() != *old => false,
            Some(record) if record.is_frozen() => *old != manifest.digest(),
            Some(_) => self.row(&key)?.had_tag,
            None => false,
        };
        if !stands {
            return Err(AppendError::NotCurrent { name: format!("{name}:{tag}"), current }.into());
        }
        Ok(key)
    }

    pub(super) fn thaw(
        &mut self,
        name: &Name,
        tag: &Tag,
        digest: &Sha256Digest,
        reason: &Reason,
    ) -> Result<Appended, Failure> {
        self.operator()?;
        let key = TagKey::of(name, tag);
        let current = self.current(&key)?;
        if !current.as_ref().is_some_and(|record| record.is_frozen() && record.digest() == *digest) {
            return Err(AppendError::NotCurrent { name: format!("{name}:{tag}"), current }.into());
        }
        let time = self.time(None, false)?;
        self.room()?;
        let leaf = Leaf::Thaw {
            name: name.clone(),
            tag: tag.clone(),
            digest: *digest,
            time,
            reason: reason.clone(),
        };
        self.change(key, &leaf, true, None)
    }

    /// Takes no heed of a full disk: a log whose key is in the wrong hands has to end.
    pub(super) fn close(&mut self, reason: &Reason) -> Result<Appended, Failure> {
        let time = self.time(None, false)?;
        let index = self.tip.frontier.size();
        self.append(&Leaf::Close { time, reason: reason.clone() }.to_bytes())?;
        self.tip.last_time = time;
        self.tip.closed = true;
        Ok(Appended::Closed { index, time })
    }

    pub(super) fn keep_passing(
        &mut self,
        name: &Name,
        manifest: &ManifestBytes,
    ) -> Result<Appended, Failure> {
        match store::standing(self.terms.connection, name, &manifest.digest())? {
            Standing::Unknown => return Ok(Appended::NotRecorded(NotRecorded::NotWanted)),
            Standing::Fetched => return Ok(Appended::NotRecorded(NotRecorded::Already)),
            Standing::Named => {}
        }
        self.room()?;
        let bytes = manifest.bytes().len() as u64;
        self.charge(Charge { manifest_bytes: bytes, ..Charge::default() })?;
        self.keep(name, manifest, None)?;
        self.kept += 1;
        Ok(Appended::Kept)
    }

    /// Another upstream answer with the recorded digest: the manifest is kept if it was lost or never there.
    fn keep_if_missing(
        &mut self,
        record: &Recorded,
        name: &Name,
        manifest: &ManifestBytes,
    ) -> Result<(), Failure> {
        let digest = manifest.digest();
        if record.digest() != digest
            || store::standing(self.terms.connection, name, &digest)? == Standing::Fetched
            || self.room().is_err()
        {
            return Ok(());
        }
        let bytes = manifest.bytes().len() as u64;
        if self.charge(Charge { manifest_bytes: bytes, ..Charge::default() }).is_ok() {
            self.keep(name, manifest, None)?;
            self.kept += 1;
        }
        Ok(())
    }
}

/// What was signed to be said in public may be there: the tag means that and nothing else.
fn refuse_another(seen: &Observation, begun: Option<&Pending>) -> Result<(), AppendError> {
    match begun {
        Some(begun) if begun.digest != seen.manifest.digest() => {
            Err(AppendError::Begun { name: format!("{}:{}", seen.name, seen.tag), digest: begun.digest })
        }
        _ => Ok(()),
    }
}

fn leaf_of(name: &Name, tag: &Tag, manifest: &ManifestBytes, time: u64) -> Record {
    Record {
        name: name.clone(),
        tag: tag.clone(),
        digest: manifest.digest(),
        time,
        media_type: manifest.media_type(),
        size: manifest.bytes().len() as u64,
    }
}
