use tlog::{KeyAlgorithm, SigningKey};

use super::*;
use crate::evidence::Fault;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("a.example/log", KeyAlgorithm::Ed25519, &[seed; 32]).unwrap()
}

fn signed(size: u64, root: &str, by: &SigningKey) -> SignedCheckpoint {
    Checkpoint { origin: "a.example/log".to_owned(), size, root: Hash::of(root) }.sign(by).unwrap()
}

#[test]
fn what_was_remembered_is_there_again_verbatim() {
    let directory = tempfile::tempdir().unwrap();
    let state = LogState::open(directory.path(), &key(1).verifier()).unwrap();
    assert_eq!(state.latest().unwrap(), None);
    let (first, second) = (signed(2, "two", &key(1)), signed(5, "five", &key(1)));
    assert!(state.advance(None, &first).unwrap());
    assert!(state.advance(Some(&first), &second).unwrap());
    let again = LogState::open(directory.path(), &key(1).verifier()).unwrap();
    assert_eq!(again.latest().unwrap().unwrap().to_string(), second.to_string());
    assert_eq!(again.audited().unwrap(), None);
}

#[test]
fn memory_never_goes_backwards() {
    let directory = tempfile::tempdir().unwrap();
    let state = LogState::open(directory.path(), &key(1).verifier()).unwrap();
    let latest = signed(5, "five", &key(1));
    state.advance(None, &latest).unwrap();
    for new in [signed(4, "four", &key(1)), signed(5, "other", &key(1))] {
        assert!(matches!(state.advance(Some(&latest), &new), Err(Error::Backwards { stored: 5, .. })));
    }
    assert_eq!(state.latest().unwrap(), Some(latest));
}

#[test]
fn a_change_by_another_process_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let ours = LogState::open(directory.path(), &key(1).verifier()).unwrap();
    let theirs = LogState::open(directory.path(), &key(1).verifier()).unwrap();
    assert!(theirs.advance(None, &signed(9, "nine", &key(1))).unwrap());
    assert!(!ours.advance(None, &signed(5, "five", &key(1))).unwrap());
    assert_eq!(ours.latest().unwrap().unwrap().checkpoint().size, 9);
}

#[test]
fn one_of_many_writers_at_once_wins() {
    let directory = tempfile::tempdir().unwrap();
    let advanced: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (3..11_u64)
            .map(|size| {
                let state = LogState::open(directory.path(), &key(1).verifier()).unwrap();
                scope.spawn(move || usize::from(state.advance(None, &signed(size, "x", &key(1))).unwrap()))
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(advanced, 1);
}

#[test]
fn logs_of_another_key_are_remembered_apart_and_never_mixed() {
    let directory = tempfile::tempdir().unwrap();
    let one = LogState::open(directory.path(), &key(1).verifier()).unwrap();
    let two = LogState::open(directory.path(), &key(2).verifier()).unwrap();
    one.advance(None, &signed(5, "five", &key(1))).unwrap();
    assert_eq!(two.latest().unwrap(), None);
    assert!(matches!(two.advance(None, &signed(5, "five", &key(1))), Err(Error::Memory { .. })));
}

#[test]
fn memory_that_was_tampered_with_is_an_error_and_not_a_fresh_start() {
    let directory = tempfile::tempdir().unwrap();
    let state = LogState::open(directory.path(), &key(1).verifier()).unwrap();
    state.advance(None, &signed(5, "five", &key(1))).unwrap();
    let path = state.directory().join(LATEST);
    let text = fs::read_to_string(&path).unwrap().replace("\n5\n", "\n4\n");
    fs::write(&path, text).unwrap();
    let error = state.latest().unwrap_err();
    assert!(matches!(error, Error::Memory { .. }), "{error}");
    fs::write(&path, "").unwrap();
    assert!(matches!(state.latest(), Err(Error::Memory { .. })));
}

#[test]
fn a_fault_is_written_down_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let state = LogState::open(directory.path(), &key(1).verifier()).unwrap();
    let fault = Fault::Rollback {
        other_log: None,
        first: signed(5, "five", &key(1)),
        later: signed(4, "four", &key(1)),
    };
    let error = state.record(Finding::new("it went back", fault), 1_700_000_000);
    let Error::Caught { evidence, path } = error else { panic!("{error}") };
    let read = Evidence::parse(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(read, *evidence);
    assert_eq!((read.written, read.log), (1_700_000_000, key(1).verifier()));
}

#[test]
fn a_fault_that_cannot_be_written_down_is_still_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let state = LogState::open(directory.path(), &key(1).verifier()).unwrap();
    fs::write(state.directory().join(EVIDENCE), "in the way").unwrap();
    let fault = Fault::Rollback {
        other_log: None,
        first: signed(5, "five", &key(1)),
        later: signed(4, "four", &key(1)),
    };
    let error = state.record(Finding::new("it went back", fault), 1);
    assert!(matches!(&error, Error::Unwritten { .. }), "{error}");
    assert_eq!(error.answer(), crate::Answer::No);
}
