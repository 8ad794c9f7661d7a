//! What a client remembers of a log holds whatever key signs, whoever cosigned, and whatever was at hand
//! when it was remembered.

use audit::evidence::{Fault, Verdict};
use audit::verify::{Proof, Report};
use audit::{Error, LogState, Memory, Trust, audit, verify};
use taglog::SupersedeRule;
use testkit::{Gate, Kind, Quirk, When};
use tlog::Hash;

use crate::auditing::{self, nowhere};
use crate::simulator::{Directory, EPOCH, Log, NOW, Web, cosigner, digest, name, other_log, tag, tag_of};
use crate::verifying::{ask, ask_as_it_is, policy, remembered, root_of, settings, successor, trust, written};

const WITNESSES: &str = "quorum w1\n";

/// A log, and another history of it that is larger.
fn fork() -> (Log, Log) {
    let log = Log::sample(6, SupersedeRule::Never);
    let mut fork = Log::sample(3, SupersedeRule::Never);
    fork.batch([tag(name(0), "evil", &digest("evil"), EPOCH + 3)]);
    fork.grow(4..20);
    (log, fork)
}

#[tokio::test]
async fn an_old_checkpoint_stripped_of_its_cosignatures_is_a_step_back_all_the_same() {
    let mut early = Log::sample(3, SupersedeRule::Never);
    let mut late = early.clone();
    late.grow(3..9);
    late.cosigners = vec![(cosigner("w1", 11), NOW - 10)];
    let (web, state) = (Web::of(&late), Directory::empty());
    let demanding = policy(&late, WITNESSES);
    web.prove(&late, name(0), "v0");
    assert!(ask_as_it_is(&web, demanding.clone(), &state).await.unwrap().is_accepted());

    // The mirror shows an old proof without its cosignature, and keeps the whole one for whoever asks further.
    web.prove(&early, name(0), "v0");
    early.cosigners = vec![(cosigner("w1", 11), NOW - 90_000)];
    web.prove_at("cosigned", &early, name(0), "v0");
    let (evidence, _) = written(ask_as_it_is(&web, demanding, &state).await.unwrap_err());
    assert!(matches!(evidence.fault, Fault::Rollback { .. }), "{}", evidence.why);
    assert_eq!(remembered(&late.key(), &state), Some(late.size()));
}

#[tokio::test]
async fn a_proof_that_is_cosigned_has_to_be_of_the_newest_ones_history() {
    let (mut log, fork) = fork();
    log.cosigners = vec![(cosigner("w1", 11), NOW - 10)];
    let (web, state) = (Web::of(&fork), Directory::empty());
    web.prove(&fork, name(0), "v0");
    web.prove_at("cosigned", &log, name(0), "v0");
    let (evidence, verdict) = written(ask_as_it_is(&web, policy(&log, WITNESSES), &state).await.unwrap_err());
    assert!(matches!(evidence.fault, Fault::Fork { .. }) && verdict == Verdict::Proven);
    // Nor without a memory.
    let reference = format!("{}:v0", name(0));
    let forgetful = settings(&reference, Proof::Server(web.source()), policy(&log, WITNESSES), None);
    assert!(matches!(verify(&forgetful).await, Err(Error::Fault(_))));
}

#[tokio::test]
async fn a_fork_under_another_key_of_the_same_log_is_caught() {
    let (log, fork) = fork();
    let fork = fork.signed_by(9);
    let both = trust(&log).and_key(fork.key()).unwrap();
    let (web, state) = (Web::of(&log), Directory::empty());
    web.prove(&log, name(0), "v0");
    ask_as_it_is(&web, both.clone(), &state).await.unwrap();
    web.show(&fork);
    web.prove(&fork, name(0), "v0");
    let (evidence, verdict) = written(ask_as_it_is(&web, both.clone(), &state).await.unwrap_err());
    assert_eq!((&evidence.log, verdict), (&fork.key(), Verdict::Contradiction));
    let Fault::Fork { other_log, .. } = &evidence.fault else { panic!("{}", evidence.why) };
    assert_eq!(other_log.as_ref(), Some(&log.key()));
    assert_eq!(remembered(&fork.key(), &state), None);

    // Nor is it audited, and so not cosigned.
    let mut settings = auditing::settings(web.source().below("log"), &log.key(), state.path());
    settings.trust = both.clone();
    let (evidence, _) = written(audit(&settings, nowhere).await.unwrap_err());
    assert!(matches!(evidence.fault, Fault::Fork { .. }), "{}", evidence.why);

    // Offline, two trees of one size.
    let mut other = Log::sample(5, SupersedeRule::Never);
    other.batch([tag(name(5), "v5", &digest("evil"), EPOCH + 5)]);
    let mut other = other.signed_by(9);
    while other.size() < log.size() {
        other.push("filler\n");
    }
    other.leaves.truncate(log.leaves.len() - 1);
    other.index();
    let (evidence, verdict) = written(offline(&other, both, &state).await.unwrap_err());
    assert!(matches!(evidence.fault, Fault::Fork { .. }) && verdict == Verdict::Contradiction);
}

