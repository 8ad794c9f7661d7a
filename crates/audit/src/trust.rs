//! Whom a client believes: the keys of logs, and a C2SP tlog-policy of witnesses and auditors.
//!
//! A policy's group named `auditors` holds the keys of those whose cosignature also states that
//! they replayed all of history ([`crate::cosign::STATEMENT`]). Reads no file and asks no clock.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tlog::{KeyAlgorithm, Note, Policy, SignedCheckpoint, VerifierKey, verify_cosignature};

use crate::Error;

/// The group of a policy whose members are auditors.
pub const AUDITORS: &str = "auditors";
/// How far a cosignature's time may be ahead of the client's clock, in seconds.
const FUTURE: u64 = 300;

/// Keys and policy.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    logs: Vec<VerifierKey>,
    policy: Option<Policy>,
    /// The same policy with the auditors as its quorum.
    auditors: Option<Policy>,
    /// Witnesses within the group of auditors.
    auditor_names: BTreeSet<String>,
}

/// Who cosigned a checkpoint.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Cosigned {
    /// The known ones, by name.
    pub by: Vec<Cosigner>,
    /// Since when (Unix seconds) the policy is satisfied at the latest: as of then the checkpoint was
    /// the newest that enough witnesses knew. Nothing: freshness is unknown.
    pub fresh_at: Option<u64>,
    /// The auditors among them, if they are as many as the policy's group asks for.
    pub auditors: Vec<String>,
}

/// One cosigner.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Cosigner {
    /// The policy's name for it.
    pub name: String,
    /// Unix seconds, by its own clock.
    pub time: u64,
}

impl Trust {
    /// One log, and nobody's cosignature.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a key that signs no checkpoints.
    pub fn of_key(log: VerifierKey) -> Result<Self, Error> {
        Self::default().and_key(log)
    }

    /// What a policy file says.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`].
    pub fn of_policy(text: &str) -> Result<Self, Error> {
        let policy: Policy = text.parse().map_err(|source| Error::Policy { source })?;
        let logs: Vec<VerifierKey> = policy.logs().map(|(key, _)| key.clone()).collect();
        let trust = Self {
            logs: Vec::new(),
            auditors: with_quorum_of_auditors(text),
            auditor_names: auditor_names(text, &policy),
            policy: Some(policy),
        };
        logs.into_iter().try_fold(trust, Self::and_key)
    }

    /// One log more.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a key that signs no checkpoints, or with which the log could be its own witness.
    pub fn and_key(mut self, log: VerifierKey) -> Result<Self, Error> {
        if log.algorithm() != KeyAlgorithm::Ed25519 {
            return Err(not_a_log(format!("`{log}` is a cosigner's key, not a log's")));
        }
        let witnesses = || self.policy.iter().flat_map(Policy::witnesses);
        if let Some((name, ..)) = witnesses().find(|(_, key, _)| key.key_bytes() == log.key_bytes()) {
            return Err(not_a_log(format!("`{log}` is the key of the witness `{name}` as well")));
        }
        if !self.logs.contains(&log) {
            self.logs.push(log);
        }
        Ok(self)
    }

    /// The trusted logs.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The trusted keys that signed a checkpoint: more than one while a log changes its key.
    ///
    /// # Errors
    ///
    /// [`Error::NoKey`], [`Error::UntrustedLog`]; [`Error::Malformed`] for a signature of a trusted
    /// key that does not verify.
    pub fn signers(&self, signed: &SignedCheckpoint, place: &str) -> Result<Vec<&VerifierKey>, Error> {
        if self.logs.is_empty() {
            return Err(Error::NoKey);
        }
        let origin = &signed.checkpoint().origin;
        let mut signers = Vec::new();
        for key in self.logs.iter().filter(|key| key.name() == origin) {
            match signed.verify(key) {
                Ok(_) => signers.push(key),
                Err(tlog::Error::NotSigned { .. }) => {}
                Err(source) => return Err(Error::Malformed { place: place.to_owned(), source }),
            }
        }
        if signers.is_empty() {
            let trusted = self.logs.iter().map(VerifierKey::to_string).collect();
            return Err(Error::UntrustedLog { origin: origin.clone(), trusted });
        }
        Ok(signers)
    }

    /// Who cosigned, at `now` in Unix seconds; the policy's quorum has to be among them.
    ///
    /// # Errors
    ///
    /// [`Error::Quorum`]; [`Error::Malformed`] for a cosignature of a known key that does not verify.
    pub fn cosigned(&self, note: &Note, place: &str, now: u64) -> Result<Cosigned, Error> {
        let Some(policy) = &self.policy else { return Ok(Cosigned::default()) };
        let mut by = Vec::new();
        for (name, key, _) in policy.witnesses() {
            match verify_cosignature(note, key) {
                Ok(time) => by.push(Cosigner { name: name.to_owned(), time }),
                Err(tlog::Error::NotSigned { .. }) => {}
                Err(source) => return Err(Error::Malformed { place: place.to_owned(), source }),
            }
        }
        let names: BTreeSet<&str> = by.iter().map(|cosigner| cosigner.name.as_str()).collect();
        if !policy.is_satisfied_by(&names) {
            let cosigned = by.iter().map(|cosigner| cosigner.name.clone()).collect();
            return Err(Error::Quorum { cosigned });
        }
        let audited = self.auditors.as_ref().is_some_and(|auditors| auditors.is_satisfied_by(&names));
        let auditors = names.iter().filter(|name| audited && self.auditor_names.contains(**name));
        let auditors = auditors.map(|name| (*name).to_owned()).collect();
        Ok(Cosigned { fresh_at: fresh_at(policy, &by, now), auditors, by })
    }
}

