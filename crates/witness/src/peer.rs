//! A witness as a log knows it: name, key and address.
//!
//! Asks nobody anything.

use tlog::{Hash, KeyAlgorithm, Policy, VerifierKey};
use url::Url;

/// A witness that can be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witness {
    name: String,
    key: VerifierKey,
    add_checkpoint: Url,
}

/// Why a witness cannot be asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WitnessError {
    /// Not a cosigner's key.
    #[error("witness `{witness}` has the key of a log; a cosigner's begins with `B`")]
    Key {
        /// By name.
        witness: String,
    },
    /// Not an address that requests can be sent to.
    #[error("witness `{witness}` has the submission prefix `{url}`: {why}")]
    Url {
        /// By name.
        witness: String,
        /// As given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Witness {
    /// A witness by the `name` that the policy calls it, its cosigner's key, and its submission prefix.
    ///
    /// # Errors
    ///
    /// A key of another algorithm, or a prefix that is not plain `http` or `https`.
    pub fn new(name: &str, key: VerifierKey, prefix: &str) -> Result<Self, WitnessError> {
        if key.algorithm() != KeyAlgorithm::CosignatureV1 {
            return Err(WitnessError::Key { witness: name.to_owned() });
        }
        let add_checkpoint = add_checkpoint(prefix).map_err(|why| WitnessError::Url {
            witness: name.to_owned(),
            url: prefix.to_owned(),
            why,
        })?;
        Ok(Self { name: name.to_owned(), key, add_checkpoint })
    }

    /// The witnesses of a policy that have a submission prefix; the others have to bring their
    /// cosignatures themselves.
    ///
    /// # Errors
    ///
    /// As [`Witness::new`].
    pub fn of_policy(policy: &Policy) -> Result<Vec<Self>, WitnessError> {
        let addressed = policy.witnesses().filter_map(|(name, key, url)| Some((name, key, url?)));
        addressed.map(|(name, key, url)| Self::new(name, key.clone(), url)).collect()
    }

    /// What the policy calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its cosignatures are checked with.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Where requests go.
    pub(crate) fn add_checkpoint(&self) -> &Url {
        &self.add_checkpoint
    }

    /// Where it shows the newest checkpoint that it has cosigned of the log `origin`.
    pub(crate) fn checkpoint_of(&self, origin: &str) -> Url {
        let mut url = self.add_checkpoint.clone();
        // Fails for URLs without a path alone, which this one has.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().extend([Hash::of(origin).to_hex().as_str(), "checkpoint"]);
        }
        url
    }
}

fn add_checkpoint(prefix: &str) -> Result<Url, &'static str> {
    let mut url = Url::parse(prefix).map_err(|_why| "not a URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("neither `http` nor `https`");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("witnesses take no credentials");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a prefix has neither `?` nor `#`");
    }
    url.path_segments_mut().map_err(|()| "not a URL with a path")?.pop_if_empty().push("add-checkpoint");
    Ok(url)
}

#[cfg(test)]
mod tests {
    use tlog::SigningKey;

    use super::*;

    fn key(algorithm: KeyAlgorithm) -> VerifierKey {
        SigningKey::from_seed("w.example/1", algorithm, &[2; 32]).unwrap().verifier()
    }

    #[test]
    fn requests_go_below_the_submission_prefix() {
        for (prefix, address) in [
            ("https://w.example", "https://w.example/add-checkpoint"),
            ("https://w.example/", "https://w.example/add-checkpoint"),
            ("http://127.0.0.1:7380/a/b/", "http://127.0.0.1:7380/a/b/add-checkpoint"),
            ("https://w.example/a", "https://w.example/a/add-checkpoint"),
        ] {
            let witness = Witness::new("w", key(KeyAlgorithm::CosignatureV1), prefix).unwrap();
            assert_eq!(witness.add_checkpoint().as_str(), address);
        }
    }

    #[test]
    fn a_prefix_that_no_request_can_be_sent_to_is_refused() {
        for prefix in [
            "",
            "w.example",
            "ftp://w.example",
            "https://u:p@w.example",
            "https://w.example/?a",
            "https://w.example/#a",
            "mailto:w@example",
        ] {
            let error = Witness::new("w", key(KeyAlgorithm::CosignatureV1), prefix).unwrap_err();
            assert!(matches!(error, WitnessError::Url { .. }), "{prefix}");
        }
    }

    #[test]
    fn the_key_of_a_log_is_no_witness() {
        let error = Witness::new("w", key(KeyAlgorithm::Ed25519), "https://w.example").unwrap_err();
        assert_eq!(error, WitnessError::Key { witness: "w".to_owned() });
    }

    #[test]
    fn a_policy_gives_the_witnesses_that_have_an_address() {
        let (one, two) = (
            key(KeyAlgorithm::CosignatureV1),
            SigningKey::from_seed("w2", KeyAlgorithm::CosignatureV1, &[3; 32]).unwrap().verifier(),
        );
        let policy =
            format!("witness one {one} https://w.example\nwitness two {two}\nquorum none\n").parse().unwrap();
        let witnesses = Witness::of_policy(&policy).unwrap();
        assert_eq!(witnesses.iter().map(Witness::name).collect::<Vec<_>>(), ["one"]);
    }
}
