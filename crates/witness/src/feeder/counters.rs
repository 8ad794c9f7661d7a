//! What the feeder counts, per witness, for whoever renders metrics.
//!
//! Plain numbers; knows no metrics library.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happened with one witness since the start.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Submissions that began.
    pub submitted: u64,
    /// Those that ended with a cosignature.
    pub cosigned: u64,
    /// Those that did not, by [`crate::SubmitError::label`].
    pub failed: BTreeMap<&'static str, u64>,
    /// Leaves of the newest checkpoint that it cosigned.
    pub size: u64,
    /// Unix seconds of its newest cosignature, by its own clock.
    pub time: u64,
}

/// The counts of all witnesses, by name; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Mutex<BTreeMap<String, Counts>>>);

impl Counters {
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let counts = names.map(|name| (name.to_owned(), Counts::default())).collect();
        Self(Arc::new(Mutex::new(counts)))
    }

    /// The counts as they are now.
    pub fn snapshot(&self) -> BTreeMap<String, Counts> {
        self.lock().clone()
    }

    pub(super) fn change(&self, witness: &str, change: impl FnOnce(&mut Counts)) {
        if let Some(counts) = self.lock().get_mut(witness) {
            change(counts);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
