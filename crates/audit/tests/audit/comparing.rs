//! Comparing a log with what others show of it: one history, a fork, or an open question that stays open.

use audit::cosign::cosign;
use audit::evidence::{Verdict, recheck};
use audit::history::{Audited, Compared};
use audit::{Answer, Error, Source, Trust, audit};
use taglog::SupersedeRule;
use testkit::{Gate, Kind, Quirk, When};
use tlog::Hash;

use crate::auditing::{nowhere, settings};
use crate::knowing;
use crate::simulator::{Directory, EPOCH, Log, NOW, Web, cosigner, digest, impatient, name, other_log, tag};

fn show_as_witness(directory: &Directory, log: &Log) {
    directory.put(&format!("{}/checkpoint", Hash::of(log.key().name()).to_hex()), log.note().as_bytes());
}

fn outcome(audited: &Audited) -> &Compared {
    &audited.report().compared.last().unwrap().outcome
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
    let other = other_log(0);
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
async fn a_mirror_that_shows_another_trusted_log_in_between_accuses_no_log() {
    let log = Log::sample(30, SupersedeRule::Never);
    let mut later = log.clone();
    later.grow(30..42);
    let other = other_log(90);
    let (web, witness, state, gate) = (Web::of(&log), Directory::empty(), Directory::empty(), Gate::closed());
    show_as_witness(&witness, &later);
    let mut settings = settings(web.source().below("log"), &log.key(), state.path());
    settings.trust = Trust::of_key(log.key()).unwrap().and_key(other.key()).unwrap();
    settings.compare = vec![witness.source()];
    let edge = format!("log/tile/0/000.p/{}", log.size());
    web.0.quirk_when(When::kind(Kind::File).reference(&edge), Quirk::HoldHeaders(gate.clone()));
    let meanwhile = async {
        gate.waiting(1).await;
        web.show(&other);
        gate.release();
    };
    let (audited, ()) = tokio::join!(audit(&settings, nowhere), meanwhile);
    assert_eq!(*outcome(&audited.unwrap()), Compared::Ahead { size: later.size() });
}

#[tokio::test]
async fn a_larger_tree_that_continues_and_is_forked_afterwards_is_caught() {
    let log = Log::sample(30, SupersedeRule::Never);
    let mut shown = log.clone();
    shown.batch([tag(name(0), "evil", &digest("evil"), EPOCH + 30)]);
    let mut later = log.clone();
    later.grow(31..60);
    let (directory, place, state) = (Directory::of(&log), Directory::of(&shown), Directory::empty());
    let mut settings = settings(directory.source(), &log.key(), state.path());
    settings.compare = vec![place.source()];
    let first = audit(&settings, nowhere).await.unwrap();
    assert_eq!(*outcome(&first), Compared::Continues { size: shown.size() });
    let auditor = cosigner("auditor.example/x", 21);
    assert!(cosign(&first, &auditor, NOW).is_ok());
    // The log goes another way; the place shows what the log does.
    directory.write(&later);
    let place = Directory::of(&later);
    settings.compare = vec![place.source()];
    let Error::Caught { evidence, .. } = audit(&settings, nowhere).await.unwrap_err() else { panic!() };
    assert_eq!(recheck(&evidence, &knowing(&evidence), NOW).unwrap(), Verdict::Proven);
}

#[tokio::test]
async fn what_could_not_be_compared_is_kept_also_under_another_key() {
    let log = Log::sample(30, SupersedeRule::Never);
    let mut fork = log.clone();
    fork.batch([tag(name(0), "evil", &digest("evil"), EPOCH + 30)]);
    let fork = fork.signed_by(9);
    let mut later = log.clone();
    later.grow(31..60);
    let (directory, witness, state) = (Directory::of(&log), Directory::empty(), Directory::empty());
    show_as_witness(&witness, &fork);
    let mut settings = settings(directory.source(), &log.key(), state.path());
    settings.trust = Trust::of_key(log.key()).unwrap().and_key(fork.key()).unwrap();
    settings.compare = vec![witness.source()];
    let first = audit(&settings, nowhere).await.unwrap();
    assert_eq!(*outcome(&first), Compared::Ahead { size: fork.size() });
    settings.compare.clear();
    assert_eq!(*outcome(&audit(&settings, nowhere).await.unwrap()), Compared::Ahead { size: fork.size() });
    directory.write(&later);
    let Error::Caught { evidence, .. } = audit(&settings, nowhere).await.unwrap_err() else { panic!() };
    assert_eq!(recheck(&evidence, &knowing(&evidence), NOW).unwrap(), Verdict::Contradiction);
}

#[tokio::test]
async fn more_open_questions_than_are_kept_end_the_audit() {
    let log = Log::sample(30, SupersedeRule::Never);
    let (directory, witness, state) = (Directory::of(&log), Directory::empty(), Directory::empty());
    let mut settings = settings(directory.source(), &log.key(), state.path());
    settings.compare = vec![witness.source()];
    let mut later = log.clone();
    let mut fork = log.clone();
    for batch in 0..16 {
        later.grow(30 + 3 * batch..33 + 3 * batch);
        show_as_witness(&witness, &later);
        audit(&settings, nowhere).await.unwrap();
    }
    fork.batch([tag(name(0), "evil", &digest("evil"), EPOCH + 30)]);
    show_as_witness(&witness, &fork);
    assert!(matches!(audit(&settings, nowhere).await, Err(Error::Unreconciled { .. })));
}

/// The log shows another tree of the size that the place shows, which it signed as well.
#[tokio::test]
async fn two_trees_of_one_size_that_are_at_hand_are_a_fork() {
    let log = Log::sample(30, SupersedeRule::Never);
    let (mut shown, mut other) = (log.clone(), log.clone());
    shown.batch([tag(name(0), "evil", &digest("evil"), EPOCH + 30)]);
    other.batch([tag(name(0), "good", &digest("good"), EPOCH + 30)]);
    let (web, place, state, gate) =
        (Web::of(&log), Directory::of(&shown), Directory::empty(), Gate::closed());
    let mut settings = settings(web.source().below("log"), &log.key(), state.path());
    settings.compare = vec![place.source()];
    let edge = format!("log/tile/0/000.p/{}", log.size());
    web.0.quirk_when(When::kind(Kind::File).reference(&edge), Quirk::HoldHeaders(gate.clone()));
    let meanwhile = async {
        gate.waiting(1).await;
        web.show(&other);
        gate.release();
    };
    let (audited, ()) = tokio::join!(audit(&settings, nowhere), meanwhile);
    let Error::Caught { evidence, .. } = audited.unwrap_err() else { panic!() };
    assert_eq!(recheck(&evidence, &knowing(&evidence), NOW).unwrap(), Verdict::Proven);
}

/// What was shown is kept until what it was compared with is remembered.
#[tokio::test]
async fn an_audit_that_is_cut_short_forgets_nothing_that_was_shown() {
    let log = Log::sample(300, SupersedeRule::Never);
    let (mut shown, mut later, mut fork) = (log.clone(), log.clone(), log.clone());
    shown.batch([tag(name(0), "good", &digest("good"), EPOCH + 300)]);
    later.batch([tag(name(0), "good", &digest("good"), EPOCH + 300)]);
    later.grow(301..330);
    fork.grow(301..360);
    let (web, witness, state) = (Web::of(&log), Directory::empty(), Directory::empty());
    show_as_witness(&witness, &shown);
    let mut settings = settings(web.source().below("log"), &log.key(), state.path());
    settings.compare = vec![witness.source()];
    audit(&settings, nowhere).await.unwrap();
    settings.compare.clear();
    web.show(&later);
    let bundle = When::kind(Kind::File).reference("log/tile/entries/000");
    web.0.quirk_when(bundle, Quirk::Status(500));
    assert_eq!(audit(&settings, nowhere).await.unwrap_err().answer(), Answer::None);
    web.0.clear();
    web.show(&fork);
    let Error::Caught { evidence, .. } = audit(&settings, nowhere).await.unwrap_err() else { panic!() };
    assert_eq!(recheck(&evidence, &knowing(&evidence), NOW).unwrap(), Verdict::Proven);
}

/// An export that is audited each hour beside the log itself, which is always ahead of it.
#[tokio::test]
async fn a_log_that_is_always_ahead_of_its_copy_fills_nothing() {
    let log = Log::sample(30, SupersedeRule::Never);
    let (copy, state) = (Directory::of(&log), Directory::empty());
    let (mut live, mut of_witness) = (log.clone(), log.clone());
    let (shown, witness) = (Web::of(&log), Directory::empty());
    let mut settings = settings(copy.source(), &log.key(), state.path());
    settings.compare = vec![shown.source().below("log"), witness.source()];
    for hour in 0..20 {
        live.grow(30 + 3 * hour..33 + 3 * hour);
        shown.show(&live);
        // Nobody can read this one, but the copy is beyond it an hour later.
        of_witness.clone_from(&live);
        show_as_witness(&witness, &of_witness);
        let audited = audit(&settings, nowhere).await.unwrap();
        assert!(
            audited
                .report()
                .compared
                .iter()
                .any(|seen| seen.outcome == Compared::Continues { size: live.size() })
        );
    }
}
