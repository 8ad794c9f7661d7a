//! Auditing good logs: what is replayed, remembered, compared, and taken up again.

use crate::knowing;
use std::path::Path;

use audit::cosign::cosign;
use audit::evidence::{Verdict, recheck};
use audit::history::{Compared, Progress, Settings};
use audit::{Answer, Error, LogState, Memory, Source, Trust, audit};
use serde_json::Value;
use taglog::SupersedeRule;
use testkit::{Gate, Kind, Quirk, When};
use tlog::{Hash, KeyAlgorithm, SignedCheckpoint, SigningKey, VerifierKey};

use crate::simulator::{Directory, Log, NOW, Web, cosigner, impatient};

const VECTORS: &str = include_str!("../../../taglog/testdata/taglog_vectors.json");

pub(crate) fn settings(source: Source, log: &VerifierKey, state: &Path) -> Settings {
    Settings {
        log: source,
        trust: Trust::of_key(log.clone()).unwrap(),
        state: state.to_owned(),
        copy: None,
        compare: Vec::new(),
        ahead: 4,
        now: NOW,
    }
}

pub(crate) fn nowhere(_progress: Progress) {}

fn audited(log: &VerifierKey, state: &Directory) -> (Option<u64>, Option<u64>) {
    let state = LogState::open(state.path(), log).unwrap();
    let size = |checkpoint: Option<SignedCheckpoint>| checkpoint.map(|signed| signed.checkpoint().size);
    (size(state.latest().unwrap()), size(state.audited().unwrap()))
}

#[tokio::test]
async fn a_good_log_is_audited_over_http_and_in_a_directory() {
    let log = Log::sample(400, SupersedeRule::Operator);
    let (web, directory) = (Web::of(&log), Directory::of(&log));
    for source in [web.source().below("log"), directory.source()] {
        let state = Directory::empty();
        let mut seen = Vec::new();
        let settings = settings(source, &log.key(), state.path());
        let audited_log = audit(&settings, |progress| seen.push(progress)).await.unwrap();
        let report = audited_log.report();
        assert_eq!((report.size, report.tags, report.memory), (log.size(), 400, Memory::First));
        assert_eq!(seen.len(), log.leaves.len().div_ceil(256));
        assert_eq!(seen.last(), Some(&Progress { done: log.size(), total: log.size() }));
        assert_eq!(audited(&log.key(), &state), (Some(log.size()), Some(log.size())));
    }
}

#[tokio::test]
async fn the_good_logs_of_the_reference_are_audited() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut logs = 0;
    for vector in vectors["good"].as_array().unwrap().iter().filter(|log| log["leaves"].is_array()) {
        let mut log = Log::new(SupersedeRule::Never);
        log.leaves.clear();
        for leaf in vector["leaves"].as_array().unwrap() {
            log.push(leaf.as_str().unwrap());
        }
        let directory = Directory::of(&log);
        directory.put("checkpoint", vector["checkpoint"].as_str().unwrap().as_bytes());
        let (key, state) = (vector["vkey"].as_str().unwrap().parse().unwrap(), Directory::empty());
        let audited = audit(&settings(directory.source(), &key, state.path()), nowhere).await.unwrap();
        let root: SignedCheckpoint = vector["checkpoint"].as_str().unwrap().parse().unwrap();
        assert_eq!(audited.report().root, root.checkpoint().root.to_string());
        logs += 1;
    }
    assert!(logs >= 3, "{logs}");
}

#[tokio::test]
async fn an_empty_log_and_one_that_was_closed_are_good_logs() {
    let empty = Log::new(SupersedeRule::Never);
    let mut closed = Log::sample(3, SupersedeRule::Never);
    closed.batch([crate::simulator::close(NOW)]);
    for log in [empty, closed] {
        let (directory, state) = (Directory::of(&log), Directory::empty());
        audit(&settings(directory.source(), &log.key(), state.path()), nowhere).await.unwrap();
    }
}

