//! When which witness is asked: rounds at least an interval apart, and pauses after failures.
//!
//! Pure: instants are passed in. All witnesses of a round get the same checkpoint, since a quorum has to
//! cosign the same one.

use std::time::{Duration, Instant};

/// Intervals that the longest pause after failures has.
const LONGEST_PAUSE: u32 = 8;

/// The shortest interval, so that no setting makes a loop of refused connections.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Which witness, by its place in the list.
pub(super) type Place = usize;

/// The state of all rounds.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    refresh: Duration,
    last_round: Option<Instant>,
    witnesses: Vec<State>,
}

/// What is known of one witness.
#[derive(Clone, Debug, Default)]
struct State {
    /// A submission is under way.
    busy: bool,
    /// Size and instant of its last cosignature.
    cosigned: Option<(u64, Instant)>,
    /// Since the last cosignature.
    failures: u32,
    /// A pause after a failure.
    not_before: Option<Instant>,
}

impl Schedule {
    pub(super) fn new(count: usize, interval: Duration, refresh: Duration) -> Self {
        let interval = interval.max(SHORTEST_INTERVAL);
        Self { interval, refresh, last_round: None, witnesses: vec![State::default(); count] }
    }

    /// Who is to be asked for a cosignature of `newest` leaves in a round at `now`; nobody while the
    /// interval is not over.
    pub(super) fn due(&self, now: Instant, newest: u64) -> Vec<Place> {
        if self.next_round().is_some_and(|instant| now < instant) {
            return Vec::new();
        }
        let due = |state: &State| self.due_at(state, newest).is_none_or(|instant| instant <= now);
        self.idle().filter(|(_, state)| due(state)).map(|(place, _)| place).collect()
    }

    /// Everyone who is not being asked, due or not.
    pub(super) fn all_idle(&self) -> Vec<Place> {
        self.idle().map(|(place, _)| place).collect()
    }

    /// When somebody will be due if `newest` stays the newest; `None` while all are being asked.
    pub(super) fn next(&self, now: Instant, newest: u64) -> Option<Instant> {
        let first = self.idle().map(|(_, state)| self.due_at(state, newest).unwrap_or(now)).min()?;
        Some(first.max(self.next_round().unwrap_or(now)))
    }

    /// A round began.
    pub(super) fn started(&mut self, now: Instant, places: &[Place]) {
        self.last_round = Some(now);
        for place in places {
            if let Some(state) = self.witnesses.get_mut(*place) {
                state.busy = true;
            }
        }
    }

    /// A witness cosigned `size` leaves.
    pub(super) fn cosigned(&mut self, place: Place, now: Instant, size: u64) {
        if let Some(state) = self.witnesses.get_mut(place) {
            *state = State { cosigned: Some((size, now)), ..State::default() };
        }
    }

    /// A witness did not; it may have said for how long it wants to be left alone.
    pub(super) fn failed(&mut self, place: Place, now: Instant, retry_after: Option<Duration>) {
        if let Some(state) = self.witnesses.get_mut(place) {
            let factor = 2_u32.saturating_pow(state.failures).min(LONGEST_PAUSE);
            let pause = self.interval * factor;
            state.busy = false;
            state.failures = state.failures.saturating_add(1);
            state.not_before = now.checked_add(pause.max(retry_after.unwrap_or_default()));
        }
    }

    /// `None` is "at once".
    fn due_at(&self, state: &State, newest: u64) -> Option<Instant> {
        match (state.not_before, state.cosigned) {
            (Some(pause), _) => Some(pause),
            (None, Some((size, at))) if size >= newest => at.checked_add(self.refresh),
            (None, _) => None,
        }
    }

    fn next_round(&self) -> Option<Instant> {
        self.last_round?.checked_add(self.interval)
    }

    fn idle(&self) -> impl Iterator<Item = (Place, &State)> {
        self.witnesses.iter().enumerate().filter(|(_, state)| !state.busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);
    const REFRESH: Duration = Duration::from_secs(600);

    fn schedule(count: usize) -> (Schedule, Instant) {
        (Schedule::new(count, INTERVAL, REFRESH), Instant::now())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn everybody_is_asked_at_once_and_then_once_an_interval_at_most() {
        let (mut schedule, start) = schedule(2);
        assert_eq!(schedule.due(start, 5), [0, 1]);
        schedule.started(start, &[0, 1]);
        schedule.cosigned(0, start, 5);
        schedule.cosigned(1, start, 5);
        assert!(schedule.due(start + seconds(9), 100).is_empty());
        assert_eq!(schedule.next(start + seconds(1), 100), Some(start + seconds(10)));
        assert_eq!(schedule.due(start + seconds(10), 100), [0, 1]);
    }

    #[test]
    fn nobody_is_asked_again_for_what_was_cosigned_until_it_has_to_be_refreshed() {
        let (mut schedule, start) = schedule(1);
        schedule.started(start, &[0]);
        schedule.cosigned(0, start, 5);
        assert!(schedule.due(start + seconds(599), 5).is_empty());
        assert_eq!(schedule.next(start + seconds(20), 5), Some(start + REFRESH));
        assert_eq!(schedule.due(start + REFRESH, 5), [0]);
    }

    #[test]
    fn one_that_is_being_asked_is_left_out_of_the_round() {
        let (mut schedule, start) = schedule(2);
        schedule.started(start, &[0, 1]);
        schedule.cosigned(0, start, 5);
        assert_eq!(schedule.due(start + seconds(10), 6), [0]);
        schedule.started(start + seconds(10), &[0]);
        assert_eq!(schedule.next(start + seconds(11), 6), None);
        assert_eq!(schedule.all_idle(), Vec::<Place>::new());
    }

    #[test]
    fn pauses_after_failures_double_up_to_eight_intervals() {
        let (mut schedule, start) = schedule(1);
        let mut now = start;
        for pause in [10, 20, 40, 80, 80, 80] {
            schedule.started(now, &[0]);
            schedule.failed(0, now, None);
            assert!(schedule.due(now + seconds(pause - 1), 5).is_empty(), "{pause}");
            now += seconds(pause);
            assert_eq!(schedule.due(now, 5), [0], "{pause}");
        }
        schedule.cosigned(0, now, 5);
        schedule.failed(0, now, None);
        assert_eq!(schedule.next(now, 5), Some(now + seconds(10)));
    }

    #[test]
    fn a_witness_that_asks_for_more_time_gets_it() {
        let (mut schedule, start) = schedule(1);
        schedule.started(start, &[0]);
        schedule.failed(0, start, Some(seconds(300)));
        assert!(schedule.due(start + seconds(299), 5).is_empty());
        assert_eq!(schedule.due(start + seconds(300), 5), [0]);
    }

    #[test]
    fn one_that_failed_comes_back_into_the_round_of_the_others() {
        let (mut schedule, start) = schedule(2);
        schedule.started(start, &[0, 1]);
        schedule.cosigned(0, start + seconds(1), 5);
        schedule.failed(1, start + seconds(3), None);
        assert_eq!(schedule.due(start + seconds(10), 6), [0]);
        schedule.started(start + seconds(10), &[0]);
        schedule.cosigned(0, start + seconds(11), 6);
        // Its pause ended at 13, the round begins at 20 and asks both for the same checkpoint.
        assert!(schedule.due(start + seconds(13), 7).is_empty());
        assert_eq!(schedule.due(start + seconds(20), 7), [0, 1]);
    }

    #[test]
    fn without_witnesses_nothing_is_ever_due() {
        let (schedule, start) = schedule(0);
        assert!(schedule.due(start, 5).is_empty());
        assert_eq!(schedule.next(start, 5), None);
    }
}
