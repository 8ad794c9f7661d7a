//! Whom a monitor believes: policies, and logs that change their key.

use audit::monitor::Follow;
use audit::{Error, Trust};
use oci::Name;
use taglog::SupersedeRule;
use tlog::{KeyAlgorithm, Note, SignedCheckpoint, SigningKey};

use super::{lines, partly, settings, show_repositories, step};
use crate::simulator::{Directory, EPOCH, Log, NOW, ORIGIN, cosigner, digest, name, tag};

#[tokio::test]
async fn a_policy_has_to_be_satisfied_before_anything_is_believed() {
    let witness = cosigner("witness.example/w", 31);
    let mut log = Log::sample(6, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut settings = settings(&log, &directory, &state);
    let policy = format!("log {}\nwitness w {}\nquorum w\n", log.key(), witness.verifier());
    settings.trust = Trust::of_policy(&policy).unwrap();
    let unseen = partly(&settings).await;
    assert!(matches!(unseen.size, Err(Error::Quorum { .. })) && unseen.events == 0);
    // Somebody else has already seen more than the witness has cosigned.
    let mut more = log.clone();
    more.grow(6..9);
    directory.write(&more);
    let elsewhere = Directory::of(&more);
    audit::audit(
        &crate::auditing::settings(elsewhere.source(), &log.key(), state.path()),
        crate::auditing::nowhere,
    )
    .await
    .unwrap();
    log.cosigners.push((witness.clone(), NOW));
    directory.put("checkpoint?cosigned", log.note().as_bytes());
    assert_eq!(step(&settings).await.unwrap().events, 6);
    more.cosigners.push((witness, NOW));
    directory.write(&more);
    assert_eq!(step(&settings).await.unwrap().events, 3);
    // A view for this monitor alone, which no witness has seen.
    let mut split = Log::sample(6, SupersedeRule::Never);
    split.batch([tag(name(0), "v6", &digest("evil"), EPOCH + 6)]);
    let (for_us, fresh) = (Directory::of(&split), Directory::empty());
    settings.log = for_us.source();
    settings.state = fresh.owned();
    assert!(matches!(partly(&settings).await.size, Err(Error::Quorum { .. })));
}

#[tokio::test]
async fn an_old_checkpoint_stripped_of_its_cosignatures_is_a_step_back() {
    let witness = cosigner("witness.example/w", 31);
    let mut early = Log::sample(3, SupersedeRule::Never);
    let mut late = early.clone();
    late.grow(3..9);
    late.cosigners.push((witness.clone(), NOW));
    let (directory, state) = (Directory::of(&late), Directory::empty());
    let mut settings = settings(&late, &directory, &state);
    let policy = format!("witness w {}\nquorum w\n", witness.verifier());
    settings.trust = Trust::of_policy(&policy).unwrap();
    assert_eq!(step(&settings).await.unwrap().events, 9);
    directory.write(&early);
    early.cosigners.push((witness, NOW));
    directory.put("checkpoint?cosigned", early.note().as_bytes());
    let Err(Error::Caught { evidence, .. }) = partly(&settings).await.size else { panic!() };
    assert_eq!(evidence.fault.kind(), "rollback");
}

#[tokio::test]
async fn repositories_are_believed_by_the_same_policy() {
    let witness = cosigner("witness.example/w", 31);
    let mut log = Log::sample(6, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut more = log.clone();
    more.grow(6..9);
    log.cosigners.push((witness.clone(), NOW));
    show_repositories(&more, &directory, &[name(0)]);
    let mut settings = settings(&log, &directory, &state);
    settings.follow = Follow::Repositories(vec![Name::parse_canonical(name(0)).unwrap()]);
    let policy = format!("witness w {}\nquorum w\n", witness.verifier());
    settings.trust = Trust::of_policy(&policy).unwrap();
    directory.put("checkpoint?cosigned", log.note().as_bytes());
    assert!(matches!(partly(&settings).await.size, Err(Error::Quorum { .. })));
    directory.put(&format!("tags/{}?cosigned", name(0)), log.repository_proof(name(0)).as_bytes());
    assert_eq!(step(&settings).await.unwrap().events, 2);
}

#[tokio::test]
async fn a_log_that_changes_its_key_is_followed_under_both() {
    let second = SigningKey::from_seed(ORIGIN, KeyAlgorithm::Ed25519, &[2; 32]).unwrap();
    let mut log = Log::sample(3, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut settings = settings(&log, &directory, &state);
    settings.trust = settings.trust.and_key(second.verifier()).unwrap();
    assert_eq!(step(&settings).await.unwrap().events, 3);
    let by = |log: &Log, both: bool| {
        let signed: SignedCheckpoint = log.note().parse().unwrap();
        let mut note =
            if both { signed.into_note() } else { Note::unsigned(signed.note().text().to_owned()).unwrap() };
        note.sign(&second).unwrap();
        directory.write(log);
        directory.put("checkpoint", note.to_string().as_bytes());
    };
    log.grow(3..6);
    by(&log, true);
    assert_eq!(step(&settings).await.unwrap().events, 3);
    log.grow(6..9);
    by(&log, false);
    assert_eq!(step(&settings).await.unwrap().events, 3);
    assert_eq!(lines(&settings).len(), 9);
    // What the second key showed binds it, too.
    let mut fork = Log::sample(8, SupersedeRule::Never);
    fork.batch([tag(name(0), "evil", &digest("evil"), EPOCH + 9)]);
    by(&fork, false);
    let Err(Error::Caught { evidence, .. }) = partly(&settings).await.size else { panic!() };
    assert_eq!(evidence.log, second.verifier());
    // Another log is none of ours, whatever else a policy knows.
    let other = Log::begin(
        "other.example/log",
        3,
        &taglog::Leaf::Log { supersede: SupersedeRule::Never, previous: None },
    );
    settings.trust = settings.trust.and_key(other.key()).unwrap();
    directory.write(&other);
    assert!(matches!(partly(&settings).await.size, Err(Error::UntrustedLog { .. })));
}
