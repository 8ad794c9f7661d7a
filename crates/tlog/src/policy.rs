//! Which logs are known and whose cosignatures are enough (C2SP tlog-policy).
//!
//! Parses the file and answers about quorums; reads no file and asks no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::{Error, KeyAlgorithm, VerifierKey, decimal};

/// A parsed policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    logs: Vec<(VerifierKey, Option<String>)>,
    witnesses: BTreeMap<String, (VerifierKey, Option<String>)>,
    groups: BTreeMap<String, Group>,
    quorum: Quorum,
}

/// What a checkpoint needs besides the log's signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Quorum {
    /// Nothing.
    None,
    /// The witness or group of this name.
    Of(String),
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Group {
    threshold: usize,
    members: Vec<String>,
}

impl Policy {
    /// The logs with their URLs, in order.
    pub fn logs(&self) -> impl Iterator<Item = (&VerifierKey, Option<&str>)> {
        self.logs.iter().map(|(key, url)| (key, url.as_deref()))
    }

    /// The witnesses by name, with their submission prefixes.
    pub fn witnesses(&self) -> impl Iterator<Item = (&str, &VerifierKey, Option<&str>)> {
        self.witnesses.iter().map(|(name, (key, url))| (name.as_str(), key, url.as_deref()))
    }

    /// What is needed.
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// Whether the cosignatures of the witnesses so named are enough.
    pub fn is_satisfied_by(&self, cosigned: &BTreeSet<&str>) -> bool {
        match &self.quorum {
            Quorum::None => true,
            Quorum::Of(name) => self.counts(name, cosigned),
        }
    }

    /// Groups refer to earlier names only, so this ends.
    fn counts(&self, name: &str, cosigned: &BTreeSet<&str>) -> bool {
        match self.groups.get(name) {
            None => cosigned.contains(name),
            Some(group) => {
                let enough = group.members.iter().filter(|member| self.counts(member, cosigned));
                enough.count() >= group.threshold
            }
        }
    }

    fn line(
        &mut self,
        line: &str,
        grouped: &mut BTreeSet<String>,
        quorum: &mut Option<Quorum>,
    ) -> Result<(), String> {
        let fields: Vec<&str> = line.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
        match fields.as_slice() {
            [] => {}
            ["log", key, url @ ..] => {
                let key: VerifierKey = key.parse().map_err(|error: Error| error.to_string())?;
                if key.algorithm() != KeyAlgorithm::Ed25519 {
                    return Err("a log's key has to be Ed25519".to_owned());
                }
                self.new_key(&key)?;
                self.logs.push((key, optional(url)?));
            }
            ["witness", name, key, url @ ..] => {
                let key: VerifierKey = key.parse().map_err(|error: Error| error.to_string())?;
                if key.algorithm() != KeyAlgorithm::CosignatureV1 {
                    return Err("a witness's key has to be a cosigner's".to_owned());
                }
                self.new_name(name)?;
                self.new_key(&key)?;
                self.witnesses.insert((*name).to_owned(), (key, optional(url)?));
            }
            ["group", name, threshold, members @ ..] => {
                self.new_name(name)?;
                let group = self.group(threshold, members, grouped)?;
                self.groups.insert((*name).to_owned(), group);
            }
            ["quorum", name] => {
                if quorum.is_some() {
                    return Err("a second `quorum`".to_owned());
                }
                *quorum = Some(if *name == "none" {
                    Quorum::None
                } else {
                    self.known(name)?;
                    Quorum::Of((*name).to_owned())
                });
            }
            [other, ..] => {
                return Err(format!(
                    "`{other}` is not `log`, `witness`, `group` or `quorum`, or lacks words"
                ));
            }
        }
        Ok(())
    }

    fn group(
        &self,
        threshold: &str,
        members: &[&str],
        grouped: &mut BTreeSet<String>,
    ) -> Result<Group, String> {
        let threshold = match threshold {
            "any" => Some(1),
            "all" => Some(members.len()),
            number => decimal(number).and_then(|number| usize::try_from(number).ok()),
        };
        let threshold = threshold.filter(|threshold| (1..=members.len()).contains(threshold));
        let threshold = threshold.ok_or("the threshold is not `any`, `all`, or a number of its members")?;
        for member in members {
            self.known(member)?;
            if !grouped.insert((*member).to_owned()) {
                return Err(format!("`{member}` is in two groups"));
            }
        }
        Ok(Group { threshold, members: members.iter().map(|member| (*member).to_owned()).collect() })
    }

