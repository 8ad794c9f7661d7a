//! What a Rekor v1 has of a reference already, by us or by the original program.
//!
//! The index is open to everybody and complete for nobody: what it names is checked like anything else, entries of others
//! are passed over and never fail the search, and how much is looked at is bounded. What cannot be read although it is ours
//! is told, because it says that there is a record whose digest nobody here knows.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::certificate::{believed, identity_in};
use crate::entry::LogEntry;
use crate::error::{Check, Error};
use crate::evidence::{logged, payload_hash, verifier};
use crate::heads::Heads;
use crate::identity::Identity;
use crate::original;
use crate::prepared::{Prepared, Verifier};
use crate::rekor1::{BATCH, Found, Rekor1};
use crate::settings::SearchBudget;
use crate::statement::{Statement, hex};
use crate::trust::Material;
use crate::verify::{Entry, Expected, Verified, assemble, record};

/// Bytes of a statement of ours.
const MAX_PAYLOAD: usize = 32 * 1024;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Consulted {
    /// Records of ours and adopted ones, the earliest first.
    pub records: Vec<Verified>,
    /// Where records of ours are whose statement is not one that was expected, and cannot be had; the earliest first.
    pub unreadable: Vec<Entry>,
    /// Entries of others under the same key.
    pub foreign: usize,
    /// False where what we log cannot be searched for: it is a Rekor v2, or one without an index. Then what was found may be
    /// less than there is, and nothing does not mean that there is no record.
    pub searched: bool,
}

impl Consulted {
    /// With what another log has.
    pub(crate) fn join(&mut self, other: Self) {
        self.records.extend(other.records);
        self.unreadable.extend(other.unreadable);
        self.foreign += other.foreign;
        self.searched &= other.searched;
        self.unreadable.sort_by_key(|entry| (entry.time, entry.index));
        self.records.sort_by_key(|record| (record.entry.time, record.entry.index));
        let mut seen = BTreeSet::new();
        self.records.retain(|record| seen.insert(record.pae_hash));
    }
}

/// A search.
pub(crate) struct Search<'a> {
    pub(crate) rekor: Rekor1<'a>,
    pub(crate) material: &'a Material,
    pub(crate) heads: &'a Heads,
    /// Whose records are ours.
    pub(crate) signers: &'a [Expected<'a>],
    pub(crate) adopt: &'a [Identity],
    pub(crate) budget: SearchBudget,
    pub(crate) log_origin: Option<&'a str>,
}

/// What one entry is.
enum Class {
    Record(Box<Verified>),
    /// SHA-256 of its payload.
    Unreadable(String),
    Foreign,
}

