//! A registry that fails again and again is left alone for a while, so that nobody waits for it.
//!
//! Pure but for its lock: told the time and how questions ended, it says whether to ask.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row after which nobody asks.
const FAILURES: u32 = 5;
/// How long the first time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Twice as long each time that the probe fails, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Of one registry.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    pause: Duration,
    probing: bool,
}

/// Leave to ask. Dropped without a verdict it leaves everything as it was.
#[derive(Debug)]
pub(crate) struct Leave<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Breaker {
    /// Leave to ask, or how long to wait for it.
    pub(crate) fn ask(&self, now: Instant) -> Result<Leave<'_>, Duration> {
        let mut state = self.lock();
        let probe = match &mut state.open {
            None => false,
            Some(open) if now < open.until => return Err(open.until - now),
            // One asks whether it is back; until that is known the others are turned away.
            Some(open) if open.probing => return Err(Duration::ZERO),
            Some(open) => {
                open.probing = true;
                true
            }
        };
        Ok(Leave { breaker: self, probe })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leave<'_> {
    /// The registry answered, whatever it said.
    pub(crate) fn answered(self) {
        *self.breaker.lock() = State::default();
    }

    /// It did not answer, or only to say that it cannot.
    pub(crate) fn failed(self, now: Instant) {
        let mut state = self.breaker.lock();
        state.failures = state.failures.saturating_add(1);
        let pause = match &state.open {
            None if state.failures >= FAILURES => FIRST_PAUSE,
            Some(open) if self.probe => (open.pause * 2).min(LONGEST_PAUSE),
            // Not yet often enough; or asked before the others had failed, and late to tell.
            _ => return,
        };
        state.open = Some(Open { until: now + pause, pause, probing: false });
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.probe
            && let Some(open) = &mut self.breaker.lock().open
        {
            open.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            breaker.ask(now).unwrap().failed(now);
        }
    }

    fn open(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        fail(&breaker, FAILURES, now);
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_for_five_seconds() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        fail(&breaker, FAILURES - 1, now);
        assert!(breaker.ask(now).is_ok());
        fail(&breaker, 1, now);
        assert_eq!(breaker.ask(now).unwrap_err(), FIRST_PAUSE);
        assert_eq!(breaker.ask(now + Duration::from_secs(2)).unwrap_err(), Duration::from_secs(3));
        assert!(breaker.ask(now + FIRST_PAUSE).is_ok());
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        fail(&breaker, FAILURES - 1, now);
        breaker.ask(now).unwrap().answered();
        fail(&breaker, FAILURES - 1, now);
        assert!(breaker.ask(now).is_ok());
    }

    #[test]
    fn one_probe_at_a_time_finds_out_whether_it_is_back() {
        let now = Instant::now();
        let breaker = open(now);
        let later = now + FIRST_PAUSE;
        let probe = breaker.ask(later).unwrap();
        assert_eq!(breaker.ask(later).unwrap_err(), Duration::ZERO);
        probe.answered();
        fail(&breaker, FAILURES - 1, later);
        assert!(breaker.ask(later).is_ok());
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_the_place_to_another() {
        let now = Instant::now();
        let breaker = open(now);
        drop(breaker.ask(now + FIRST_PAUSE).unwrap());
        assert!(breaker.ask(now + FIRST_PAUSE).is_ok());
    }

    #[test]
    fn every_failed_probe_doubles_the_pause_up_to_a_minute() {
        let mut now = Instant::now();
        let breaker = open(now);
        now += FIRST_PAUSE;
        for seconds in [10, 20, 40, 60, 60] {
            fail(&breaker, 1, now);
            let pause = Duration::from_secs(seconds);
            assert_eq!(breaker.ask(now).unwrap_err(), pause);
            now += pause;
        }
        breaker.ask(now).unwrap().answered();
        fail(&breaker, FAILURES, now);
        assert_eq!(breaker.ask(now).unwrap_err(), FIRST_PAUSE);
    }

    #[test]
    fn those_who_asked_before_it_opened_change_nothing_when_they_fail_and_close_it_when_they_do_not() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let (late, later) = (breaker.ask(now).unwrap(), breaker.ask(now).unwrap());
        fail(&breaker, FAILURES, now);
        late.failed(now + Duration::from_secs(4));
        assert_eq!(breaker.ask(now).unwrap_err(), FIRST_PAUSE);
        later.answered();
        assert!(breaker.ask(now).is_ok());
    }
}
