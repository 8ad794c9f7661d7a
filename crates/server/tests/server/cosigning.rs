//! Witnesses that cosign, refuse, lie or are silent: none holds up a record that does not wait for them, and where they
//! are demanded nothing goes out that they have not cosigned.

use std::path::Path;
use std::time::Duration;

use server::admin::{self, Command};
use taglog::Reason;
use testkit::wire::Reply;

use crate::place::{Running, error, tag_name};
use crate::witnesses::{BAD, Say, Witnessed, until};

const APP: &str = "corp.alt/team/app";

/// What a 200 of `/proof` says of a tag: whether it is recorded.
fn is_recorded(proof: &Reply, tag: &str, witnessed: &Witnessed) -> bool {
    assert_eq!(proof.status, 200, "{}", proof.text());
    let tag = tag_name(&format!("{APP}:{tag}"));
    taglog::verify(proof.text(), &tag, &witnessed.log).unwrap().current.is_some()
}

async fn proof_of(service: &Running, tag: &str) -> Reply {
    service.get(&format!("/proof/{APP}:{tag}")).await
}

/// Until the published checkpoint has its cosignatures.
async fn cosigned(service: &Running, witnessed: &Witnessed) {
    until("the checkpoint is cosigned", async || {
        let checkpoint = service.get("/log/checkpoint").await;
        checkpoint.status == 200 && witnessed.satisfied_by(checkpoint.text())
    })
    .await;
}

async fn ready(service: &Running) {
    until("the service is ready", async || service.get("/readyz").await.status == 200).await;
}

