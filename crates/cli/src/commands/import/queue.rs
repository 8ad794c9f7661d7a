//! Which reference is next: at most so many a second of one registry, never two of one repository at once.
//! Time is handed in; it must not know what is done with a reference.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use oci::{Name, RegistryHost, TagName};

/// References that wait at one time, so that a slow registry does not hold up another.
const WINDOW: usize = 4096;

/// Between two references of one registry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rate(pub(super) Duration);

/// One reference to be recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Task {
    /// Its line in the list.
    pub(super) line: u64,
    pub(super) tag: TagName,
    /// How often it was tried.
    pub(super) tries: u32,
}

/// What to do now.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// This.
    Start(Task),
    /// Nothing before then.
    At(Instant),
    /// Nothing before another one has ended, or come.
    Nothing,
}

/// References in the order of the list.
#[derive(Debug)]
pub(super) struct Queue {
    rate: Rate,
    waiting: VecDeque<Task>,
    /// Repositories of which one is being recorded.
    busy: HashSet<Name>,
    /// When a registry may be asked again.
    slots: HashMap<RegistryHost, Instant>,
}

impl Queue {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, waiting: VecDeque::new(), busy: HashSet::new(), slots: HashMap::new() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WINDOW
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, task: Task) {
        self.waiting.push_back(task);
    }

    /// What can be started at `now`; it counts as started.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let mut soonest: Option<Instant> = None;
        let free = self.waiting.iter().position(|task| {
            if self.busy.contains(&task.tag.name) {
                return false;
            }
            match self.slots.get(task.tag.name.host()) {
                Some(slot) if *slot > now => {
                    soonest = Some(soonest.map_or(*slot, |soonest| soonest.min(*slot)));
                    false
                }
                _ => true,
            }
        });
        if let Some(task) = free.and_then(|place| self.waiting.remove(place)) {
            self.busy.insert(task.tag.name.clone());
            self.hold(&task.tag, now, self.rate.0);
            return Next::Start(task);
        }
        soonest.map_or(Next::Nothing, Next::At)
    }

    /// One that was started is over.
    pub(super) fn ended(&mut self, tag: &TagName) {
        self.busy.remove(&tag.name);
    }

    /// One that was started has to be tried again, and its registry left alone for so long.
    pub(super) fn again(&mut self, mut task: Task, now: Instant, wait: Duration) {
        self.ended(&task.tag);
        self.hold(&task.tag, now, wait);
        task.tries += 1;
        self.waiting.push_front(task);
    }

    fn hold(&mut self, tag: &TagName, now: Instant, wait: Duration) {
        if self.slots.len() > WINDOW {
            self.slots.retain(|_, slot| *slot > now);
        }
        let slot = self.slots.entry(tag.name.host().clone()).or_insert(now);
        *slot = (now + wait).max(*slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values;

    const SECOND: Duration = Duration::from_secs(1);

    fn queue(references: &[&str]) -> Queue {
        let mut queue = Queue::new(Rate(SECOND));
        for (line, reference) in (1..).zip(references) {
            queue.push(Task { line, tag: values::tag(reference).unwrap(), tries: 0 });
        }
        queue
    }

    /// All that can be started at one moment, by line.
    fn started(queue: &mut Queue, now: Instant) -> Vec<u64> {
        let next = || match queue.next(now) {
            Next::Start(task) => Some(task.line),
            Next::At(_) | Next::Nothing => None,
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn each_registry_has_a_rate_of_its_own() {
        let now = Instant::now();
        let mut queue = queue(&["a.example/a", "a.example/b", "b.example/a", "a.example/c", "b.example/b"]);
        assert_eq!(started(&mut queue, now), [1, 3]);
        assert_eq!(queue.next(now), Next::At(now + SECOND));
        assert!(started(&mut queue, now + SECOND / 2).is_empty());
        assert_eq!(started(&mut queue, now + SECOND), [2, 5]);
        assert_eq!(started(&mut queue, now + 2 * SECOND), [4]);
        assert_eq!(queue.next(now + 3 * SECOND), Next::Nothing);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_pause_is_not_made_up_for_by_a_burst() {
        let now = Instant::now();
        let mut queue = queue(&["a.example/a", "a.example/b", "a.example/c"]);
        assert_eq!(started(&mut queue, now), [1]);
        assert_eq!(started(&mut queue, now + 60 * SECOND), [2]);
    }

    #[test]
    fn two_tags_of_one_repository_are_never_under_way_at_once() {
        let now = Instant::now();
        let mut queue = queue(&["a.example/a:1", "a.example/a:2", "a.example/b:1"]);
        assert_eq!(started(&mut queue, now), [1]);
        assert_eq!(started(&mut queue, now + SECOND), [3]);
        assert_eq!(queue.next(now + 2 * SECOND), Next::Nothing);
        queue.ended(&values::tag("a.example/a:1").unwrap());
        assert_eq!(started(&mut queue, now + 2 * SECOND), [2]);
    }

    #[test]
    fn a_registry_that_asks_to_wait_is_left_alone_and_then_asked_for_the_same() {
        let now = Instant::now();
        let mut queue = queue(&["a.example/a", "a.example/b", "b.example/a"]);
        let Next::Start(task) = queue.next(now) else { panic!("nothing is under way") };
        queue.again(task, now, 10 * SECOND);
        assert_eq!(started(&mut queue, now + SECOND), [3]);
        assert_eq!(queue.next(now + SECOND), Next::At(now + 10 * SECOND));
        let Next::Start(task) = queue.next(now + 10 * SECOND) else { panic!("it has waited") };
        assert_eq!((task.line, task.tries), (1, 1));
    }
}
