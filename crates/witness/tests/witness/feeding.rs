//! The feeder: who is asked for what, what it reports, and that nobody holds it up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tlog::{Note, Policy, verify_cosignature};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use witness::feeder::{Counters, Pace};
use witness::{Feeder, Newest, Report, Witness};

use crate::fake::{Fake, Say, client, key};
use crate::log::Log;

const TIME: u64 = 1_800_000_000;

fn newest(size: u64) -> Newest {
    Newest { note: Log::new().checkpoint(size).to_string().into(), size }
}

fn policy(names: &[&str], quorum: &str) -> Policy {
    let lines: String =
        names.iter().map(|name| format!("witness {name} {}\n", key(name).verifier())).collect();
    format!("{lines}{quorum}").parse().unwrap()
}

/// A feeder, what it reports, and where its checkpoints come from.
struct Fed {
    feeder: Feeder,
    reports: mpsc::UnboundedReceiver<Report>,
    source: watch::Sender<Newest>,
}

impl Fed {
    fn new(fakes: &[&Fake], policy: Policy, pace: Pace, size: u64) -> Self {
        let (source, newest) = watch::channel(newest(size));
        let (sink, reports) = mpsc::unbounded_channel();
        let witnesses: Vec<Witness> = fakes.iter().map(|fake| fake.witness()).collect();
        let log = Log::new();
        let feeder = Feeder::new(
            client(),
            witnesses,
            policy,
            pace,
            newest,
            Arc::new(move |old, new| Ok(log.prove(old, new))),
            Box::new(move |report| sink.send(report).unwrap()),
        );
        Self { feeder, reports, source }
    }

    fn counters(&self) -> Counters {
        self.feeder.counters()
    }

    /// Everything reported so far.
    fn reported(&mut self) -> Vec<Report> {
        std::iter::from_fn(|| self.reports.try_recv().ok()).collect()
    }
}

#[tokio::test]
async fn a_round_ends_with_a_note_that_carries_all_cosignatures() {
    let (a, b) = (Fake::new("a", [Say::Cosign(TIME)]).await, Fake::new("b", [Say::Cosign(TIME + 1)]).await);
    let policy = policy(&["a", "b"], "group both all a b\nquorum both\n");
    let mut fed = Fed::new(&[&a, &b], policy, Pace::default(), 8);
    assert!(fed.feeder.feed_once().await);
    let reported = fed.reported();
    let satisfied: Vec<bool> =
        reported.iter().map(|report| matches!(report, Report::Cosigned { satisfied: true, .. })).collect();
    assert_eq!(satisfied, [false, true]);
    let Report::Cosigned { size: 8, note, .. } = &reported[1] else { panic!("{reported:?}") };
    let note: Note = note.parse().unwrap();
    note.verify(&Log::new().key().verifier()).unwrap();
    assert_eq!(verify_cosignature(&note, &key("a").verifier()), Ok(TIME));
    assert_eq!(verify_cosignature(&note, &key("b").verifier()), Ok(TIME + 1));
}

#[tokio::test]
async fn a_witness_is_asked_from_where_it_stood_and_with_the_newest_only() {
    let a = Fake::new("a", [Say::status(409, "3\n"), Say::Cosign(TIME), Say::Cosign(TIME)]).await;
    let mut fed = Fed::new(&[&a], policy(&["a"], "quorum a\n"), Pace::default(), 5);
    assert!(fed.feeder.feed_once().await);
    fed.source.send_replace(newest(6));
    fed.source.send_replace(newest(9));
    assert!(fed.feeder.feed_once().await);
    let log = Log::new();
    assert_eq!(a.requests(), [log.request(0, 5), log.request(3, 5), log.request(5, 9)]);
}

#[tokio::test]
async fn the_same_checkpoint_is_cosigned_again_with_a_newer_time() {
    let a = Fake::new("a", [Say::Cosign(TIME), Say::Cosign(TIME + 600)]).await;
    let mut fed = Fed::new(&[&a], policy(&["a"], "quorum a\n"), Pace::default(), 5);
    assert!(fed.feeder.feed_once().await && fed.feeder.feed_once().await);
    assert_eq!(a.requests()[1], Log::new().request(5, 5));
    let Some(Report::Cosigned { note, time, .. }) = fed.reported().pop() else { panic!("no report") };
    let note: Note = note.parse().unwrap();
    assert_eq!((time, verify_cosignature(&note, &key("a").verifier())), (TIME + 600, Ok(TIME + 600)));
    assert_eq!(note.lines_of(&key("a").verifier()).count(), 1);
}

#[tokio::test]
async fn no_answer_of_a_witness_keeps_the_others_from_a_quorum() {
    for say in [
        Say::status(409, ""),
        Say::status(409, "5\n"),
        Say::status(409, "9\n"),
        Say::status(422, ""),
        Say::status(500, ""),
        Say::status(200, "garbage"),
        Say::status(
            200,
            format!("{}\n", tlog::cosign(Log::new().checkpoint(7).note(), &key("bad"), TIME).unwrap()),
        ),
    ] {
        let (a, b) = (Fake::new("a", [Say::Cosign(TIME)]).await, Fake::new("b", [Say::Cosign(TIME)]).await);
        let bad = Fake::new("bad", [say.clone(), say.clone(), say.clone()]).await;
        let two = policy(&["a", "b", "bad"], "group two 2 a b bad\nquorum two\n");
        let mut fed = Fed::new(&[&bad, &a, &b], two, Pace::default(), 8);
        assert!(fed.feeder.feed_once().await, "{say:?}");
        let counts = fed.counters().snapshot();
        assert_eq!((counts["a"].cosigned, counts["bad"].cosigned), (1, 0), "{say:?}");
        assert_eq!(counts["bad"].failed.values().sum::<u64>(), 1, "{say:?}");
    }
}