fn asks_for_patience(reply: &Reply) {
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn in_best_effort_mode_no_answer_of_a_witness_holds_up_a_first_pull() {
    for say in BAD {
        let mut witnessed = Witnessed::new(1, 1, "").await;
        witnessed.witness().say(say);
        if say == Say::Nothing {
            witnessed.place.witness_patience = Duration::ZERO;
        }
        let service = witnessed.place.start().await;
        ready(&service).await;
        for tag in ["v1", "v2"] {
            witnessed.place.push("team/app", tag);
            let pulled = service.pull("team/app", tag).await;
            assert_eq!((pulled.status, pulled.header("tlog-first-seen")), (200, Some("true")), "{say:?}");
            assert!(is_recorded(&proof_of(&service, tag).await, tag, &witnessed), "{say:?}");
        }
        witnessed.witness().asked_beyond(0).await;
        if say == Say::Status(409, "1000000\n") {
            until("it is told", async || {
                let said = service.get("/readyz").await;
                said.status == 200
                    && said.text().contains("has seen a longer log than this one, and proved nothing")
            })
            .await;
        }
        let checkpoint = service.get("/log/checkpoint").await;
        assert!(!witnessed.satisfied_by(checkpoint.text()), "{say:?}");
        witnessed.witness().say(Say::Truth);
        cosigned(&service, &witnessed).await;
    }
}

#[tokio::test]
async fn what_witnesses_have_cosigned_is_served_beside_what_is_newest() {
    let witnessed = Witnessed::new(1, 1, "").await;
    let service = witnessed.place.start().await;
    ready(&service).await;
    for tag in ["v1", "v2"] {
        witnessed.place.push("team/app", tag);
    }
    service.pull("team/app", "v1").await;
    until("the record is cosigned", async || {
        let proof = service.get(&format!("/proof/{APP}:v1?cosigned")).await;
        proof.status == 200 && is_recorded(&proof, "v1", &witnessed)
    })
    .await;
    witnessed.witness().say(Say::Nothing);
    service.pull("team/app", "v2").await;
    assert!(!witnessed.satisfied_by(service.get("/log/checkpoint").await.text()));
    let cosigned = service.get("/log/checkpoint?cosigned").await;
    assert!(witnessed.satisfied_by(cosigned.text()), "{}", cosigned.text());
    let proof = service.get(&format!("/proof/{APP}:v1?cosigned")).await;
    assert!(is_recorded(&proof, "v1", &witnessed));
    let verified = taglog::verify(proof.text(), &tag_name(&format!("{APP}:v1")), &witnessed.log).unwrap();
    assert!(witnessed.satisfied_by(&verified.checkpoint.note().to_string()));
    asks_for_patience(&service.get(&format!("/proof/{APP}:v2?cosigned")).await);
    asks_for_patience(&service.get(&format!("/log/tags/{APP}?cosigned")).await);
    assert!(is_recorded(&proof_of(&service, "v2").await, "v2", &witnessed));
}

#[tokio::test]
async fn where_cosignatures_are_demanded_nothing_goes_out_before_they_are_there() {
    for say in BAD {
        let witnessed = Witnessed::demanded().await;
        let service = witnessed.place.start().await;
        ready(&service).await;
        let known = witnessed.place.push("team/app", "known");
        until("a record is cosigned", async || service.pull("team/app", "known").await.status == 200).await;
        let before = service.size();

        witnessed.witness().say(say);
        let asked = witnessed.witness().asked();
        let image = witnessed.place.push("team/app", "v1");
        for _ in 0..2 {
            let refused = service.pull("team/app", "v1").await;
            asks_for_patience(&refused);
            assert!(error(&refused).1.contains("is recorded, but"), "{}", refused.text());
            witnessed.witness().asked_beyond(asked).await;
        }
        asks_for_patience(&proof_of(&service, "v1").await);
        asks_for_patience(&service.get(&format!("/t/{APP}:v1")).await);
        asks_for_patience(&service.get(&format!("/log/tags/{APP}")).await);
        let checkpoint = service.get("/log/checkpoint").await;
        assert!(witnessed.satisfied_by(checkpoint.text()), "{say:?}");
        assert_eq!(service.size(), before, "{say:?}");
        assert!(service.ledger.signed().borrow().size > before, "the record is there");
        assert!(!is_recorded(&proof_of(&service, "nobody").await, "nobody", &witnessed));
        // What they have cosigned does not need them any more.
        assert_eq!(service.pull("team/app", "known").await.body, known.manifest, "{say:?}");
        assert!(is_recorded(&proof_of(&service, "known").await, "known", &witnessed));

        witnessed.witness().say(Say::Truth);
        until("the tag is served", async || service.pull("team/app", "v1").await.status == 200).await;
        let served = service.pull("team/app", "v1").await;
        assert_eq!((served.body, served.status), (image.manifest, 200), "{say:?}");
        assert!(is_recorded(&proof_of(&service, "v1").await, "v1", &witnessed));
        assert!(witnessed.satisfied_by(service.get("/log/checkpoint").await.text()), "{say:?}");
    }
}

#[tokio::test]
async fn a_first_pull_waits_for_the_witnesses_and_its_proof_is_there_at_once() {
    let mut witnessed = Witnessed::demanded().await;
    witnessed.place.cover_timeout = Duration::from_secs(3600);
    let service = witnessed.place.start().await;
    ready(&service).await;
    for tag in ["v1", "v2", "v3"] {
        witnessed.witness().say(Say::Nothing);
        let asked = witnessed.witness().asked();
        witnessed.place.push("team/app", tag);
        let url = service.url(&format!("/v2/{APP}/manifests/{tag}"));
        let pull = tokio::spawn(async move { testkit::wire::get(&url).await });
        witnessed.witness().asked_beyond(asked).await;
        asks_for_patience(&proof_of(&service, tag).await);
        assert!(!pull.is_finished());
        witnessed.witness().say(Say::Truth);
        let pulled = pull.await.unwrap();
        assert_eq!((pulled.status, pulled.header("tlog-first-seen")), (200, Some("true")));
        let proof = proof_of(&service, tag).await;
        assert!(is_recorded(&proof, tag, &witnessed));
        let verified =
            taglog::verify(proof.text(), &tag_name(&format!("{APP}:{tag}")), &witnessed.log).unwrap();
        assert!(witnessed.satisfied_by(&verified.checkpoint.note().to_string()));
    }
}

#[tokio::test]
async fn a_moved_tag_is_refused_though_no_witness_has_seen_its_record() {
    let witnessed = Witnessed::demanded().await;
    let service = witnessed.place.start().await;
    ready(&service).await;
    witnessed.witness().say(Say::Nothing);
    witnessed.place.push("team/app", "v1");
    asks_for_patience(&service.pull("team/app", "v1").await);
    witnessed.place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 403);
}

