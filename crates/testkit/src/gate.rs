//! A gate at which answers wait until the test lets them go. Knows nothing of HTTP.

use tokio::sync::watch;

/// Closed until released; clones are the same gate. Works across runtimes and threads.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    waiting: usize,
    passes: usize,
    open: bool,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self(watch::Sender::new(State::default()))
    }

    /// Waits here until released; the waiting one counts until it passes or is dropped.
    pub async fn pass(&self) {
        let mut state = self.0.subscribe();
        let _waiting = Waiting::at(self);
        while !self.try_pass() {
            state.changed().await.expect("the gate outlives whoever waits at it");
        }
    }

    /// Opens for all who wait and all who come.
    pub fn release(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Lets exactly one through, now or when it comes.
    pub fn release_one(&self) {
        self.0.send_modify(|state| state.passes += 1);
    }

    /// Closes again for those who come from now on.
    pub fn close(&self) {
        self.0.send_modify(|state| *state = State { open: false, passes: 0, ..*state });
    }

    /// Returns when at least `count` are waiting here.
    pub async fn waiting(&self, count: usize) {
        self.0
            .subscribe()
            .wait_for(|state| state.waiting >= count)
            .await
            .expect("the gate outlives whoever watches it");
    }

    /// Returns when at most `count` are waiting here, such as when clients have hung up.
    pub async fn waiting_at_most(&self, count: usize) {
        self.0
            .subscribe()
            .wait_for(|state| state.waiting <= count)
            .await
            .expect("the gate outlives whoever watches it");
    }

    /// How many wait here now.
    #[must_use]
    pub fn waiting_now(&self) -> usize {
        self.0.borrow().waiting
    }

    fn try_pass(&self) -> bool {
        let mut passed = false;
        self.0.send_if_modified(|state| {
            passed = state.open || state.passes > 0;
            if !state.open && state.passes > 0 {
                state.passes -= 1;
            }
            false
        });
        passed
    }
}

/// Counts one who waits, also when it is dropped half-way (a client that hung up).
struct Waiting<'a>(&'a Gate);

impl<'a> Waiting<'a> {
    fn at(gate: &'a Gate) -> Self {
        gate.0.send_modify(|state| state.waiting += 1);
        Self(gate)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.waiting -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gate_holds_until_it_is_released() {
        let gate = Gate::closed();
        let held = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        gate.waiting(1).await;
        assert!(!held.is_finished());
        gate.release();
        held.await.unwrap();
        gate.pass().await;
        assert_eq!(gate.waiting_now(), 0);
    }

    #[tokio::test]
    async fn releasing_one_lets_exactly_one_through() {
        let gate = Gate::closed();
        let mut held = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let gate = gate.clone();
            held.spawn(async move { gate.pass().await });
        }
        gate.waiting(3).await;
        gate.release_one();
        held.join_next().await.unwrap().unwrap();
        assert_eq!(gate.waiting_now(), 2);
        assert!(held.try_join_next().is_none());
        gate.release();
        assert_eq!(held.join_all().await.len(), 2);
    }

    #[tokio::test]
    async fn one_who_gives_up_is_no_longer_waiting() {
        let gate = Gate::closed();
        let held = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        gate.waiting(1).await;
        held.abort();
        assert!(held.await.unwrap_err().is_cancelled());
        assert_eq!(gate.waiting_now(), 0);
    }

    #[tokio::test]
    async fn a_gate_closed_again_holds_the_next_one() {
        let gate = Gate::closed();
        gate.release();
        gate.pass().await;
        gate.close();
        let held = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        gate.waiting(1).await;
        assert!(!held.is_finished());
    }
}