impl Search<'_> {
    /// Everything under `reference`; `candidates` are statements that an entry without a payload may be of.
    pub(crate) async fn run(&self, reference: &str, candidates: &[Statement]) -> Result<Consulted, Error> {
        let mut looked_at = 0;
        let all = self.all(reference, candidates, &mut looked_at);
        match tokio::time::timeout(self.budget.time, all).await {
            Ok(outcome) => outcome,
            Err(_late) => Err(Error::SearchBudget { reference: reference.to_owned(), looked_at }),
        }
    }

    async fn all(
        &self,
        reference: &str,
        candidates: &[Statement],
        looked_at: &mut usize,
    ) -> Result<Consulted, Error> {
        let beyond = |looked_at| Error::SearchBudget { reference: reference.to_owned(), looked_at };
        let most = self.budget.entries;
        let mut ids = BTreeSet::new();
        let ours = self.signers.iter().map(|signer| (signer.identity, signer.key));
        for (identity, key) in ours.chain(self.adopt.iter().map(|identity| (identity, None))) {
            match self.rekor.search(reference, identity, key, most).await {
                Ok(Found::Ids(found)) => ids.extend(found),
                Ok(Found::NoIndex) => return Ok(Consulted::default()),
                Err(Error::TooLarge { .. }) => return Err(beyond(0)),
                Err(error) => return Err(error),
            }
        }
        if ids.len() > most {
            return Err(beyond(0));
        }
        let ids: Vec<String> = ids.into_iter().collect();
        let mut found = Consulted { searched: true, ..Consulted::default() };
        let (mut unreadable, mut payloads) = (Vec::new(), BTreeMap::new());
        for batch in ids.chunks(BATCH) {
            let entries = self.rekor.entries_by_id(batch).await?;
            *looked_at += batch.len();
            found.foreign += batch.len().saturating_sub(entries.len());
            for entry in entries {
                payloads.extend(self.payload_beside(&entry));
                let class = self.classify(reference, candidates, &entry);
                if !matches!(class, Class::Foreign) {
                    self.heads.follow(&self.rekor, &entry.log_id, &entry.proof.checkpoint).await?;
                }
                match class {
                    Class::Record(record) => found.records.push(*record),
                    Class::Unreadable(payload) => unreadable.push((payload, entry)),
                    Class::Foreign => found.foreign += 1,
                }
            }
        }
        let known: BTreeSet<String> =
            found.records.iter().map(|record| hex(&Sha256::digest(record.statement.to_payload()))).collect();
        for (payload, entry) in unreadable.into_iter().filter(|(payload, _)| !known.contains(payload)) {
            // A second entry may hold the payload of the first, and be too late to be a record itself.
            let kept = payloads.get(&payload).and_then(|payload| Statement::from_payload(payload).ok());
            match kept.map(|statement| self.classify(reference, &[statement], &entry)) {
                Some(Class::Record(record)) => found.records.push(*record),
                Some(Class::Foreign) => found.foreign += 1,
                Some(Class::Unreadable(_)) | None => found.unreadable.push(entry.place()),
            }
        }
        Ok(found)
    }

    /// What stands beside an entry that names us, by its hash: whoever put it there, it is what has this hash.
    fn payload_beside(&self, entry: &LogEntry) -> Option<(String, Vec<u8>)> {
        let payload = entry.attestation.as_ref().filter(|payload| payload.len() <= MAX_PAYLOAD)?;
        self.ours(entry.spec.pointer("/content/envelope/signatures/0/publicKey"))?;
        Some((hex(&Sha256::digest(payload)), payload.clone()))
    }

    fn classify(&self, reference: &str, candidates: &[Statement], entry: &LogEntry) -> Class {
        let class = match (entry.kind.as_str(), entry.version.as_str()) {
            ("dsse", "0.0.1") => self.of_dsse(candidates, entry),
            ("intoto", "0.0.2") => self.of_intoto(entry),
            ("intoto", "0.0.1") => self.of_original(entry),
            _ => Class::Foreign,
        };
        match class {
            Class::Record(record) if record.statement.reference != reference => Class::Foreign,
            Class::Record(record) if !self.is_of_our_log(&record.statement) => Class::Foreign,
            class => class,
        }
    }

    /// An entry of the original, whose payload stands beside the log.
    fn of_original(&self, entry: &LogEntry) -> Class {
        let mut class = Class::Foreign;
        for identity in self.adopt {
            match original::adopt(&self.material.root, identity, entry) {
                Ok(record) => return Class::Record(Box::new(record)),
                // It is theirs, and what it says is withheld: not the same as nothing.
                Err(Error::Verification { check: Check::Payload, .. }) => {
                    class = payload_hash(entry).map_or(class, |hash| Class::Unreadable(hash.to_owned()));
                }
                Err(_of_somebody_else) => {}
            }
        }
        class
    }

    /// An entry that keeps the hash of the payload alone.
    fn of_dsse(&self, candidates: &[Statement], entry: &LogEntry) -> Class {
        let text = |pointer: &str| entry.spec.pointer(pointer).and_then(Value::as_str);
        let Some((who, with)) = self.ours(entry.spec.pointer("/signatures/0/verifier")) else {
            return Class::Foreign;
        };
        let (Some(hash), Some(signature)) = (text("/payloadHash/value"), text("/signatures/0/signature"))
        else {
            return Class::Foreign;
        };
        let payloads = candidates.iter().map(Statement::to_payload);
        let payload = payloads.into_iter().find(|payload| hex(&Sha256::digest(payload)) == hash);
        match (payload, STANDARD.decode(signature)) {
            (Some(payload), Ok(signature)) => self.whole(entry, who, with, payload, signature),
            (None, _) => self.unreadable(entry, who, &with, hash),
            (Some(_), Err(_)) => Class::Foreign,
        }
    }

    /// An entry that keeps the signature, and the payload beside the log.
    fn of_intoto(&self, entry: &LogEntry) -> Class {
        let envelope = |pointer: &str| entry.spec.pointer(&format!("/content/envelope{pointer}"));
        let Some((who, with)) = self.ours(envelope("/signatures/0/publicKey")) else {
            return Class::Foreign;
        };
        let hash = payload_hash(entry);
        let signature = envelope("/signatures/0/sig").and_then(Value::as_str);
        let signature =
            signature.and_then(|text| STANDARD.decode(text).ok()).and_then(|text| STANDARD.decode(text).ok());
        let (Some(hash), Some(signature)) = (hash, signature) else { return Class::Foreign };
        match &entry.attestation {
            Some(payload) => self.whole(entry, who, with, payload.clone(), signature),
            None => self.unreadable(entry, who, &with, hash),
        }
    }

    fn whole(
        &self,
        entry: &LogEntry,
        who: &Expected<'_>,
        verifier: Verifier,
        payload: Vec<u8>,
        signature: Vec<u8>,
    ) -> Class {
        let prepared = Prepared { payload, signature, verifier, timestamp: None };
        let bundle = assemble(&prepared, &entry.to_protojson());
        match record(&self.material.root, who, &bundle) {
            Ok(record) => Class::Record(Box::new(record)),
            Err(error) => {
                tracing::warn!(entry = %entry.id, %error, "an entry that names us is not ours");
                Class::Foreign
            }
        }
    }

    /// Anybody can log an entry with a certificate of their own making that has our name in it.
    fn unreadable(&self, entry: &LogEntry, who: &Expected<'_>, with: &Verifier, payload: &str) -> Class {
        let authentic = logged(&self.material.root, entry).and_then(|()| match with {
            Verifier::Certificate { der, .. } => {
                believed(&self.material.root, der, who.identity, entry.time()?)
            }
            Verifier::Key { .. } => Ok(()),
        });
        match authentic {
            Ok(()) => Class::Unreadable(payload.to_owned()),
            Err(error) => {
                tracing::warn!(entry = %entry.id, %error, "an entry that names us is not ours");
                Class::Foreign
            }
        }
    }

    /// Whom of us an entry names, and what its signature is checked with.
    fn ours(&self, text: Option<&Value>) -> Option<(&Expected<'_>, Verifier)> {
        let (label, der) = verifier(text)?;
        match label.as_str() {
            "PUBLIC KEY" => {
                let who = self.signers.iter().find(|signer| signer.key == Some(der.as_slice()))?;
                Some((who, Verifier::Key { spki: der }))
            }
            "CERTIFICATE" => {
                let named = identity_in(&der)?;
                let who = self.signers.iter().find(|signer| *signer.identity == named)?;
                Some((who, Verifier::Certificate { der, not_after: 0 }))
            }
            _ => None,
        }
    }

    fn is_of_our_log(&self, statement: &Statement) -> bool {
        match (self.log_origin, &statement.log_origin) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        }
    }
}