#[tokio::test]
async fn signature_lines_of_strangers_are_passed_over() {
    let witnessed = Witnessed::demanded().await;
    witnessed.witness().say(Say::Grease);
    let service = witnessed.place.start().await;
    ready(&service).await;
    witnessed.place.push("team/app", "v1");
    until("the tag is served", async || service.pull("team/app", "v1").await.status == 200).await;
    let checkpoint = service.get("/log/checkpoint").await;
    assert!(witnessed.satisfied_by(checkpoint.text()) && !checkpoint.text().contains("stranger.example"));
}

#[tokio::test]
async fn nothing_is_signed_or_denied_until_the_witnesses_have_said_what_they_hold() {
    let witnessed = Witnessed::demanded().await;
    witnessed.witness().say(Say::Nothing);
    let service = witnessed.place.start().await;
    let ready_line = service.get("/readyz").await;
    assert!(ready_line.text().contains("nothing is signed until the witnesses"), "{}", ready_line.text());
    witnessed.place.push("team/app", "v1");
    asks_for_patience(&service.pull("team/app", "v1").await);
    asks_for_patience(&proof_of(&service, "v1").await);
    asks_for_patience(&service.get(&format!("/t/{APP}:v1")).await);
    asks_for_patience(&service.get("/log/checkpoint").await);
    assert_eq!(service.ledger.signed().borrow().size, 2);
    witnessed.witness().say(Say::Truth);
    ready(&service).await;
    until("the tag is served", async || service.pull("team/app", "v1").await.status == 200).await;
}

#[tokio::test]
async fn one_witness_that_lies_at_the_start_decides_nothing_while_another_is_silent() {
    let mut witnessed = Witnessed::new(2, 3, "publish = \"require\"").await;
    witnessed.place.cover_timeout = Duration::ZERO;
    witnessed.witnesses[0].say(Say::Status(409, "1000000\n"));
    witnessed.witnesses[1].say(Say::Status(500, ""));
    let service = witnessed.place.start().await;
    // All have been heard by the time that the next round begins.
    witnessed.witnesses[1].asked_beyond(1).await;
    assert_eq!(service.ledger.read_only(), None);
    assert!(service.get("/readyz").await.text().contains("nothing is signed"));
    witnessed.witnesses[1].say(Say::Truth);
    ready(&service).await;
    witnessed.place.push("team/app", "v1");
    until("the tag is served", async || service.pull("team/app", "v1").await.status == 200).await;
}

/// The files of a data directory, without the socket.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Records `v1`, then takes a snapshot, guard and all; then `v2`; then puts the snapshot back.
async fn rolled_back(witnessed: &Witnessed) {
    let (data, snapshot) = (witnessed.place.data_dir(), witnessed.place.directory.path().join("snapshot"));
    for tag in ["v1", "v2"] {
        let service = witnessed.place.start().await;
        witnessed.place.push("team/app", tag);
        until("a tag is recorded", async || service.pull("team/app", tag).await.status == 200).await;
        cosigned(&service, witnessed).await;
        service.stop().await;
        if tag == "v1" {
            copy(&data, &snapshot);
        }
    }
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&snapshot, &data).unwrap();
}

#[tokio::test]
async fn a_snapshot_that_was_put_back_is_found_out_by_those_who_have_seen_more() {
    let witnessed = Witnessed::demanded().await;
    rolled_back(&witnessed).await;
    let service = witnessed.place.start().await;
    until("the rollback is found out", async || service.ledger.read_only().is_some()).await;
    let said = service.get("/readyz").await;
    assert!(said.status == 503 && said.text().contains("ROLLED BACK"), "{}", said.text());
    assert_eq!(service.pull("team/app", "v1").await.status, 200, "what is recorded is served");
    let before = service.ledger.signed().borrow().size;
    witnessed.place.push("team/app", "v3");
    for tag in ["v2", "v3"] {
        asks_for_patience(&service.pull("team/app", tag).await);
        let proof = proof_of(&service, tag).await;
        asks_for_patience(&proof);
        assert!(proof.text().contains("ROLLED BACK"), "{}", proof.text());
        let page = service.get(&format!("/t/{APP}:{tag}")).await;
        asks_for_patience(&page);
        assert!(!page.text().contains("never recorded"), "{}", page.text());
    }
    assert_eq!(service.ledger.signed().borrow().size, before, "nothing is signed");
    service.stop().await;
}