/// The newest time such that the cosigners of that time or later satisfy the policy. Times ahead of
/// the clock say nothing.
fn fresh_at(policy: &Policy, by: &[Cosigner], now: u64) -> Option<u64> {
    let mut times: Vec<_> =
        by.iter().filter(|cosigner| cosigner.time <= now.saturating_add(FUTURE)).collect();
    times.sort_by_key(|cosigner| std::cmp::Reverse(cosigner.time));
    let mut names = BTreeSet::new();
    times.into_iter().find_map(|cosigner| {
        names.insert(cosigner.name.as_str());
        policy.is_satisfied_by(&names).then_some(cosigner.time)
    })
}

/// The policy as if it asked for its auditors; nothing where it has no such group.
fn with_quorum_of_auditors(text: &str) -> Option<Policy> {
    let is_quorum = |line: &&str| words(line).next() == Some("quorum");
    let others = text.lines().filter(|line| !is_quorum(line));
    let text: String = others.flat_map(|line| [line, "\n"]).collect();
    format!("{text}quorum {AUDITORS}\n").parse().ok()
}

/// The witnesses within the group of auditors and the groups within it.
fn auditor_names(text: &str, policy: &Policy) -> BTreeSet<String> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        let mut words = words(line);
        if let (Some("group"), Some(name), Some(_threshold)) = (words.next(), words.next(), words.next()) {
            groups.insert(name, words.collect());
        }
    }
    let mut open = vec![AUDITORS];
    let mut names = BTreeSet::new();
    // A name is in one group at most, so this ends.
    while let Some(name) = open.pop() {
        match groups.get(name) {
            Some(members) => open.extend(members),
            None if policy.witnesses().any(|(witness, ..)| witness == name) => {
                names.insert(name.to_owned());
            }
            None => {}
        }
    }
    names
}

