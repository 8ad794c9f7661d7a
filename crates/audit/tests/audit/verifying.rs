//! Verifying tags: what the report says, whom it relies on, and what the client remembers.

use crate::knowing;
use std::path::Path;
use std::time::Duration;

use audit::evidence::{Evidence, Fault, Verdict, recheck};
use audit::verify::{Freshness, History, Outcome, Proof, Refusal, Report, Settings, Standing, Succession};
use audit::{Answer, Error, LogState, Memory, Trust, verify};
use oci::Reference;
use serde_json::Value;
use taglog::{Leaf, Previous, SupersedeRule};
use tlog::{Hash, KeyAlgorithm, SigningKey, VerifierKey};

use crate::simulator::{
    Directory, EPOCH, Log, NOW, ORIGIN, Web, cosigner, digest, name, seen, supersede, tag, tag_of, thaw,
};

const VECTORS: &str = include_str!("../../../taglog/testdata/taglog_vectors.json");

pub(crate) fn settings(reference: &str, proof: Proof, trust: Trust, state: Option<&Path>) -> Settings {
    Settings {
        reference: Reference::parse(reference).unwrap(),
        proof,
        trust,
        max_age: None,
        allow_superseded: false,
        allow_observed: false,
        state: state.map(Path::to_owned),
        now: NOW,
    }
}

pub(crate) fn trust(log: &Log) -> Trust {
    Trust::of_key(log.key()).unwrap()
}

pub(crate) fn saved(log: &Log, name: &str, tag: &str) -> Proof {
    Proof::Saved { text: log.proof(&tag_of(name, tag)), log: None }
}

async fn check(log: &Log, name: &str, tag: &str) -> Report {
    let settings = settings(&format!("{name}:{tag}"), saved(log, name, tag), trust(log), None);
    verify(&settings).await.unwrap()
}

/// Asks the server for `v0`, which every log here has, with a memory.
pub(crate) async fn ask(web: &Web, log: &Log, state: &Directory) -> Result<Report, Error> {
    web.prove(log, name(0), "v0");
    ask_as_it_is(web, trust(log), state).await
}

pub(crate) async fn ask_as_it_is(web: &Web, trust: Trust, state: &Directory) -> Result<Report, Error> {
    let reference = format!("{}:v0", name(0));
    verify(&settings(&reference, Proof::Server(web.source()), trust, Some(state.path()))).await
}

pub(crate) fn remembered(log: &VerifierKey, state: &Directory) -> Option<u64> {
    let state = LogState::open(state.path(), log).unwrap();
    state.latest().unwrap().map(|checkpoint| checkpoint.checkpoint().size)
}

/// The evidence that an error wrote down, as a second run reads it.
pub(crate) fn written(error: Error) -> (Evidence, Verdict) {
    assert_eq!(error.answer(), Answer::No);
    let Error::Caught { path, .. } = error else { panic!("{error}") };
    let evidence = Evidence::parse(&std::fs::read(path).unwrap()).unwrap();
    let verdict = recheck(&evidence, &knowing(&evidence), NOW).unwrap();
    (evidence, verdict)
}

#[tokio::test]
async fn the_proofs_of_the_reference_are_reported_as_it_says() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut reports = 0;
    for log in vectors["good"].as_array().unwrap() {
        let key: VerifierKey = log["vkey"].as_str().unwrap().parse().unwrap();
        for query in log["queries"].as_array().unwrap() {
            let reference = format!("{}:{}", query["name"].as_str().unwrap(), query["tag"].as_str().unwrap());
            let proof = Proof::Saved { text: query["proof"].as_str().unwrap().to_owned(), log: None };
            let trust = Trust::of_key(key.clone()).unwrap();
            let report = verify(&settings(&reference, proof, trust, None)).await.unwrap();
            assert_eq!(report.digest(), query["digest"].as_str(), "{reference}");
            assert_eq!(report.reference, reference);
            let accepted = query["kind"] == "tag";
            assert_eq!(report.is_accepted(), accepted, "{report}");
            reports += 1;
        }
    }
    assert!(reports > 20);
}