/// Until the service has found out that it was rolled back, and says so and what to do.
async fn found_out(service: &Running) {
    until("the rollback is found out", async || service.ledger.read_only().is_some()).await;
    let said = service.get("/readyz").await;
    assert!(said.status == 503 && said.text().contains("ROLLED BACK"), "{}", said.text());
    assert!(said.text().contains("tlogistry restore --from"), "{}", said.text());
}

#[tokio::test]
async fn in_best_effort_mode_a_snapshot_that_was_put_back_is_found_out_before_anything_is_signed() {
    // One that shows what it has seen is enough, whatever the others say.
    for (threshold, count) in [(1, 1), (1, 3), (2, 3)] {
        let witnessed = Witnessed::new(threshold, count, "").await;
        witnessed.witnesses[threshold..].iter().for_each(|witness| witness.say(Say::Status(500, "")));
        rolled_back(&witnessed).await;
        for (witness, say) in
            witnessed.witnesses[1..].iter().zip([Say::Status(500, ""), Say::Status(409, "1\n")])
        {
            witness.say(say);
        }
        let service = witnessed.place.start().await;
        let before = service.ledger.signed().borrow().size;
        witnessed.place.push("team/app", "v3");
        asks_for_patience(&service.pull("team/app", "v3").await);
        found_out(&service).await;
        asks_for_patience(&service.pull("team/app", "v3").await);
        assert_eq!(service.pull("team/app", "v1").await.status, 200, "what is recorded is served");
        assert_eq!(service.ledger.signed().borrow().size, before, "nothing is signed");
        service.stop().await;
    }
}

/// A re-pin without a running service signs as well.
#[tokio::test]
async fn a_command_on_a_snapshot_that_was_put_back_signs_nothing() {
    for witnessed in [Witnessed::new(1, 1, "").await, Witnessed::demanded().await] {
        rolled_back(&witnessed).await;
        let config = witnessed.place.config().unwrap();
        let tag = tag_name(&format!("{APP}:v1"));
        let thaw = Command::Thaw { tag, reason: Reason::parse("a moving tag").unwrap() };
        let refused = admin::run(&config, thaw.clone()).await.unwrap_err();
        assert!(refused.to_string().contains("ROLLED BACK"), "{refused}");
        // Who is demanded and says nothing leaves it open.
        for witness in &witnessed.witnesses {
            witness.say(Say::Status(500, ""));
        }
        let answer = admin::run(&config, thaw).await;
        let is_demanded = config.cosigning.mode == ledger::Mode::Require;
        assert_eq!(answer.is_err(), is_demanded, "{answer:?}");
    }
}

#[tokio::test]
async fn in_best_effort_mode_witnesses_that_come_back_later_still_stop_a_second_history() {
    // Shorter than what they have seen; as long; longer.
    for tags in [&[][..], &["v3"], &["v3", "v4"]] {
        let mut witnessed = Witnessed::new(1, 1, "").await;
        rolled_back(&witnessed).await;
        witnessed.witness().say(Say::Nothing);
        witnessed.place.witness_patience = Duration::ZERO;
        let service = witnessed.place.start().await;
        ready(&service).await;
        for tag in tags {
            witnessed.place.push("team/app", tag);
            assert_eq!(service.pull("team/app", tag).await.status, 200);
        }
        witnessed.witness().say(Say::Truth);
        found_out(&service).await;
        witnessed.place.push("team/app", "v5");
        asks_for_patience(&service.pull("team/app", "v5").await);
        service.stop().await;
    }
}

