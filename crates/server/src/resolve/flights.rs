//! Single flight: any number of callers that ask for one key share one running task.
//!
//! The task is spawned, so that a client who hangs up cancels nothing; its result is handed to
//! those who waited and then forgotten, so that a failure is never kept. Knows no registry.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{Map, Shared};
use tokio::task::{JoinError, JoinHandle};
use tracing::Instrument as _;

/// Tasks in flight by key.
#[derive(Debug)]
pub(crate) struct Flights<Key, Value: Clone> {
    running: Arc<Mutex<Running<Key, Value>>>,
    most: usize,
}

type Running<Key, Value> = HashMap<Key, Flight<Value>>;

/// What a task comes to, for all who wait; `None`: it panicked.
pub(crate) type Flight<Value> = Shared<Map<JoinHandle<Value>, fn(Result<Value, JoinError>) -> Option<Value>>>;

impl<Key, Value> Flights<Key, Value>
where
    Key: Clone + Eq + Hash + Send + 'static,
    Value: Clone + Send + Sync + 'static,
{
    /// Nothing in flight, and never more than `most`: clients who hang up leave their tasks running.
    pub(crate) fn new(most: usize) -> Self {
        Self { running: Arc::default(), most }
    }

    /// Joins the task of `key`, or starts it.
    ///
    /// The second value says whether another caller had started it. `None`: as many as may are in flight.
    pub(crate) fn join<Task, Start>(&self, key: &Key, start: Start) -> Option<(Flight<Value>, bool)>
    where
        Start: FnOnce() -> Task,
        Task: Future<Output = Value> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = running.len() >= self.most;
        match running.entry(key.clone()) {
            Entry::Occupied(entry) => Some((entry.get().clone(), true)),
            Entry::Vacant(_) if is_full => None,
            Entry::Vacant(entry) => {
                let landing = Landing { running: Arc::clone(&self.running), key: key.clone() };
                let task = start();
                let flight = async move {
                    let value = task.await;
                    // Forgotten first: who comes after this line starts anew.
                    drop(landing);
                    value
                };
                let landed: fn(Result<Value, JoinError>) -> Option<Value> = Result::ok;
                let flight = tokio::spawn(flight.in_current_span()).map(landed).shared();
                Some((entry.insert(flight).clone(), false))
            }
        }
    }
}

/// Takes the task out of the map however it ends.
struct Landing<Key: Eq + Hash, Value: Clone> {
    running: Arc<Mutex<Running<Key, Value>>>,
    key: Key,
}

impl<Key: Eq + Hash, Value: Clone> Drop for Landing<Key, Value> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn callers_share_one_task_and_its_result() {
        let flights = Flights::new(8);
        let (release, held) = oneshot::channel::<()>();
        let started = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&started);
        let (first, shared) = flights
            .join(&"tag", move || async move {
                count.fetch_add(1, Ordering::SeqCst);
                held.await.unwrap();
                7
            })
            .unwrap();
        assert!(!shared);
        let (second, shared) = flights.join(&"tag", || async { unreachable!() }).unwrap();
        assert!(shared);
        release.send(()).unwrap();
        assert_eq!((first.await, second.await), (Some(7), Some(7)));
        assert_eq!(started.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_caller_who_hangs_up_cancels_nothing() {
        let flights = Flights::<&str, i32>::new(8);
        let (release, held) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel::<()>();
        let (only, _) = flights
            .join(&"tag", move || async move {
                held.await.unwrap();
                done.send(()).unwrap();
                7
            })
            .unwrap();
        drop(only);
        release.send(()).unwrap();
        finished.await.unwrap();
    }

    #[tokio::test]
    async fn a_result_is_forgotten_once_it_was_handed_out() {
        let flights = Flights::new(8);
        let first = flights.join(&"tag", || async { Err::<i32, &str>("upstream is down") }).unwrap().0;
        assert_eq!(first.await, Some(Err("upstream is down")));
        let second = flights.join(&"tag", || async { Ok(7) }).unwrap().0;
        assert_eq!(second.await, Some(Ok(7)));
    }

    #[tokio::test]
    async fn a_task_that_panics_is_forgotten_too() {
        let flights = Flights::<&str, i32>::new(8);
        let first = flights.join(&"tag", || async { panic!("a defect") }).unwrap().0;
        assert_eq!(first.await, None);
        assert_eq!(flights.join(&"tag", || async { 7 }).unwrap().0.await, Some(7));
    }

    #[tokio::test]
    async fn no_more_tasks_than_may_are_in_flight_and_those_can_be_joined() {
        let flights = Flights::<&str, i32>::new(1);
        let (release, held) = oneshot::channel::<()>();
        let (first, _) = flights
            .join(&"tag", move || async move {
                held.await.unwrap();
                7
            })
            .unwrap();
        assert!(flights.join(&"other", || async { unreachable!() }).is_none());
        assert!(flights.join(&"tag", || async { unreachable!() }).is_some());
        release.send(()).unwrap();
        assert_eq!(first.await, Some(7));
        assert_eq!(flights.join(&"other", || async { 8 }).unwrap().0.await, Some(8));
    }
}