#[tokio::test]
async fn a_log_that_grew_is_audited_again_and_continues_what_was_seen() {
    let mut log = Log::sample(30, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let first = log.size();
    audit(&settings(directory.source(), &log.key(), state.path()), nowhere).await.unwrap();
    log.grow(30..600);
    directory.write(&log);
    let again = audit(&settings(directory.source(), &log.key(), state.path()), nowhere).await.unwrap();
    assert_eq!(again.report().memory, Memory::Continues { remembered: first });
    assert_eq!(again.report().audited_before, Some(first));
    assert_eq!(audited(&log.key(), &state), (Some(log.size()), Some(log.size())));
}

#[tokio::test]
async fn an_interrupted_audit_is_taken_up_from_our_own_copy_and_remembers_nothing_before() {
    let log = Log::sample(800, SupersedeRule::Never);
    let (web, state, copy) = (Web::of(&log), Directory::empty(), Directory::empty());
    let mut settings = settings(web.source().below("log"), &log.key(), state.path());
    settings.copy = Some(copy.owned());
    settings.ahead = 1;
    let reference = |path: &str| format!("log/{path}");
    let broken = When::kind(Kind::File).reference(&reference("tile/entries/002"));
    web.0.quirk_when(broken, Quirk::Status(503));
    let error = audit(&settings, nowhere).await.unwrap_err();
    assert_eq!(error.answer(), Answer::None);
    assert_eq!(audited(&log.key(), &state), (None, None));
    web.0.clear();
    web.0.forget();
    audit(&settings, nowhere).await.unwrap();
    let asked = |path: &str| {
        let wanted = reference(path);
        web.0.requests().iter().filter(|request| request.reference.as_deref() == Some(&wanted)).count()
    };
    assert_eq!((asked("tile/entries/000"), asked("tile/entries/001"), asked("tile/entries/002")), (0, 0, 1));
    // The copy is a log that can be audited itself, but for what was not full.
    assert_eq!(copy.get("tile/0/001"), Directory::of(&log).get("tile/0/001"));
}

#[tokio::test]
async fn checkpoints_of_others_agree_or_say_why_not() {
    let early = Log::sample(30, SupersedeRule::Never);
    let mut log = early.clone();
    log.grow(30..60);
    let mut later = log.clone();
    later.grow(60..90);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let (mirror, witness, whole, stranger, empty) = (
        Directory::of(&early),
        Directory::empty(),
        Directory::of(&later),
        Directory::empty(),
        Directory::empty(),
    );
    show_as_witness(&witness, &log);
    let mut unsigned = early.note();
    unsigned = unsigned.replace(&format!("\n{}\n", early.size()), "\n7\n");
    stranger.put("checkpoint", unsigned.as_bytes());
    let mut settings = settings(directory.source(), &log.key(), state.path());
    let checkpoint = mirror.path().join("checkpoint").display().to_string();
    settings.compare = vec![
        Source::directory(mirror.path()),
        witness.source(),
        whole.source(),
        stranger.source(),
        empty.source(),
    ];
    assert!(Source::open(&checkpoint, &impatient()).is_ok());
    let audited_log = audit(&settings, nowhere).await.unwrap();
    let outcomes: Vec<&Compared> =
        audited_log.report().compared.iter().map(|comparison| &comparison.outcome).collect();
    assert_eq!(*outcomes[0], Compared::Agrees { size: early.size() });
    assert_eq!(*outcomes[1], Compared::Agrees { size: log.size() });
    assert_eq!(*outcomes[2], Compared::Continues { size: later.size() });
    assert!(matches!(outcomes[3], Compared::Nothing { why } if why.contains("verify")), "{:?}", outcomes[3]);
    assert!(
        matches!(outcomes[4], Compared::Nothing { why } if why.contains("not there")),
        "{:?}",
        outcomes[4]
    );
}

fn show_as_witness(directory: &Directory, log: &Log) {
    directory.put(&format!("{}/checkpoint", Hash::of(log.key().name()).to_hex()), log.note().as_bytes());
}

fn outcome(audited: &audit::history::Audited) -> &Compared {
    &audited.report().compared.last().unwrap().outcome
}

#[tokio::test]
async fn a_larger_tree_that_nobody_lets_us_read_is_not_cosigned_and_asked_for_until_it_is() {
    let mut log = Log::sample(30, SupersedeRule::Never);
    let mut later = log.clone();
    later.grow(30..60);
    let (directory, state, witness) = (Directory::of(&log), Directory::empty(), Directory::empty());
    show_as_witness(&witness, &later);
    let mut settings = settings(directory.source(), &log.key(), state.path());
    settings.compare = vec![witness.source()];
    let audited = audit(&settings, nowhere).await.unwrap();
    assert_eq!(*outcome(&audited), Compared::Ahead { size: later.size() });
    let auditor = cosigner("auditor.example/x", 21);
    let error = cosign(&audited, &auditor, NOW).unwrap_err();
    assert!(matches!(&error, Error::Uncompared { .. }) && error.answer() == Answer::None, "{error}");

    // The witness is asked no more; what it showed is not forgotten.
    settings.compare.clear();
    assert_eq!(*outcome(&audit(&settings, nowhere).await.unwrap()), Compared::Ahead { size: later.size() });
    log.grow(30..42);
    directory.write(&log);
    assert_eq!(*outcome(&audit(&settings, nowhere).await.unwrap()), Compared::Ahead { size: later.size() });

    // An honest log grows to it; one that forked does so as well, and is caught.
    let (honest, honest_state) = (Directory::of(&later), state.copied());
    settings.log = honest.source();
    settings.state = honest_state.owned();
    let audited = audit(&settings, nowhere).await.unwrap();
    assert_eq!(*outcome(&audited), Compared::Agrees { size: later.size() });
    assert!(cosign(&audited, &auditor, NOW).is_ok());
    assert!(audit(&settings, nowhere).await.unwrap().report().compared.is_empty());
    log.grow(43..90);
    settings.state = state.owned();
    let forked = Directory::of(&log);
    settings.log = forked.source();
    let Error::Caught { evidence, .. } = audit(&settings, nowhere).await.unwrap_err() else { panic!() };
    assert_eq!(recheck(&evidence, &knowing(&evidence), NOW).unwrap(), Verdict::Proven);
}

#[tokio::test]
async fn a_log_that_has_grown_meanwhile_is_compared_with_what_others_saw_of_it() {
    let log = Log::sample(30, SupersedeRule::Never);
    let (mut later, mut newest) = (log.clone(), log.clone());
    later.grow(30..42);
    newest.grow(30..90);
    // The files are there already, the checkpoint not yet.
    let (directory, state, witness) = (Directory::of(&later), Directory::empty(), Directory::empty());
    directory.write(&log);
    show_as_witness(&witness, &later);
    let mut settings = settings(directory.source(), &log.key(), state.path());
    settings.compare = vec![witness.source()];
    let continues = Compared::Continues { size: later.size() };
    assert_eq!(*outcome(&audit(&settings, nowhere).await.unwrap()), continues);

    // A checkpoint that is newer still is there a moment later, and no file of the one between.
    let (web, gate) = (Web::of(&log), Gate::closed());
    settings.log = web.source().below("log");
    let edge = format!("log/tile/0/000.p/{}", log.size());
    web.0.quirk_when(When::kind(Kind::File).reference(&edge), Quirk::HoldHeaders(gate.clone()));
    let meanwhile = async {
        gate.waiting(1).await;
        web.show(&newest);
        gate.release();
    };
    let (audited, ()) = tokio::join!(audit(&settings, nowhere), meanwhile);
    assert_eq!(*outcome(&audited.unwrap()), continues);
}

#[tokio::test]
async fn a_witness_of_several_logs_is_asked_for_the_audited_one_by_any_of_its_keys() {
    let other = Log::begin(
        "other.example/log",
        7,
        &taglog::Leaf::parse(&Log::new(SupersedeRule::Never).leaves[0]).unwrap(),
    );
    let log = Log::sample(30, SupersedeRule::Never);
    let mut fork = Log::sample(20, SupersedeRule::Never);
    fork.grow(21..30);
    let fork = fork.signed_by(9);
    let (directory, witness, state) = (Directory::of(&log), Directory::empty(), Directory::empty());
    show_as_witness(&witness, &other);
    show_as_witness(&witness, &log.signed_by(9));
    let mut settings = settings(directory.source(), &log.key(), state.path());
    settings.trust =
        Trust::of_key(other.key()).unwrap().and_key(log.key()).unwrap().and_key(fork.key()).unwrap();
    settings.compare = vec![witness.source()];
    let audited = audit(&settings, nowhere).await.unwrap();
    assert_eq!(*outcome(&audited), Compared::Agrees { size: log.size() });

    show_as_witness(&witness, &fork);
    let Error::Caught { evidence, .. } = audit(&settings, nowhere).await.unwrap_err() else { panic!() };
    assert_eq!(recheck(&evidence, &knowing(&evidence), NOW).unwrap(), Verdict::Contradiction);
}

#[tokio::test]
async fn what_could_not_be_compared_at_all_is_not_cosigned() {
    let log = Log::sample(3, SupersedeRule::Never);
    let (directory, state, empty) = (Directory::of(&log), Directory::empty(), Directory::empty());
    let mut settings = settings(directory.source(), &log.key(), state.path());
    settings.compare = vec![empty.source()];
    let audited = audit(&settings, nowhere).await.unwrap();
    let error = cosign(&audited, &cosigner("auditor.example/x", 21), NOW).unwrap_err();
    assert!(error.to_string().contains("not there"), "{error}");
}

#[tokio::test]
async fn a_log_whose_key_is_not_trusted_is_not_audited() {
    let log = Log::sample(3, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let other = Log::begin("other.example/log", 7, &taglog::Leaf::parse(&log.leaves[0]).unwrap());
    let error = audit(&settings(directory.source(), &other.key(), state.path()), nowhere).await.unwrap_err();
    assert!(matches!(error, Error::UntrustedLog { .. }));
}

#[tokio::test]
async fn a_log_that_changes_its_key_is_remembered_under_both() {
    let log = Log::sample(30, SupersedeRule::Never);
    let new_key = SigningKey::from_seed(log.key().name(), KeyAlgorithm::Ed25519, &[9; 32]).unwrap();
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut note: tlog::Note = log.note().parse().unwrap();
    note.sign(&new_key).unwrap();
    directory.put("checkpoint", note.to_string().as_bytes());
    let mut settings = settings(directory.source(), &log.key(), state.path());
    settings.trust = Trust::of_key(new_key.verifier()).unwrap().and_key(log.key()).unwrap();
    let report = audit(&settings, nowhere).await.unwrap();
    assert_eq!(report.log(), &new_key.verifier());
    for key in [log.key(), new_key.verifier()] {
        assert_eq!(audited(&key, &state), (Some(log.size()), Some(log.size())));
    }

    // Another history under both keys is a fork of each.
    let mut fork = Log::sample(20, SupersedeRule::Never);
    fork.grow(21..60);
    let elsewhere = Directory::of(&fork);
    let mut note: tlog::Note = fork.note().parse().unwrap();
    note.sign(&new_key).unwrap();
    elsewhere.put("checkpoint", note.to_string().as_bytes());
    settings.log = elsewhere.source();
    let Error::Caught { evidence, .. } = audit(&settings, nowhere).await.unwrap_err() else { panic!() };
    assert_eq!(recheck(&evidence, &knowing(&evidence), NOW).unwrap(), Verdict::Proven);
}