#[tokio::test]
async fn a_step_back_under_another_key_is_refused() {
    let early = Log::sample(3, SupersedeRule::Never).signed_by(9);
    let late = Log::sample(9, SupersedeRule::Never);
    let both = trust(&late).and_key(early.key()).unwrap();
    let (web, state) = (Web::of(&late), Directory::empty());
    web.prove(&late, name(0), "v0");
    ask_as_it_is(&web, both.clone(), &state).await.unwrap();
    web.prove(&early, name(0), "v0");
    let (evidence, _) = written(ask_as_it_is(&web, both, &state).await.unwrap_err());
    let Fault::Rollback { other_log, .. } = &evidence.fault else { panic!("{}", evidence.why) };
    assert_eq!((other_log.as_ref(), &evidence.log), (Some(&late.key()), &early.key()));
}

#[tokio::test]
async fn a_log_that_goes_over_to_another_key_continues() {
    let log = Log::sample(6, SupersedeRule::Never);
    let mut later = log.signed_by(9);
    later.grow(6..9);
    let both = trust(&log).and_key(later.key()).unwrap();
    let (web, state) = (Web::of(&log), Directory::empty());
    ask(&web, &log, &state).await.unwrap();
    web.show(&later);
    web.prove(&later, name(0), "v0");
    let report = ask_as_it_is(&web, both.clone(), &state).await.unwrap();
    assert_eq!(report.memory, Memory::Continues { remembered: log.size() });
    assert_eq!(ask_as_it_is(&web, both.clone(), &state).await.unwrap().memory, Memory::Same);
    let earlier = Memory::Earlier { remembered: later.size() };
    assert_eq!(offline(&log, both, &state).await.unwrap().memory, earlier);
}

async fn offline(log: &Log, trust: Trust, state: &Directory) -> Result<Report, Error> {
    let proof = Proof::Saved { text: log.proof(&tag_of(name(0), "v0")), log: None };
    verify(&settings(&format!("{}:v0", name(0)), proof, trust, Some(state.path()))).await
}

/// A client that saw a log under its second key alone, and a successor that drops what it saw.
#[tokio::test]
async fn a_successor_is_held_against_what_was_seen_under_each_key_of_the_log_before() {
    let old = Log::sample(6, SupersedeRule::Never);
    let second = old.signed_by(9);
    let new = successor(&old, old.size() - 4, root_of(&old, old.size() - 4));
    let all = trust(&old).and_key(second.key()).unwrap().and_key(new.key()).unwrap();
    let (web, state) = (Web::of(&second), Directory::empty());
    ask(&web, &second, &state).await.unwrap();
    web.show(&new);
    web.prove(&new, name(0), "v0");
    let (evidence, verdict) = written(ask_as_it_is(&web, all, &state).await.unwrap_err());
    let Fault::Succession { previous_log, .. } = &evidence.fault else { panic!("{}", evidence.why) };
    assert_eq!((previous_log, verdict), (&second.key(), Verdict::Contradiction));
}

#[tokio::test]
async fn a_successor_that_was_first_seen_offline_is_compared_as_soon_as_it_can_be() {
    let old = Log::sample(6, SupersedeRule::Never);
    let new = successor(&old, old.size(), Hash::of("other"));
    let both = trust(&old).and_key(new.key()).unwrap();
    let (web, state) = (Web::of(&old), Directory::empty());
    ask(&web, &old, &state).await.unwrap();
    assert_eq!(offline(&new, both.clone(), &state).await.unwrap().memory, Memory::First);
    web.show(&new);
    web.prove(&new, name(0), "v0");
    let (evidence, _) = written(ask_as_it_is(&web, both, &state).await.unwrap_err());
    assert!(matches!(evidence.fault, Fault::Succession { .. }), "{}", evidence.why);
}

#[tokio::test]
async fn two_processes_with_two_keys_remember_one_history() {
    let (log, fork) = fork();
    let fork = fork.signed_by(9);
    let both = trust(&log).and_key(fork.key()).unwrap();
    let state = Directory::empty();
    // The other process remembers its fork while ours reads tiles: nothing was remembered when we began.
    let other = LogState::open(state.path(), &fork.key()).unwrap();
    let (web, gate) = (Web::of(&log), Gate::closed());
    web.prove(&log, name(0), "v0");
    let tiles = When::kind(Kind::File).reference(&format!("log/tile/0/000.p/{}", log.size()));
    web.0.quirk_when(tiles, Quirk::HoldHeaders(gate.clone()));
    let meanwhile = async {
        gate.waiting(1).await;
        assert!(other.advance(None, &fork.note().parse().unwrap()).unwrap());
        gate.release();
    };
    let (answer, ()) = tokio::join!(ask_as_it_is(&web, both, &state), meanwhile);
    // The fork's tiles are nowhere to be read, so that all there is to say is that nothing is known.
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(remembered(&log.key(), &state), None);
}

#[tokio::test]
async fn a_mirror_that_answers_cosigned_with_another_trusted_log_accuses_no_log() {
    let log = Log::sample(6, SupersedeRule::Never);
    let mut other = other_log(3);
    other.cosigners = vec![(cosigner("w1", 11), NOW - 10)];
    let policy = format!(
        "log {}\nlog {}\nwitness w1 {}\nquorum w1\n",
        log.key(),
        other.key(),
        cosigner("w1", 11).verifier()
    );
    let trust = Trust::of_policy(&policy).unwrap();
    let (web, state) = (Web::of(&log), Directory::empty());
    web.prove(&log, name(0), "v99");
    web.prove_at("cosigned", &other, name(0), "v99");
    let reference = format!("{}:v99", name(0));
    let settings = settings(&reference, Proof::Server(web.source()), trust, Some(state.path()));
    assert!(matches!(verify(&settings).await, Err(Error::Quorum { .. })));
}
