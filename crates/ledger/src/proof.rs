//! Proofs at a published checkpoint (design §4): inclusion of the last index leaf, and the map's word on a tag or on
//! all tags of a repository. It must not know who asks, and never lets "not yet published" look like "never recorded".

use std::sync::Arc;

use oci::{Name, TagName};
use taglog::{MAX_PREFIX_TAGS, PrefixParts, PrefixProof, ProofParts, TagKey, assemble, assemble_prefix};
use tlog::{TlogProof, inclusion_proof_of_next};

use crate::error::Error;
use crate::lookup;
use crate::published::Published;
use crate::record::Recorded;
use crate::shared::Shared;
use crate::store;
use crate::tiles;

/// The proof of what the map of `published` says of `tag`.
pub(crate) fn tag_proof(shared: &Shared, published: &Published, tag: &TagName) -> Result<String, Error> {
    let key = TagKey::of(&tag.name, &tag.tag);
    let leaf = match published.map.get(&key) {
        None if shared.newest.load().map.get(&key).is_some() => {
            return Err(Error::NotYetPublished { name: tag.to_string() });
        }
        None => {
            shared.can_deny()?;
            None
        }
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

/// The proof of what the map of `published` says of all tags of `name`.
pub(crate) fn repository_proof(shared: &Shared, published: &Published, name: &Name) -> Result<String, Error> {
    // It denies every tag that it does not list.
    shared.can_deny()?;
    let prefix = TagKey::repository(name);
    let proof = published.map.prove_prefix(&prefix, MAX_PREFIX_TAGS)?;
    // Keys never leave the map, so an equal number means the same keys; a list without one would deny it.
    if shared.newest.load().map.count_under(&prefix) != proof.entries().len() as u64 {
        return Err(Error::NotYetPublished { name: name.to_string() });
    }
    let leaves =
        records(shared, &proof)?.iter().map(|record| record.entry().bytes.to_vec()).collect::<Vec<_>>();
    Ok(assemble_prefix(&PrefixParts {
        checkpoint: &published.note,
        size: published.size,
        inclusion: &inclusion_proof_of_next(&published.before),
        count: published.map.len(),
        map: &proof,
        leaves: &leaves,
    }))
}

/// The records of all tags of `name` in `published`.
pub(crate) fn repository(
    shared: &Shared,
    published: &Published,
    name: &Name,
) -> Result<Vec<Arc<Recorded>>, Error> {
    records(shared, &published.map.prove_prefix(&TagKey::repository(name), MAX_PREFIX_TAGS)?)
}

fn records(shared: &Shared, proof: &PrefixProof) -> Result<Vec<Arc<Recorded>>, Error> {
    let read = |index| shared.readers.with(|connection| store::entry(connection, index));
    proof.entries().iter().map(|(key, value)| lookup::record(key, value, &shared.records, read)).collect()
}

/// The proof that the leaf at `index` is in `published`, with the leaf as its `extra`.
pub(crate) fn entry_proof(shared: &Shared, published: &Published, index: u64) -> Result<String, Error> {
    let entry = tiles::leaf(&published.edge, &shared.readers, index)?;
    let proof = TlogProof {
        extra: Some(entry.bytes.to_vec()),
        index,
        hashes: tiles::inclusion_proof(&published.edge, &shared.readers, index)?,
        checkpoint: published.note.parse()?,
    };
    Ok(proof.to_string())
}