#[tokio::test]
async fn no_answers_short_of_a_quorum_satisfy_a_policy() {
    let (a, b) = (Fake::new("a", [Say::Cosign(TIME)]).await, Fake::new("b", [Say::status(500, "")]).await);
    let both = policy(&["a", "b"], "group both all a b\nquorum both\n");
    let mut fed = Fed::new(&[&a, &b], both, Pace::default(), 8);
    assert!(!fed.feeder.feed_once().await);
    assert!(matches!(fed.reported()[..], [Report::Cosigned { satisfied: false, .. }]));
    b.then(Say::Cosign(TIME));
    a.then(Say::status(500, ""));
    assert!(fed.feeder.feed_once().await, "what was cosigned in the round before still counts");
}

#[tokio::test]
async fn a_witness_that_has_seen_more_is_reported() {
    let a = Fake::new("a", [Say::status(409, "9\n")]).await;
    let mut fed = Fed::new(&[&a], policy(&["a"], "quorum a\n"), Pace::default(), 8);
    assert!(!fed.feeder.feed_once().await);
    assert_eq!(fed.reported(), [Report::Ahead { witness: "a".to_owned(), held: 9, ours: 8 }]);
    assert_eq!(fed.counters().snapshot()["a"].failed["ahead"], 1);
}

#[tokio::test]
async fn a_witness_to_which_this_is_another_history_is_reported() {
    for script in [vec![Say::status(422, "")], vec![Say::status(409, "8\n"), Say::status(409, "")]] {
        let a = Fake::new("a", script).await;
        let mut fed = Fed::new(&[&a], policy(&["a"], "quorum a\n"), Pace::default(), 8);
        assert!(!fed.feeder.feed_once().await);
        assert_eq!(fed.reported(), [Report::Contradicted { witness: "a".to_owned() }]);
    }
}

#[tokio::test]
async fn counters_tell_what_happened() {
    let a = Fake::new("a", [Say::status(500, ""), Say::Cosign(TIME)]).await;
    let mut fed = Fed::new(&[&a], policy(&["a"], "quorum a\n"), Pace::default(), 8);
    fed.feeder.feed_once().await;
    fed.feeder.feed_once().await;
    let counts = fed.counters().snapshot().remove("a").unwrap();
    assert_eq!((counts.submitted, counts.cosigned, counts.size, counts.time), (2, 1, 8, TIME));
    assert_eq!(counts.failed.into_iter().collect::<Vec<_>>(), [("unexpected_status", 1)]);
}

#[tokio::test]
async fn a_proof_that_panics_is_a_failure_of_one_submission() {
    let a = Fake::new("a", [Say::status(409, "3\n"), Say::Cosign(TIME)]).await;
    let (_source, newest) = watch::channel(newest(8));
    let log = Arc::new(Log::new());
    let fail = Mutex::new(true);
    let prove = move |old, new| {
        let first = std::mem::take(&mut *fail.lock().unwrap());
        assert!(!first, "a defect of the caller");
        Ok(log.prove(old, new))
    };
    let policy = policy(&["a"], "quorum a\n");
    let mut feeder = Feeder::new(
        client(),
        vec![a.witness()],
        policy,
        Pace::default(),
        newest,
        Arc::new(prove),
        Box::new(drop),
    );
    assert!(!feeder.feed_once().await);
    assert!(feeder.feed_once().await);
}

#[tokio::test]
async fn in_the_background_a_silent_witness_holds_up_neither_the_others_nor_the_stop() {
    let a = Fake::new("a", [Say::Cosign(TIME), Say::Cosign(TIME), Say::Cosign(TIME)]).await;
    let silent = Fake::new("silent", [Say::Nothing]).await;
    let any = policy(&["a", "silent"], "group any any a silent\nquorum any\n");
    let pace = Pace { interval: Duration::ZERO, ..Pace::default() };
    let Fed { feeder, mut reports, source } = Fed::new(&[&a, &silent], any, pace, 5);
    let counters = feeder.counters();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(feeder.run(async { drop(stopped.await) }));
    silent.asked(1).await;
    for size in [5, 6, 7] {
        source.send_replace(newest(size));
        let report = reports.recv().await.unwrap();
        assert!(matches!(report, Report::Cosigned { size: found, satisfied: true, .. } if found == size));
    }
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(counters.snapshot()["silent"].submitted, 1);
}

#[tokio::test]
async fn a_witness_slower_than_the_log_completes_the_quorum_of_what_it_was_asked_for() {
    let told = Arc::new(Notify::new());
    let a = Fake::new("a", (0..4).map(|_| Say::Cosign(TIME))).await;
    let slow = Fake::new("slow", [Say::CosignWhen(Arc::clone(&told), TIME)]).await;
    let both = policy(&["a", "slow"], "group both all a slow\nquorum both\n");
    let pace = Pace { interval: Duration::ZERO, ..Pace::default() };
    let Fed { feeder, mut reports, source } = Fed::new(&[&a, &slow], both, pace, 5);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(feeder.run(async { drop(stopped.await) }));
    slow.asked(1).await;
    for size in [5, 6, 7, 8] {
        source.send_replace(newest(size));
        let report = reports.recv().await.unwrap();
        assert!(matches!(report, Report::Cosigned { size: found, satisfied: false, .. } if found == size));
    }
    told.notify_one();
    let report = reports.recv().await.unwrap();
    assert!(matches!(report, Report::Cosigned { size: 5, satisfied: true, .. }), "{report:?}");
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test]
async fn without_a_log_the_background_ends() {
    let Fed { feeder, source, .. } = Fed::new(&[], policy(&[], "quorum none\n"), Pace::default(), 5);
    drop(source);
    feeder.run(std::future::pending()).await;
}
