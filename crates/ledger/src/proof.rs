//! Tag proofs at the published checkpoint (design §4): inclusion of the last index leaf, and the map's word on the key.
//! It must not know who asks, and never lets "not yet published" look like "never recorded".

use oci::TagName;
use taglog::{ProofParts, TagKey, assemble};
use tlog::inclusion_proof_of_next;

use crate::error::Error;
use crate::lookup;
use crate::shared::Shared;
use crate::store;

/// The proof of what the published map says of `tag`.
pub(crate) fn tag_proof(shared: &Shared, tag: &TagName) -> Result<String, Error> {
    let key = TagKey::of(&tag.name, &tag.tag);
    let head = shared.head.load();
    let published = &head.published;
    let leaf = match published.map.get(&key) {
        None if head.map.get(&key).is_some() => {
            return Err(Error::NotYetPublished { name: tag.to_string() });
        }
        None => None,
        Some(value) => {
            let read = |index| shared.readers.with(|connection| store::entry(connection, index));
            Some(lookup::record(&key, &value, &shared.records, read)?)
        }
    };
    Ok(assemble(&ProofParts {
        checkpoint: &published.note,
        size: published.size,
        inclusion: &inclusion_proof_of_next(&published.before),
        count: published.map.len(),
        map: &published.map.prove(&key),
        leaf: leaf.as_ref().map(|record| &*record.entry().bytes),
    }))
}