fn not_a_log(why: String) -> Error {
    Error::Policy { source: tlog::Error::Format { format: "log key", why } }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    let line = line.split('#').next().unwrap_or_default();
    line.split([' ', '\t']).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use tlog::{Checkpoint, Hash, SignatureLine, SigningKey, cosign};

    use super::*;

    fn log(seed: u8) -> SigningKey {
        SigningKey::from_seed("a.example/log", KeyAlgorithm::Ed25519, &[seed; 32]).unwrap()
    }

    fn cosigner(name: &str, seed: u8) -> SigningKey {
        SigningKey::from_seed(name, KeyAlgorithm::CosignatureV1, &[seed; 32]).unwrap()
    }

    fn cosigners() -> Vec<(&'static str, SigningKey)> {
        let names = ["w1", "w2", "a1", "a2"];
        names.into_iter().zip(11_u8..).map(|(name, seed)| (name, cosigner(name, seed))).collect()
    }

    fn trust(rest: &str) -> Trust {
        let mut text = format!("log {}\n", log(1).verifier());
        for (name, key) in cosigners() {
            text.push_str(&format!("witness {name} {}\n", key.verifier()));
        }
        Trust::of_policy(&(text + rest)).unwrap()
    }

    fn checkpoint(by: &[(&str, u64)]) -> SignedCheckpoint {
        let checkpoint = Checkpoint { origin: "a.example/log".to_owned(), size: 4, root: Hash::of("x") };
        let mut note = checkpoint.sign(&log(1)).unwrap().into_note();
        for (name, time) in by {
            let (_, key) = cosigners().into_iter().find(|(known, _)| known == name).unwrap();
            note.push(cosign(&note, &key, *time).unwrap());
        }
        note.to_string().parse().unwrap()
    }

    fn cosigned(trust: &Trust, by: &[(&str, u64)]) -> Result<Cosigned, Error> {
        trust.cosigned(checkpoint(by).note(), "here", 10_000)
    }

    #[test]
    fn a_quorum_that_is_not_met_is_no_answer_to_rely_on() {
        let trust = trust("group w 2 w1 w2 a1\nquorum w\n");
        assert!(cosigned(&trust, &[("w1", 1), ("a1", 1)]).is_ok());
        let error = cosigned(&trust, &[("w1", 1), ("a2", 1)]).unwrap_err();
        assert!(
            matches!(&error, Error::Quorum { cosigned } if *cosigned == ["w1", "a2"] || *cosigned == ["a2", "w1"]),
            "{error}"
        );
    }

    #[test]
    fn freshness_is_that_of_the_quorum_and_not_of_its_newest_member() {
        let trust = trust("group w 2 w1 w2 a1\nquorum w\n");
        let by = [("w1", 9_000), ("w2", 5_000), ("a1", 7_000)];
        assert_eq!(cosigned(&trust, &by).unwrap().fresh_at, Some(7_000));
    }

    #[test]
    fn a_clock_that_is_ahead_makes_nothing_fresh() {
        let trust = trust("group w 2 w1 w2 a1\nquorum w\n");
        assert_eq!(cosigned(&trust, &[("w1", 9_000), ("w2", 20_000)]).unwrap().fresh_at, None);
        let by = [("w1", 9_000), ("w2", 20_000), ("a1", 8_000)];
        assert_eq!(cosigned(&trust, &by).unwrap().fresh_at, Some(8_000));
    }

    #[test]
    fn without_cosignatures_freshness_is_unknown() {
        assert_eq!(cosigned(&trust("quorum none\n"), &[]).unwrap().fresh_at, None);
        assert_eq!(cosigned(&trust("quorum none\n"), &[("w1", 9_000)]).unwrap().fresh_at, Some(9_000));
        let trust = Trust::of_key(log(1).verifier()).unwrap();
        assert_eq!(cosigned(&trust, &[("w1", 9_000)]).unwrap(), Cosigned::default());
    }

    #[test]
    fn history_is_audited_only_when_enough_of_the_groups_auditors_cosigned() {
        let trust = trust("group auditors 2 a1 a2\ngroup both any w1 auditors\nquorum both # enough\n");
        assert!(cosigned(&trust, &[("w1", 1), ("a1", 1)]).unwrap().auditors.is_empty());
        assert_eq!(cosigned(&trust, &[("a2", 1), ("a1", 1)]).unwrap().auditors, ["a1", "a2"]);
    }

    #[test]
    fn a_policy_without_auditors_never_says_that_history_is_audited() {
        let trust = trust("group w any w1 a1\nquorum w\n");
        assert!(cosigned(&trust, &[("w1", 1), ("a1", 1), ("a2", 1)]).unwrap().auditors.is_empty());
    }

    #[test]
    fn auditors_may_be_groups_of_groups() {
        let trust =
            trust("group left any a1 w1\ngroup right any a2\ngroup auditors all left right\nquorum w2\n");
        assert_eq!(cosigned(&trust, &[("w2", 1), ("a2", 1), ("w1", 1)]).unwrap().auditors, ["a2", "w1"]);
    }

    #[test]
    fn a_cosignature_of_a_known_key_that_does_not_verify_spoils_the_checkpoint() {
        let mut note = checkpoint(&[("w1", 1)]).into_note();
        let good = note.signatures().last().unwrap().clone();
        let mut blob = good.signature().to_vec();
        blob[7] ^= 1;
        note.push(SignatureLine::new(good.name(), good.id(), blob).unwrap());
        let error = trust("quorum none\n").cosigned(&note, "here", 10).unwrap_err();
        assert!(matches!(error, Error::Malformed { source: tlog::Error::BadSignature { .. }, .. }));
    }

    #[test]
    fn a_log_whose_key_is_not_trusted_is_refused() {
        let trust = trust("quorum none\n");
        assert_eq!(trust.signers(&checkpoint(&[]), "here").unwrap(), [&log(1).verifier()]);
        let other = Trust::of_key(log(2).verifier()).unwrap();
        assert!(matches!(other.signers(&checkpoint(&[]), "here"), Err(Error::UntrustedLog { .. })));
        assert!(matches!(Trust::default().signers(&checkpoint(&[]), "here"), Err(Error::NoKey)));
        assert!(matches!(Trust::of_key(cosigner("w1", 11).verifier()), Err(Error::Policy { .. })));
    }

    #[test]
    fn a_log_cannot_be_its_own_witness() {
        let key =
            |algorithm| SigningKey::from_seed("a.example/log", algorithm, &[11; 32]).unwrap().verifier();
        let log = key(KeyAlgorithm::Ed25519);
        let error = trust("quorum w1\n").and_key(log.clone()).unwrap_err();
        let Error::Policy { source } = &error else { panic!("{error}") };
        assert!(source.to_string().contains("witness `w1`"), "{source}");
        let text = format!("log {log}\nwitness w1 {}\nquorum w1\n", cosigner("w1", 11).verifier());
        assert!(matches!(Trust::of_policy(&text), Err(Error::Policy { .. })));
    }

    #[test]
    fn two_keys_of_one_log_both_count_while_it_changes_its_key() {
        let mut note = checkpoint(&[]).into_note();
        note.sign(&log(2)).unwrap();
        let signed: SignedCheckpoint = note.to_string().parse().unwrap();
        let trust = trust("quorum none\n").and_key(log(2).verifier()).unwrap();
        assert_eq!(trust.signers(&signed, "here").unwrap().len(), 2);
    }
}
