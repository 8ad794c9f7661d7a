//! The time of a cosignature: the clock's, never before the one that was signed last.
//!
//! Pure; the clock is a function handed in.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds that a clock may be behind the last cosignature before it is not believed.
const TOLERANCE: u64 = 300;
/// 2023-01-01: this program is younger.
const EARLIEST: u64 = 1_672_531_200;
/// 2100-01-01: signing one such time would keep a witness from signing for decades.
const LATEST: u64 = 4_102_444_800;

/// Source of the current time in Unix seconds.
#[derive(Clone)]
pub struct Now(Arc<dyn Fn() -> u64 + Send + Sync>);

/// A clock that cannot be right.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the clock says {now}, which cannot be right after a cosignature at {last}; set the clock")]
pub struct ClockError {
    /// What it says.
    pub now: u64,
    /// Of the newest cosignature; 0 for none.
    pub last: u64,
}

impl Now {
    /// A clock that asks `now` each time.
    pub fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The clock of the machine; one set before 1970 reads as 0 and is not believed.
    pub fn system() -> Self {
        Self::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    /// The time to sign after a cosignature at `last`.
    ///
    /// # Errors
    ///
    /// A clock before 2023, after 2099, or more than five minutes behind `last`.
    pub(super) fn after(&self, last: u64) -> Result<u64, ClockError> {
        let now = (self.0)();
        if !(EARLIEST..LATEST).contains(&now) || now.saturating_add(TOLERANCE) < last {
            return Err(ClockError { now, last });
        }
        Ok(now.max(last))
    }
}

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Now")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back_and_a_clock_that_cannot_be_right_is_refused() {
        let last = 1_800_000_000;
        for (now, signed) in [
            (last + 5, Some(last + 5)),
            (last, Some(last)),
            (last - 300, Some(last)),
            (last - 301, None),
            (0, None),
            (EARLIEST - 1, None),
            (LATEST, None),
            (u64::MAX, None),
        ] {
            assert_eq!(Now::new(move || now).after(last).ok(), signed, "{now}");
        }
        assert_eq!(Now::new(|| EARLIEST).after(0), Ok(EARLIEST));
        assert!(Now::system().after(0).is_ok());
    }
}
