//! The log that continues a closed one: leaf 0 names the end of the other, and every record that was current there is
//! recorded again, with its manifests. It must not change the closed log.
//!
//! A record keeps the time of its leaf there, so that "since when" stays true; leaves in the order of the closed log have
//! ascending times. A frozen tag becomes a `tag` leaf, an observed one a `seen` leaf. A thawed one had its one `tag` leaf
//! and must stay observed whatever the policy says (rule U): it becomes a `tag` leaf and a `thaw` leaf with the
//! operator's words. Where leaf 0 forbids `thaw`, it becomes a `seen` leaf and the policy decides anew.

use std::collections::HashSet;

use bytes::Bytes;
use oci::{ManifestType, Sha256Digest, TagName};
use rusqlite::Connection;
use taglog::{Leaf, Previous, Reason, Record, SupersedeRule, TagKey};
use tlog::VerifierKey;

use crate::builder::Builder;
use crate::creation::create_with;
use crate::error::{CreateError, Error, ReadOnly};
use crate::ledger::Ledger;
use crate::options::Options;
use crate::record::Recorded;
use crate::schema::{self, Access};
use crate::store::{self, Kept, Order, TagRow, corrupt};
use crate::submission::ManifestBytes;

/// Records between two index leaves, and calls of the progress function. A record takes two leaves at most.
const STEP: u64 = taglog::MAX_BATCH / 2;

/// Makes the successor of `closed`.
pub(crate) fn succeed(
    options: &Options,
    closed: &Ledger,
    mut progress: impl FnMut(u64, u64),
) -> Result<VerifierKey, CreateError> {
    if closed.read_only() != Some(&ReadOnly::Closed) {
        return Err(CreateError::NotClosed { origin: closed.origin().to_owned() });
    }
    if options.origin.as_deref() == Some(closed.origin()) {
        return Err(CreateError::SameName { origin: closed.origin().to_owned() });
    }
    let shared = closed.shared();
    let end = shared.newest.load_full();
    let previous = Previous { origin: closed.origin().to_owned(), size: end.size, root: end.root };
    let connection = schema::connect(&shared.data_dir.join(schema::DATABASE_FILE), Access::Read)?;
    create_with(options, Some(previous), |builder| {
        let total = end.map.len();
        store::with_tags(&connection, Order::Place, |rows| {
            for (done, (key, row)) in (0..).zip(rows) {
                if done % STEP == 0 {
                    progress(done, total);
                    if done > 0 {
                        builder.index()?;
                    }
                }
                Carried { options, closed, connection: &connection, builder }.record(&key, row)?;
            }
            Ok::<(), CreateError>(())
        })??;
        progress(total, total);
        if total > 0 {
            builder.index()?;
        }
        Ok(())
    })
}

/// One record on its way.
struct Carried<'a> {
    options: &'a Options,
    closed: &'a Ledger,
    connection: &'a Connection,
    builder: &'a mut Builder,
}

impl Carried<'_> {
    fn record(&mut self, key: &TagKey, row: TagRow) -> Result<(), CreateError> {
        let record = self.closed.lookup(key)?.filter(|record| record.index() == row.index);
        let record = record.ok_or_else(|| corrupt("the row of a tag"))?;
        let (name, tag) = record.name().zip(record.tag()).ok_or_else(|| corrupt("a record"))?;
        let subject = TagName { name: name.clone(), tag: tag.clone() };
        let (media_type, size) = self.manifest_of(key, &subject, &record)?;
        let fields = Record {
            name: subject.name.clone(),
            tag: subject.tag.clone(),
            digest: record.digest(),
            time: record.time(),
            media_type,
            size,
        };
        let may_thaw = self.options.supersede == SupersedeRule::Operator;
        let (frozen, thawed) = (record.is_frozen(), !record.is_frozen() && row.had_tag && may_thaw);
        let leaf = if frozen || thawed { Leaf::Tag(fields) } else { Leaf::Seen(fields) };
        self.builder.leaf(&leaf.to_bytes())?;
        if thawed {
            let TagName { name, tag } = subject.clone();
            let (digest, time, reason) = (record.digest(), record.time(), self.reason(key)?);
            self.builder.leaf(&Leaf::Thaw { name, tag, digest, time, reason }.to_bytes())?;
        }
        self.manifests(&subject, record.digest())
    }

    /// Type and size of a record's manifest: from its leaf, from the manifest, or from an older leaf that names it.
    fn manifest_of(
        &self,
        key: &TagKey,
        subject: &TagName,
        record: &Recorded,
    ) -> Result<(ManifestType, u64), CreateError> {
        if let Some(found) = record.manifest() {
            return Ok(found);
        }
        if let Some(manifest) = self.closed.manifest(&subject.name, &record.digest())? {
            return Ok((manifest.media_type, manifest.bytes.len() as u64));
        }
        let found = self.history(key)?.into_iter().rev().find_map(|leaf| match leaf {
            Leaf::Tag(fields) | Leaf::Seen(fields) if fields.digest == record.digest() => {
                Some((fields.media_type, fields.size))
            }
            _ => None,
        });
        found.ok_or_else(|| CreateError::ManifestMissing {
            name: subject.to_string(),
            digest: record.digest(),
        })
    }

    /// Why the tag was thawed last.
    fn reason(&self, key: &TagKey) -> Result<Reason, CreateError> {
        let found = self.history(key)?.into_iter().rev().find_map(|leaf| match leaf {
            Leaf::Thaw { reason, .. } => Some(reason),
            _ => None,
        });
        Ok(found.ok_or_else(|| corrupt("the history of a thawed tag"))?)
    }

    /// Every leaf of the key, the unpublished ones too.
    fn history(&self, key: &TagKey) -> Result<Vec<Leaf>, Error> {
        let shared = self.closed.shared();
        let (newest, row) = (shared.newest.load_full(), store::tag(self.connection, key)?);
        let first = row.map(|row| row.first);
        let indices = first.into_iter().chain(store::changes(self.connection, key)?);
        let leaf = |index| crate::tiles::leaf(&newest.edge, &shared.readers, index);
        indices.map(|index| leaf(index).map(|entry| entry.leaf)).collect()
    }

    /// The record's manifest and those below it, as far as they are kept.
    fn manifests(&self, subject: &TagName, digest: Sha256Digest) -> Result<(), CreateError> {
        let (mut waiting, mut seen) = (vec![digest], HashSet::new());
        while let Some(digest) = waiting.pop() {
            if !seen.insert(digest) {
                continue;
            }
            let Some(row) = store::manifest(self.connection, &subject.name, &digest)? else { continue };
            let bytes = Bytes::from(row.bytes);
            let manifest = ManifestBytes::new(bytes.clone(), Some(row.media_type.as_str()));
            let manifest = manifest.ok().filter(|manifest| manifest.digest() == digest);
            let manifest = manifest.ok_or_else(|| corrupt(format!("the manifest `{digest}`")))?;
            let now = self.options.clock.now();
            let (name, children) = (&subject.name, manifest.children());
            let kept = Kept { name, digest: &digest, media_type: row.media_type, bytes: &bytes, children };
            self.builder.manifest(&kept, now)?;
            waiting.extend(children);
        }
        Ok(())
    }
}
