//! Which of several records in public decides, wherever and whenever they were logged.

use std::time::{Duration, SystemTime};

use oci::Sha256Digest;
use server::config::SigstoreConfig;
use sigstore::{Action, Clock, Sigstore, Statement, Verified};

use crate::place::{Place, START, tag_name};
use crate::sigstore_place::public;

/// Logs it in our name, as an instance does that ends before its own log has it.
async fn logged(place: &Place, statement: &Statement) -> Verified {
    let SigstoreConfig { settings, .. } = place.config().unwrap().sigstore.unwrap();
    let clock = place.clock.clone();
    let now = move || SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(clock.now()).unwrap());
    let signer = Sigstore::open(settings, Clock::by(now)).unwrap();
    signer.submit(&signer.sign(statement).await.unwrap()).await.unwrap()
}

fn first(digest: &str) -> Statement {
    Statement {
        reference: "corp.alt/team/app:v1".to_owned(),
        digest: Sha256Digest::parse(digest).unwrap(),
        media_type: Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
        sequence: 0,
        previous: None,
        action: Action::FirstSeen,
        log_origin: Some("tlog.example/log".to_owned()),
    }
}

fn re_pin(digest: &str, before: &Statement) -> Statement {
    Statement {
        sequence: before.sequence + 1,
        previous: Some(before.pae_hash()),
        action: Action::Supersede { reason: "rebuilt".to_owned() },
        ..first(digest)
    }
}

/// The index tells of an entry only after it was asked once in vain.
#[tokio::test]
async fn the_earlier_of_two_writers_decides_though_the_first_look_of_the_other_finds_nothing() {
    for (when, is_earlier) in [(START - 5, true), (START + 5, false)] {
        let (place, services) = public("store_attestation = true", 1).await;
        let service = place.start().await;
        services.rekor().delay(1);
        let theirs = place.push("team/app", "v1");
        place.clock.set(when);
        logged(&place, &first(&theirs.digest)).await;
        place.clock.set(START);
        let ours = place.push("team/app", "v1");
        let reply = service.pull("team/app", "v1").await;
        assert_eq!(services.rekor().size(), 4, "nothing was found before ours was logged: {}", reply.text());
        if is_earlier {
            assert_eq!(reply.status, 403, "{}", reply.text());
            assert_eq!(reply.header("tlog-recorded-digest"), Some(&*theirs.digest));
            assert_eq!(reply.header("tlog-upstream-digest"), Some(&*ours.digest));
        } else {
            assert_eq!((reply.status, &reply.body), (200, &ours.manifest), "{}", reply.text());
            assert_eq!(reply.header("tlog-first-seen"), Some("true"));
        }
    }
}

#[tokio::test]
async fn a_later_writer_adopts_what_the_earlier_one_recorded_also_where_it_cannot_read_it() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    services.rekor().delay(1);
    let theirs = place.push("team/app", "v1");
    let earlier = logged(&place, &first(&theirs.digest)).await;
    place.clock.advance(Duration::from_secs(5));
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!(services.rekor().size(), 2, "nothing was found before ours was logged: {}", reply.text());
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert!(reply.text().contains(&earlier.entry.uuid), "{}", reply.text());
}

/// What Rekor does not show may be what decides: at the first look nothing is logged, and at the second nothing recorded.
#[tokio::test]
async fn a_look_that_fails_records_nothing() {
    for delay in [0, 1] {
        let (place, services) = public("store_attestation = true", 1).await;
        let service = place.start().await;
        services.rekor().delay(delay);
        let theirs = place.push("team/app", "v1");
        logged(&place, &first(&theirs.digest)).await;
        services.rekor().withhold(&services.rekor().ids()[0]);
        place.clock.advance(Duration::from_secs(5));
        place.push("team/app", "v1");
        let reply = service.pull("team/app", "v1").await;
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert_eq!(services.rekor().size(), if delay == 0 { 2 } else { 4 });
        let tag = tag_name("corp.alt/team/app:v1");
        let record = service.ledger.lookup(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap();
        assert!(record.is_none());
    }
}

/// What is served of a tag whose records are `statements`, logged one after the other.
async fn decided(statements: impl FnOnce(&str, &str, &str) -> Vec<Statement>) -> &'static str {
    let (place, _services) = public("store_attestation = true", 1).await;
    let [a, b, c] = ["a", "b", "v1"].map(|tag| place.push("team/app", tag));
    for statement in statements(&a.digest, &b.digest, &c.digest) {
        logged(&place, &statement).await;
        place.clock.advance(Duration::from_secs(1));
    }
    let service = place.start().await;
    let reply = service.pull("team/app", "v1").await;
    let digest = reply.header("tlog-recorded-digest").or(reply.header("docker-content-digest"));
    let known = [(&a, "a"), (&b, "b"), (&c, "c")];
    let known = known.into_iter().find(|(image, _)| digest == Some(&*image.digest));
    known.unwrap_or_else(|| panic!("{} {}", reply.status, reply.text())).1
}

#[tokio::test]
async fn re_pins_are_followed_to_the_last_one() {
    let followed = decided(|a, b, c| {
        let one = first(a);
        let two = re_pin(b, &one);
        vec![one, two.clone(), re_pin(c, &two)]
    });
    assert_eq!(followed.await, "c");
}

#[tokio::test]
async fn a_re_pin_of_another_record_is_not_followed() {
    let followed = decided(|a, b, c| vec![first(a), re_pin(b, &first(c))]);
    assert_eq!(followed.await, "a");
}

#[tokio::test]
async fn a_re_pin_out_of_its_turn_is_not_followed() {
    let followed = decided(|a, b, _| vec![first(a), Statement { sequence: 2, ..re_pin(b, &first(a)) }]);
    assert_eq!(followed.await, "a");
}

#[tokio::test]
async fn what_follows_a_record_and_is_no_re_pin_is_not_followed() {
    let followed =
        decided(|a, b, _| vec![first(a), Statement { action: Action::FirstSeen, ..re_pin(b, &first(a)) }]);
    assert_eq!(followed.await, "a");
}

#[tokio::test]
async fn of_two_re_pins_of_one_record_the_earlier_is_followed() {
    let followed = decided(|a, b, c| vec![first(a), re_pin(b, &first(a)), re_pin(c, &first(a))]);
    assert_eq!(followed.await, "b");
}
