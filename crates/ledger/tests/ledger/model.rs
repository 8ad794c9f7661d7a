//! Random submissions, restarts and crashes against a model of a few lines: the rules of design §4 for one key at a time.
//! Whatever the order, the ledger answers as the model does, and an outsider finds nothing to object to.

use std::collections::HashSet;

use ledger::{AppendError, Appended, Fault, Ledger, ManifestBytes, NotRecorded, Point, Submission};
use oci::TagName;
use proptest::prelude::*;

use crate::audit::Auditor;
use crate::place::{Place, freeze, image, key, moved, numbered, observe, supersede, thaw};

const TAGS: usize = 3;
const DIGESTS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Record {
        tag: usize,
        digest: usize,
        freezes: bool,
    },
    Moved {
        tag: usize,
        recorded: usize,
        seen: usize,
    },
    Supersede {
        tag: usize,
        old: usize,
        new: usize,
    },
    Thaw {
        tag: usize,
        digest: usize,
    },
    Wait(u64),
    Restart,
    /// The step after this one meets the fault, and the process does not survive it.
    Crash(Point, Fault),
}

/// What the answer to a step must be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Recorded,
    Existing,
    Evidence,
    NotRecorded(NotRecorded),
    NotCurrent,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Key {
    /// Digest, and whether it is frozen.
    current: Option<(usize, bool)>,
    had_tag: bool,
    moves: HashSet<(usize, usize)>,
    leaves: usize,
}

impl Key {
    fn record(&mut self, digest: usize, freezes: bool) -> Expected {
        match self.current {
            Some((_, true)) => return Expected::Existing,
            Some((same, false)) if same == digest && (!freezes || self.had_tag) => return Expected::Existing,
            _ => {}
        }
        let frozen = freezes && !self.had_tag;
        self.had_tag |= frozen;
        self.become_(digest, frozen)
    }

    fn moved(&mut self, recorded: usize, seen: usize) -> Expected {
        if self.current != Some((recorded, true)) || recorded == seen {
            return Expected::NotRecorded(NotRecorded::NotWanted);
        }
        if !self.moves.insert((recorded, seen)) {
            return Expected::NotRecorded(NotRecorded::Already);
        }
        self.leaves += 1;
        Expected::Evidence
    }

    fn supersede(&mut self, old: usize, new: usize) -> Expected {
        match self.current {
            Some((digest, frozen)) if digest == old && self.had_tag && !(frozen && old == new) => {
                self.become_(new, true)
            }
            _ => Expected::NotCurrent,
        }
    }

    fn thaw(&mut self, digest: usize) -> Expected {
        if self.current != Some((digest, true)) {
            return Expected::NotCurrent;
        }
        self.become_(digest, false)
    }

    fn become_(&mut self, digest: usize, frozen: bool) -> Expected {
        self.current = Some((digest, frozen));
        self.leaves += 1;
        Expected::Recorded
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (tag, digest) = (0..TAGS, 0..DIGESTS);
    let fault = prop_oneof![
        Just((Point::Commit, Fault::Lost)),
        Just((Point::Commit, Fault::Persisted)),
        Just((Point::Commit, Fault::Full)),
        Just((Point::Guard, Fault::Lost)),
        Just((Point::Publish, Fault::Lost)),
        Just((Point::Write, Fault::Lost)),
    ];
    let step = prop_oneof![
        6 => (tag.clone(), digest.clone(), any::<bool>())
            .prop_map(|(tag, digest, freezes)| Step::Record { tag, digest, freezes }),
        3 => (tag.clone(), digest.clone(), digest.clone())
            .prop_map(|(tag, recorded, seen)| Step::Moved { tag, recorded, seen }),
        3 => (tag.clone(), digest.clone(), digest.clone())
            .prop_map(|(tag, old, new)| Step::Supersede { tag, old, new }),
        2 => (tag, digest).prop_map(|(tag, digest)| Step::Thaw { tag, digest }),
        1 => (0_u64..200_000).prop_map(Step::Wait),
        1 => Just(Step::Restart),
        1 => fault.prop_map(|(point, fault)| Step::Crash(point, fault)),
    ];
    prop::collection::vec(step, 1..50)
}

struct World {
    place: Place,
    ledger: Option<Ledger>,
    auditor: Auditor,
    keys: Vec<Key>,
    names: Vec<TagName>,
    manifests: Vec<ManifestBytes>,
}

impl World {
    fn new() -> Self {
        let place = Place::new();
        Self {
            ledger: Some(place.open()),
            place,
            auditor: Auditor::default(),
            keys: vec![Key::default(); TAGS],
            names: (0..TAGS).map(numbered).collect(),
            manifests: (0..DIGESTS).map(|digest| image(&format!("{digest}"))).collect(),
        }
    }