#[tokio::test]
async fn in_best_effort_mode_two_witnesses_are_believed_at_the_start_where_the_others_are_no_quorum() {
    for (threshold, stops) in [(2, true), (1, false)] {
        for at_the_start in [true, false] {
            let witnessed = Witnessed::new(threshold, 3, "").await;
            let say = |say| witnessed.witnesses[1..].iter().for_each(|witness| witness.say(say));
            if at_the_start {
                say(Say::Status(409, "1000000\n"));
            }
            let service = witnessed.place.start().await;
            if !at_the_start {
                until("all are asked and at rest", async || {
                    let metrics = service.get("/metrics").await;
                    metrics.text().matches("what=\"cosigned\"} 1\n").count() == 3
                })
                .await;
                say(Say::Status(409, "1000000\n"));
                witnessed.place.push("team/app", "v1");
                assert_eq!(service.pull("team/app", "v1").await.status, 200);
            }
            if stops && at_the_start {
                found_out(&service).await;
            } else {
                // Later it takes a proof: nothing was put back meanwhile.
                ready(&service).await;
                if !stops {
                    cosigned(&service, &witnessed).await;
                }
                assert_eq!(service.ledger.read_only(), None);
            }
            service.stop().await;
        }
    }
}

#[tokio::test]
async fn cosignatures_and_what_is_published_survive_a_restart_without_witnesses() {
    let witnessed = Witnessed::demanded().await;
    let service = witnessed.place.start().await;
    ready(&service).await;
    witnessed.place.push("team/app", "v1");
    witnessed.place.push("team/app", "v2");
    until("the tag is served", async || service.pull("team/app", "v1").await.status == 200).await;
    let size = service.size();
    witnessed.witness().say(Say::Nothing);
    asks_for_patience(&service.pull("team/app", "v2").await);
    let said = service.get("/readyz").await;
    assert!(said.status == 503 && said.text().contains("wait for the witnesses"), "{}", said.text());
    service.stop().await;
    let service = witnessed.place.start().await;
    assert_eq!((service.pull("team/app", "v1").await.status, service.size()), (200, size));
    assert!(witnessed.satisfied_by(service.get("/log/checkpoint").await.text()));
    assert!(is_recorded(&proof_of(&service, "v1").await, "v1", &witnessed));
    asks_for_patience(&service.pull("team/app", "v2").await);
    witnessed.witness().say(Say::Truth);
    until("the tag is served", async || service.pull("team/app", "v2").await.status == 200).await;
}

#[tokio::test]
async fn a_new_policy_takes_no_recorded_tag_away() {
    let mut witnessed = Witnessed::demanded().await;
    let demanding = std::mem::take(&mut witnessed.place.tables);
    let service = witnessed.place.start().await;
    let image = witnessed.place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    service.stop().await;
    witnessed.place.tables = demanding;
    witnessed.witness().say(Say::Nothing);
    let service = witnessed.place.start().await;
    assert_eq!(service.pull("team/app", "v1").await.body, image.manifest);
    asks_for_patience(&service.get(&format!("/t/{APP}:v1")).await);
    witnessed.place.push("team/app", "v2");
    asks_for_patience(&service.pull("team/app", "v2").await);
    witnessed.witness().say(Say::Truth);
    cosigned(&service, &witnessed).await;
}

#[tokio::test]
async fn a_silent_witness_does_not_keep_the_service_from_stopping() {
    for (keys, patience) in [("", 3600), ("", 0), ("publish = \"require\"", 0)] {
        let mut witnessed = Witnessed::new(1, 1, keys).await;
        witnessed.place.witness_patience = Duration::from_secs(patience);
        witnessed.witness().say(Say::Nothing);
        let service = witnessed.place.start().await;
        witnessed.witness().asked_beyond(0).await;
        service.stop().await;
    }
}

#[tokio::test]
async fn metrics_tell_what_a_witness_did() {
    let witnessed = Witnessed::new(1, 1, "").await;
    let service = witnessed.place.start().await;
    cosigned(&service, &witnessed).await;
    let metrics = service.get("/metrics").await;
    for line in ["what=\"submitted\"} 1", "what=\"cosigned\"} 1", "what=\"size\"} 2"] {
        let line = format!("tlog_witness{{witness=\"witness.example/w0\",{line}");
        assert!(metrics.text().contains(&line), "{line}:\n{}", metrics.text());
    }
}