    fn known(&self, name: &str) -> Result<(), String> {
        let known = self.witnesses.contains_key(name) || self.groups.contains_key(name);
        if known { Ok(()) } else { Err(format!("`{name}` is not a witness or group of an earlier line")) }
    }

    fn new_name(&self, name: &str) -> Result<(), String> {
        if name == "none" || self.known(name).is_ok() {
            return Err(format!("the name `{name}` is taken"));
        }
        Ok(())
    }

    fn new_key(&self, key: &VerifierKey) -> Result<(), String> {
        let logs = self.logs.iter().map(|(key, _)| key);
        let witnesses = self.witnesses.values().map(|(key, _)| key);
        if logs.chain(witnesses).any(|known| known.key_bytes() == key.key_bytes()) {
            return Err(format!("the key of `{}` stands here twice", key.name()));
        }
        Ok(())
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut policy = Self {
            logs: Vec::new(),
            witnesses: BTreeMap::new(),
            groups: BTreeMap::new(),
            quorum: Quorum::None,
        };
        let (mut grouped, mut quorum) = (BTreeSet::new(), None);
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            policy
                .line(line, &mut grouped, &mut quorum)
                .map_err(|why| Error::format("policy", format!("line {}: {why}", number + 1)))?;
        }
        policy.quorum = quorum
            .ok_or_else(|| Error::format("policy", "no `quorum` line; `quorum none` asks for no witness"))?;
        Ok(policy)
    }
}

fn optional(url: &[&str]) -> Result<Option<String>, String> {
    match url {
        [] => Ok(None),
        [url] => Ok(Some((*url).to_owned())),
        _ => Err("more words than a key and a URL".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    fn key(name: &str, algorithm: KeyAlgorithm, seed: u8) -> String {
        SigningKey::from_seed(name, algorithm, &[seed; 32]).unwrap().verifier().to_string()
    }

    fn policy(quorum: &str) -> Result<Policy, Error> {
        let mut text = format!("# ours\nlog {} https://a/log\n", key("a/log", KeyAlgorithm::Ed25519, 1));
        for (number, name) in ["w1", "w2", "w3"].into_iter().enumerate() {
            let key = key(name, KeyAlgorithm::CosignatureV1, 2 + number as u8);
            text.push_str(&format!("witness {name}\t{key}\n"));
        }
        (text + quorum).parse()
    }

    fn satisfied(policy: &Policy, names: &[&str]) -> bool {
        policy.is_satisfied_by(&names.iter().copied().collect())
    }

    #[test]
    fn quorums_count_as_they_say() {
        let two = policy("group two 2 w1 w2 w3\nquorum two\n").unwrap();
        assert!(satisfied(&two, &["w1", "w3"]));
        assert!(!satisfied(&two, &["w1"]));
        assert!(!satisfied(&two, &["w1", "stranger"]));
        let nested = policy("group pair all w1 w2\ngroup either any pair w3\nquorum either\n").unwrap();
        assert!(
            satisfied(&nested, &["w3"]) && satisfied(&nested, &["w1", "w2"]) && !satisfied(&nested, &["w1"])
        );
        assert!(satisfied(&policy("quorum none\n").unwrap(), &[]));
        assert_eq!(two.logs().count(), 1);
        assert_eq!(two.witnesses().count(), 3);
    }

    #[test]
    fn a_policy_that_says_nonsense_is_refused_with_the_line() {
        for wrong in [
            "",
            "quorum none\nquorum none\n",
            "quorum w9\n",
            "group g 4 w1 w2\nquorum g\n",
            "group g 0 w1\nquorum g\n",
            "group g any w1\ngroup h any w1\nquorum h\n",
            "group w1 any w2\nquorum w1\n",
            "group g any g\nquorum g\n",
            "witness none x\nquorum none\n",
            "frobnicate\nquorum none\n",
        ] {
            assert!(policy(wrong).is_err(), "{wrong}");
        }
        assert!(policy("quorum w9\n").unwrap_err().to_string().contains("line 6"));
        let twice = format!("witness again {}\nquorum none\n", key("again", KeyAlgorithm::CosignatureV1, 2));
        assert!(policy(&twice).unwrap_err().to_string().contains("twice"));
    }
}