    /// The submission of a step, and what the model says of it and of its key afterwards.
    fn plan(&self, step: Step) -> Option<(usize, Submission, Expected, Key)> {
        let (names, manifests) = (&self.names, &self.manifests);
        let tag = match step {
            Step::Record { tag, .. }
            | Step::Moved { tag, .. }
            | Step::Supersede { tag, .. }
            | Step::Thaw { tag, .. } => tag,
            Step::Wait(_) | Step::Restart | Step::Crash(..) => return None,
        };
        let (mut after, name) = (self.keys[tag].clone(), &names[tag]);
        let (submission, expected) = match step {
            Step::Record { digest, freezes: true, .. } => {
                (freeze(name, &manifests[digest]), after.record(digest, true))
            }
            Step::Record { digest, .. } => (observe(name, &manifests[digest]), after.record(digest, false)),
            Step::Moved { recorded, seen, .. } => {
                (moved(name, &manifests[recorded], &manifests[seen]), after.moved(recorded, seen))
            }
            Step::Supersede { old, new, .. } => {
                (supersede(name, &manifests[old], &manifests[new]), after.supersede(old, new))
            }
            Step::Thaw { digest, .. } => (thaw(name, &manifests[digest]), after.thaw(digest)),
            Step::Wait(_) | Step::Restart | Step::Crash(..) => return None,
        };
        Some((tag, submission, expected, after))
    }

    fn restart(&mut self) {
        self.place.faults.lock().unwrap().clear();
        drop(self.ledger.take());
        self.ledger = Some(self.place.open());
    }

    async fn step(&mut self, step: Step, crashes: bool) {
        let Some((tag, submission, expected, after)) = self.plan(step) else { return };
        let answer = self.ledger.as_ref().unwrap().append(submission).await;
        match &answer {
            Err(_) if crashes => {
                self.restart();
                // Nobody was told; both are right, but nothing in between.
                if self.matches(tag, &after) {
                    self.keys[tag] = after;
                }
            }
            answer => {
                assert_eq!(kind(answer), expected, "{step:?}");
                self.keys[tag] = after;
                if crashes {
                    self.restart();
                }
            }
        }
        assert!(self.matches(tag, &self.keys[tag]), "{step:?}");
    }

    fn matches(&self, tag: usize, model: &Key) -> bool {
        let ledger = self.ledger.as_ref().unwrap();
        let key = key(&self.names[tag]);
        let current = ledger.lookup(&key).unwrap().map(|record| (record.digest(), record.is_frozen()));
        let expected = model.current.map(|(digest, frozen)| (self.manifests[digest].digest(), frozen));
        current == expected && ledger.history(&key).unwrap().len() == model.leaves
    }
}

fn kind(answer: &Result<Appended, AppendError>) -> Expected {
    match answer {
        Ok(Appended::Recorded(_)) => Expected::Recorded,
        Ok(Appended::Existing(_)) => Expected::Existing,
        Ok(Appended::Evidence { .. }) => Expected::Evidence,
        Ok(Appended::NotRecorded(why)) => Expected::NotRecorded(*why),
        Err(AppendError::NotCurrent { .. }) => Expected::NotCurrent,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_answers_as_the_model_does_through_restarts_and_crashes(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            let mut crashes = false;
            for step in steps {
                match step {
                    Step::Wait(seconds) => world.place.wait(seconds),
                    Step::Restart => world.restart(),
                    Step::Crash(point, fault) => {
                        world.place.faults.lock().unwrap().clear();
                        world.place.fail(point, fault);
                        crashes = true;
                        continue;
                    }
                    step => world.step(step, crashes).await,
                }
                if crashes {
                    world.place.faults.lock().unwrap().clear();
                    crashes = false;
                }
            }
            let World { ledger, auditor, place, names, keys, .. } = &mut world;
            let audited = auditor.audit(ledger.as_ref().unwrap());
            for (name, model) in names.iter().zip(keys) {
                assert_eq!(audited.of(name).len(), model.leaves);
            }
            drop(ledger.take());
            let report = ledger::fsck(&place.options(), |_| ()).unwrap();
            assert!(report.is_sound(), "{:?}", report.findings);
        });
    }
}