#[tokio::test]
async fn a_recorded_tag_is_reported_with_what_is_not_known() {
    let log = Log::sample(7, SupersedeRule::Never);
    let report = check(&log, name(3), "v3").await;
    assert!(report.is_accepted());
    assert_eq!(report.digest(), Some(digest("v3").as_str()));
    let Outcome::Recorded { standing, time, .. } = &report.outcome else { panic!() };
    assert_eq!((standing, *time), (&Standing::Frozen, EPOCH + 3));
    assert_eq!((report.freshness, &report.history), (Freshness::Unknown, &History::NotAudited));
    assert_eq!(report.memory, Memory::Off);
    let text = report.to_string();
    for words in [&digest("v3"), "frozen as first seen", "freshness unknown", "history not audited", ORIGIN] {
        assert!(text.contains(words), "{text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["outcome"]["standing"]["kind"], "frozen");
    assert_eq!(json["history"]["kind"], "not-audited");
    assert_eq!(json["refusals"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn absence_is_an_answer_with_its_size() {
    let log = Log::sample(7, SupersedeRule::Never);
    let report = check(&log, name(0), "nope").await;
    assert_eq!(report.refusals, [Refusal::NeverRecorded { size: log.size() }]);
    assert_eq!(report.digest(), None);
    assert!(report.to_string().contains(&format!("never recorded at size {}", log.size())));
}

#[tokio::test]
async fn a_tag_that_the_operator_changed_says_so_and_has_to_be_allowed() {
    let mut log = Log::sample(7, SupersedeRule::Operator);
    log.batch([
        supersede(name(0), "v0", &digest("v0"), &digest("new"), EPOCH + 50),
        thaw(name(1), "v1", &digest("v1"), EPOCH + 51),
    ]);
    for (number, refusal, digest) in [
        (
            0,
            Refusal::Superseded { old: digest("v0"), reason: "rebuilt, ticket 17".to_owned() },
            digest("new"),
        ),
        (1, Refusal::Thawed { reason: "a moving tag".to_owned() }, digest("v1")),
    ] {
        let tag = format!("v{number}");
        let report = check(&log, name(number), &tag).await;
        assert_eq!(report.refusals, [refusal]);
        assert_eq!(report.digest(), Some(digest.as_str()));
        assert!(report.to_string().contains("--allow-superseded"), "{report}");
        let reference = format!("{}:{tag}", name(number));
        let mut settings = settings(&reference, saved(&log, name(number), &tag), trust(&log), None);
        settings.allow_superseded = true;
        let allowed = verify(&settings).await.unwrap();
        assert!(allowed.is_accepted() && allowed.to_string().contains("by the operator"), "{allowed}");
    }
}

/// Behind a `seen` leaf there may be a `tag` and a `thaw`: a re-pin that the proof does not show.
#[tokio::test]
async fn an_observed_tag_is_not_said_to_be_frozen_and_has_to_be_allowed() {
    let mut log = Log::sample(2, SupersedeRule::Operator);
    log.batch([seen(name(0), "edge", &digest("edge"), EPOCH + 9)]);
    log.batch([thaw(name(1), "v1", &digest("v1"), EPOCH + 10)]);
    log.batch([seen(name(1), "v1", &digest("evil"), EPOCH + 11)]);
    for (repository, tag) in [(name(0), "edge"), (name(1), "v1")] {
        let report = check(&log, repository, tag).await;
        assert_eq!(report.refusals, [Refusal::Observed]);
        assert!(report.to_string().contains("--allow-observed"), "{report}");
        let mut settings =
            settings(&format!("{repository}:{tag}"), saved(&log, repository, tag), trust(&log), None);
        settings.allow_superseded = true;
        assert!(!verify(&settings).await.unwrap().is_accepted());
        settings.allow_observed = true;
        let report = verify(&settings).await.unwrap();
        assert!(report.is_accepted() && report.to_string().contains("observed, not frozen"), "{report}");
    }
}

#[tokio::test]
async fn a_digest_that_was_asked_for_has_to_be_the_recorded_one() {
    let log = Log::sample(2, SupersedeRule::Never);
    let ask = |digest: String| {
        let reference = format!("{}:v0@{digest}", name(0));
        let settings = settings(&reference, saved(&log, name(0), "v0"), trust(&log), None);
        async move { verify(&settings).await }
    };
    assert!(ask(digest("v0")).await.unwrap().is_accepted());
    let other = ask(digest("other")).await.unwrap();
    assert_eq!(other.refusals, [Refusal::OtherDigest { expected: digest("other"), recorded: digest("v0") }]);
    let sha512 = format!("sha512:{}", "a".repeat(128));
    assert!(matches!(ask(sha512).await, Err(Error::OtherAlgorithm { .. })));
    let reference = format!("{}@{}", name(0), digest("v0"));
    let settings = settings(&reference, saved(&log, name(0), "v0"), trust(&log), None);
    assert!(matches!(verify(&settings).await, Err(Error::NoTag { .. })));
}

#[tokio::test]
async fn a_proof_of_another_tag_or_log_is_refused() {
    let log = Log::sample(7, SupersedeRule::Never);
    let reference = format!("{}:v0", name(0));
    let other = settings(&reference, saved(&log, name(5), "v5"), trust(&log), None);
    let error = verify(&other).await.unwrap_err();
    assert!(matches!(&error, Error::Proof { .. }) && error.answer() == Answer::No, "{error}");
    let stranger = SigningKey::from_seed(ORIGIN, KeyAlgorithm::Ed25519, &[9; 32]).unwrap().verifier();
    let other = settings(&reference, saved(&log, name(0), "v0"), Trust::of_key(stranger).unwrap(), None);
    assert!(matches!(verify(&other).await, Err(Error::UntrustedLog { .. })));
}

pub(crate) fn policy(log: &Log, rest: &str) -> Trust {
    let mut text = format!("log {}\n", log.key());
    for (name, seed) in [("w1", 11), ("w2", 12), ("a1", 13)] {
        text.push_str(&format!("witness {name} {}\n", cosigner(name, seed).verifier()));
    }
    Trust::of_policy(&format!("{text}{rest}")).unwrap()
}

#[tokio::test]
async fn cosignatures_count_as_the_policy_says() {
    let mut log = Log::sample(3, SupersedeRule::Never);
    let reference = format!("{}:v0", name(0));
    let two = policy(&log, "group auditors any a1\ngroup two 2 w1 w2 auditors\nquorum two\n");
    log.cosigners = vec![(cosigner("w1", 11), NOW - 500)];
    let alone = settings(&reference, saved(&log, name(0), "v0"), two.clone(), None);
    assert!(matches!(verify(&alone).await, Err(Error::Quorum { cosigned }) if cosigned == ["w1"]));

    log.cosigners.push((cosigner("w2", 12), NOW - 100));
    let mut enough = settings(&reference, saved(&log, name(0), "v0"), two.clone(), None);
    let report = verify(&enough).await.unwrap();
    assert_eq!(report.freshness, Freshness::At { time: NOW - 500, age: 500 });
    assert_eq!(report.history, History::NotAudited);
    enough.max_age = Some(Duration::from_secs(499));
    assert_eq!(verify(&enough).await.unwrap().refusals, [Refusal::TooOld { age: 500, max_age: 499 }]);
    enough.max_age = Some(Duration::from_secs(500));
    assert!(verify(&enough).await.unwrap().is_accepted());

    log.cosigners.push((cosigner("a1", 13), NOW - 10));
    let audited = settings(&reference, saved(&log, name(0), "v0"), two, None);
    let report = verify(&audited).await.unwrap();
    assert_eq!(report.freshness, Freshness::At { time: NOW - 100, age: 100 });
    assert_eq!(report.history, History::Audited { by: vec!["a1".to_owned()] });
    assert!(!report.to_string().contains("not audited"), "{report}");
}

/// A log of three tags that `a1` has audited, and the same log later.
fn audited_and_newest() -> (Log, Log) {
    let newest = Log::sample(3, SupersedeRule::Operator);
    let mut audited = newest.clone();
    audited.cosigners = vec![(cosigner("a1", 13), NOW - 60)];
    let mut newest = newest;
    newest.grow(3..9);
    (audited, newest)
}

const AUDITORS: &str = "group auditors any a1\nquorum auditors\n";

#[tokio::test]
async fn whom_the_policy_demands_is_asked_for_where_the_newest_proof_has_no_cosignatures() {
    let (audited, newest) = audited_and_newest();
    let (web, state) = (Web::of(&newest), Directory::empty());
    // The client has seen the newest one already.
    assert_eq!(ask(&web, &newest, &state).await.unwrap().memory, Memory::First);
    let trust = policy(&newest, AUDITORS);
    let refused = ask_as_it_is(&web, trust.clone(), &state).await;
    assert!(matches!(refused, Err(Error::Quorum { cosigned }) if cosigned.is_empty()));

    web.prove_at("audited", &audited, name(0), "v0");
    let report = ask_as_it_is(&web, trust.clone(), &state).await.unwrap();
    assert!(report.is_accepted(), "{report}");
    assert_eq!(
        (report.size, report.history),
        (audited.size(), History::Audited { by: vec!["a1".to_owned()] })
    );
    assert_eq!(report.memory, Memory::Earlier { remembered: newest.size() });
    assert_eq!(report.freshness, Freshness::At { time: NOW - 60, age: 60 });
    assert_eq!(remembered(&newest.key(), &state), Some(newest.size()));
    let asked = |web: &Web| web.0.requests().iter().filter(|request| request.query.is_some()).count();
    let before = asked(&web);
    // Whose policy is content with the newest is not shown an older one.
    let report = ask_as_it_is(&web, policy(&newest, "quorum none\n"), &state).await.unwrap();
    assert_eq!((report.size, asked(&web)), (newest.size(), before));
}

#[tokio::test]
async fn what_a_tag_meant_when_it_was_audited_is_no_answer_once_it_means_something_else() {
    let (audited, mut newest) = audited_and_newest();
    newest.batch([supersede(name(0), "v0", &digest("v0"), &digest("new"), EPOCH + 50)]);
    let (web, state) = (Web::of(&newest), Directory::empty());
    web.prove(&newest, name(0), "v0");
    web.prove_at("audited", &audited, name(0), "v0");
    let refused = ask_as_it_is(&web, policy(&newest, AUDITORS), &state).await;
    assert!(matches!(refused, Err(Error::Quorum { .. })));
}

#[tokio::test]
async fn what_auditors_did_not_cosign_is_not_audited_because_the_server_says_so() {
    let (mut audited, newest) = audited_and_newest();
    let (web, state) = (Web::of(&newest), Directory::empty());
    web.prove(&newest, name(0), "v0");
    // Nobody, a stranger, and another history that was cosigned.
    audited.cosigners.clear();
    web.prove_at("audited", &audited, name(0), "v0");
    let trust = policy(&newest, AUDITORS);
    assert!(matches!(ask_as_it_is(&web, trust.clone(), &state).await, Err(Error::Quorum { .. })));
    audited.cosigners = vec![(cosigner("a1", 99), NOW - 60)];
    web.prove_at("audited", &audited, name(0), "v0");
    assert!(matches!(ask_as_it_is(&web, trust.clone(), &state).await, Err(Error::Quorum { .. })));
    ask(&web, &newest, &state).await.unwrap();
    let mut forked = audited.clone();
    forked.grow(50..51);
    forked.cosigners = vec![(cosigner("a1", 13), NOW - 60)];
    web.prove_at("audited", &forked, name(0), "v0");
    let (evidence, verdict) = written(ask_as_it_is(&web, trust, &state).await.unwrap_err());
    assert!(matches!(evidence.fault, Fault::Fork { .. }), "{}", evidence.why);
    assert_eq!(verdict, Verdict::Proven);
}

#[tokio::test]
async fn an_age_that_cannot_be_known_is_not_young_enough() {
    let log = Log::sample(3, SupersedeRule::Never);
    let mut settings = settings(&format!("{}:v0", name(0)), saved(&log, name(0), "v0"), trust(&log), None);
    settings.max_age = Some(Duration::from_secs(60));
    assert_eq!(verify(&settings).await.unwrap().refusals, [Refusal::FreshnessUnknown { max_age: 60 }]);
}

#[tokio::test]
async fn sixteen_unknown_signatures_and_more_change_nothing() {
    let mut log = Log::sample(3, SupersedeRule::Never);
    log.cosigners = (0..40).map(|seed| (cosigner("stranger", 100 + seed), NOW)).collect();
    assert!(check(&log, name(0), "v0").await.is_accepted());
}

#[tokio::test]
async fn a_log_that_grows_is_followed_by_consistency_proofs() {
    let mut log = Log::sample(3, SupersedeRule::Never);
    let (web, state) = (Web::of(&log), Directory::empty());
    assert_eq!(ask(&web, &log, &state).await.unwrap().memory, Memory::First);
    assert_eq!(ask(&web, &log, &state).await.unwrap().memory, Memory::Same);
    let mut before = log.size();
    for tags in [5, 300, 301] {
        log.grow(before as usize..before as usize + tags);
        web.show(&log);
        assert_eq!(ask(&web, &log, &state).await.unwrap().memory, Memory::Continues { remembered: before });
        before = log.size();
        assert_eq!(remembered(&log.key(), &state), Some(before));
    }
}

#[tokio::test]
async fn a_fork_is_caught_and_a_second_run_proves_it_without_network() {
    let log = Log::sample(6, SupersedeRule::Never);
    let mut same_size = Log::new(SupersedeRule::Never);
    same_size.batch([tag(name(0), "v0", &digest("evil"), EPOCH)]);
    same_size.grow(1..5);
    assert!(same_size.size() <= log.size());
    while same_size.size() < log.size() {
        same_size.push("filler\n");
    }
    let mut larger = same_size.clone();
    larger.index();
    let mut much_larger = same_size.clone();
    much_larger.grow(10..400);
    for forked in [same_size, larger, much_larger] {
        let (web, state) = (Web::of(&log), Directory::empty());
        ask(&web, &log, &state).await.unwrap();
        let mut forked = forked;
        forked.leaves.pop();
        forked.index();
        web.show(&forked);
        let (evidence, verdict) = written(ask(&web, &forked, &state).await.unwrap_err());
        assert!(matches!(evidence.fault, Fault::Fork { .. }), "{}", evidence.why);
        assert_eq!(verdict, Verdict::Proven);
        assert_eq!(remembered(&log.key(), &state), Some(log.size()));
    }
}

#[tokio::test]
async fn a_step_back_is_refused_and_reported() {
    let early = Log::sample(3, SupersedeRule::Never);
    let mut log = early.clone();
    log.grow(3..6);
    let (web, state) = (Web::of(&log), Directory::empty());
    ask(&web, &log, &state).await.unwrap();
    web.show(&early);
    let (evidence, verdict) = written(ask(&web, &early, &state).await.unwrap_err());
    assert!(matches!(evidence.fault, Fault::Rollback { .. }), "{}", evidence.why);
    assert!(matches!(verdict, Verdict::Reported(_)));
    assert_eq!(remembered(&log.key(), &state), Some(log.size()));
}

#[tokio::test]
async fn a_step_back_onto_another_history_is_a_proven_fork() {
    let mut log = Log::sample(30, SupersedeRule::Never);
    let mut other = Log::new(SupersedeRule::Never);
    other.batch([tag(name(0), "v0", &digest("evil"), EPOCH)]);
    let (web, state) = (Web::of(&log), Directory::empty());
    ask(&web, &log, &state).await.unwrap();
    // The files of the larger tree are still there.
    web.prove(&other, name(0), "v0");
    let (evidence, verdict) = written(ask_as_it_is(&web, trust(&log), &state).await.unwrap_err());
    assert!(matches!(evidence.fault, Fault::Fork { .. }), "{}", evidence.why);
    assert_eq!(verdict, Verdict::Proven);
    log.grow(30..31);
    web.show(&log);
    assert!(ask(&web, &log, &state).await.unwrap().is_accepted());
}

#[tokio::test]
async fn evidence_against_an_honest_log_shows_nothing() {
    let early = Log::sample(3, SupersedeRule::Never);
    let mut log = early.clone();
    log.grow(3..6);
    let directory = Directory::of(&log);
    let signed = directory.source().checkpoint().await.unwrap();
    let mut tree = audit::Tree::open(&directory.source(), None, &signed).await.unwrap();
    let (older, size) = (early.note(), early.size());
    let root = tree.root_at(size).await.unwrap();
    let proof = tree.consistency(size).await.unwrap();
    let note = |text: &str| text.parse().unwrap();
    let mut faults = vec![
        Fault::Fork {
            other_log: None,
            older: note(&older),
            newer: signed.clone(),
            root,
            proof: proof.clone(),
        },
        Fault::Fork {
            other_log: None,
            older: note(&older),
            newer: signed.clone(),
            root: Hash::of("x"),
            proof: proof.clone(),
        },
        Fault::Fork { other_log: None, older: note(&older), newer: signed.clone(), root, proof: Vec::new() },
        Fault::Fork { other_log: None, older: signed.clone(), newer: note(&older), root, proof },
        Fault::Rollback { other_log: None, first: note(&older), later: signed.clone() },
    ];
    let forged = older.replace(&format!("\n{size}\n"), &format!("\n{}\n", size + 1));
    faults.push(Fault::Rollback { other_log: None, first: signed, later: note(&forged) });
    for fault in faults {
        let finding = audit::evidence::Finding { why: "slander".to_owned(), fault };
        let evidence = Evidence::new(&log.key(), NOW, finding);
        assert!(
            matches!(recheck(&evidence, &knowing(&evidence), NOW), Err(Error::NotEvidence { .. })),
            "{evidence:?}"
        );
    }
}

#[tokio::test]
async fn a_saved_proof_is_compared_as_far_as_that_goes() {
    let early = Log::sample(3, SupersedeRule::Never);
    let mut log = early.clone();
    log.grow(3..6);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let reference = format!("{}:v0", name(0));
    let check = |of: &Log, tiles: bool| {
        let text = of.proof(&tag_of(name(0), "v0"));
        let proof = Proof::Saved { text, log: tiles.then(|| directory.source()) };
        let settings = settings(&reference, proof, trust(of), Some(state.path()));
        async move { verify(&settings).await.map(|report| report.memory) }
    };
    assert_eq!(check(&early, false).await.unwrap(), Memory::First);
    assert_eq!(check(&early, false).await.unwrap(), Memory::Same);
    let remembered_size = early.size();
    assert_eq!(check(&log, false).await.unwrap(), Memory::NotCompared { remembered: remembered_size });
    assert_eq!(remembered(&log.key(), &state), Some(remembered_size));
    assert_eq!(check(&log, true).await.unwrap(), Memory::Continues { remembered: remembered_size });
    assert_eq!(check(&early, true).await.unwrap(), Memory::Earlier { remembered: log.size() });
    assert_eq!(check(&early, false).await.unwrap(), Memory::NotCompared { remembered: log.size() });
    assert_eq!(remembered(&log.key(), &state), Some(log.size()));

    let mut forked = early.clone();
    forked.batch([tag(name(0), "x3", &digest("x"), EPOCH + 3), tag(name(1), "x4", &digest("x"), EPOCH + 3)]);
    forked.leaves.truncate(log.leaves.len() - 1);
    forked.index();
    assert_eq!(forked.size(), log.size());
    let (evidence, verdict) = written(check(&forked, false).await.unwrap_err());
    assert!(matches!(evidence.fault, Fault::Fork { .. }) && verdict == Verdict::Proven);
}

pub(crate) fn successor(previous: &Log, size: u64, root: Hash) -> Log {
    let previous = Some(Previous { origin: previous.key().name().to_owned(), size, root });
    let rules = Leaf::Log { supersede: SupersedeRule::Never, previous };
    let mut log = Log::begin("tlog.example/log2", 2, &rules);
    log.grow(0..3);
    log
}

pub(crate) fn root_of(log: &Log, size: u64) -> Hash {
    let note: tlog::SignedCheckpoint = log.note_of(size).parse().unwrap();
    note.checkpoint().root
}

#[tokio::test]
async fn a_successor_is_followed_only_with_a_trusted_key() {
    let old = Log::sample(3, SupersedeRule::Never);
    let new = successor(&old, old.size(), root_of(&old, old.size()));
    let (web, state) = (Web::of(&old), Directory::empty());
    ask(&web, &old, &state).await.unwrap();
    web.show(&new);
    web.prove(&new, name(0), "v0");
    let refused = ask_as_it_is(&web, trust(&old), &state).await.unwrap_err();
    assert!(matches!(&refused, Error::UntrustedLog { origin, .. } if origin == "tlog.example/log2"));
    let both = trust(&old).and_key(new.key()).unwrap();
    let report = ask_as_it_is(&web, both.clone(), &state).await.unwrap();
    let size = old.size();
    let expected = Succession { previous: ORIGIN.to_owned(), size, remembered: size, compared: true };
    assert_eq!((report.memory, report.succession.as_ref()), (Memory::First, Some(&expected)));
    assert!(report.to_string().contains("continues log tlog.example/log"), "{report}");
    assert_eq!(ask_as_it_is(&web, both, &state).await.unwrap().memory, Memory::Same);
}

#[tokio::test]
async fn a_successor_that_continues_beyond_what_was_seen_says_so() {
    let mut old = Log::sample(3, SupersedeRule::Never);
    let (web, state) = (Web::of(&old), Directory::empty());
    ask(&web, &old, &state).await.unwrap();
    let seen = old.size();
    old.grow(3..6);
    let new = successor(&old, old.size(), root_of(&old, old.size()));
    web.show(&new);
    web.prove(&new, name(0), "v0");
    let both = trust(&old).and_key(new.key()).unwrap();
    let succession = ask_as_it_is(&web, both, &state).await.unwrap().succession.unwrap();
    assert_eq!((succession.remembered, succession.compared), (seen, false));
}

#[tokio::test]
async fn a_successor_that_drops_or_changes_what_was_seen_is_caught() {
    let old = Log::sample(6, SupersedeRule::Never);
    for (size, root) in [(old.size() - 4, root_of(&old, old.size() - 4)), (old.size(), Hash::of("other"))] {
        let new = successor(&old, size, root);
        let (web, state) = (Web::of(&old), Directory::empty());
        ask(&web, &old, &state).await.unwrap();
        web.show(&new);
        web.prove(&new, name(0), "v0");
        let both = trust(&old).and_key(new.key()).unwrap();
        let (evidence, verdict) = written(ask_as_it_is(&web, both, &state).await.unwrap_err());
        assert!(matches!(evidence.fault, Fault::Succession { .. }) && verdict == Verdict::Contradiction);
        assert_eq!(remembered(&new.key(), &state), None);
    }
}

#[tokio::test]
async fn without_a_server_nothing_is_answered() {
    let log = Log::sample(3, SupersedeRule::Never);
    let (web, state) = (Web::of(&log), Directory::empty());
    let error = ask_as_it_is(&web, trust(&log), &state).await.unwrap_err();
    assert!(matches!(error, Error::Missing { .. }) && error.answer() == Answer::None, "{error}");
    web.0.stop();
    let error = ask_as_it_is(&web, trust(&log), &state).await.unwrap_err();
    assert_eq!(error.answer(), Answer::None);
}
