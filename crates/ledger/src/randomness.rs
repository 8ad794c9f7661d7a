//! Where the ledger takes random bytes from that are no secret: a function handed in by the caller.
//! It must not be used for keys; those come from the operating system alone.

use std::fmt;
use std::sync::Arc;

/// Source of random bytes. Replaced in tests; asked once for each published note.
#[derive(Clone)]
pub struct Randomness(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) -> bool + Send + Sync;

impl Randomness {
    /// A source that asks `fill` to overwrite the bytes, which says whether it did.
    pub fn new(fill: impl Fn(&mut [u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// The operating system's.
    pub fn system() -> Self {
        Self::new(|bytes| getrandom::fill(bytes).is_ok())
    }

    /// `N` random bytes, if there are any.
    pub(crate) fn bytes<const N: usize>(&self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes).then_some(bytes)
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness")
    }
}
