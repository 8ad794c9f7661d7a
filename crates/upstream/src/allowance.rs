//! How many more pulls a registry says that it allows, for whoever watches a graph.
//!
//! Knows one header, and nothing of what is done about it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;

/// The newest word of each registry, by its label.
#[derive(Debug, Default)]
pub(crate) struct Allowances(Mutex<BTreeMap<String, u64>>);

impl Allowances {
    /// Keeps what an answer says, if it says anything (`RateLimit-Remaining: 99;w=21600`).
    pub(crate) fn note(&self, label: &str, headers: &HeaderMap) {
        let Some(value) = headers.get("ratelimit-remaining").and_then(|value| value.to_str().ok()) else {
            return;
        };
        let number = value.split(';').next().unwrap_or_default().trim();
        if let Ok(remaining) = number.parse() {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(label.to_owned(), remaining);
        }
    }

    /// All that is known.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_word_of_each_registry_is_kept_and_nonsense_is_not() {
        let allowances = Allowances::default();
        let note = |label: &str, value: &str| {
            let headers = [("ratelimit-remaining".parse().unwrap(), value.parse().unwrap())];
            allowances.note(label, &HeaderMap::from_iter(headers));
        };
        note("index.docker.io", "99;w=21600");
        note("index.docker.io", "98;w=21600");
        note("ghcr.io", "many");
        note("other", "7");
        allowances.note("quay.io", &HeaderMap::new());
        let expected = [("index.docker.io".to_owned(), 98), ("other".to_owned(), 7)];
        assert_eq!(allowances.snapshot(), BTreeMap::from(expected));
    }
}
