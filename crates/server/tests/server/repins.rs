//! Re-pins in public.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use oci::Sha256Digest;
use server::admin::{self, Command};
use taglog::Reason;

use crate::place::tag_name;
use crate::sigstore_place::{between, elsewhere, public, said};

fn supersede(digest: &str, reason: &str) -> Command {
    Command::Supersede {
        tag: tag_name("corp.alt/team/app:v1"),
        digest: Sha256Digest::parse(digest).unwrap(),
        reason: Reason::parse(reason).unwrap(),
    }
}

#[tokio::test]
async fn a_re_pin_that_the_log_refuses_is_not_logged_in_public() {
    let (mut place, services) = public("", 1).await;
    let tables = place.tables.clone();
    place.tables = format!("{tables}\n[[policy]]\nmatch = \"**\"\naction = \"observe\"\n");
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let new = place.push("team/app", "v1");
    let command = Command::Supersede {
        tag: tag_name("corp.alt/team/app:v1"),
        digest: Sha256Digest::parse(&new.digest).unwrap(),
        reason: Reason::parse("rebuilt").unwrap(),
    };
    let outcome = admin::run(&place.config().unwrap(), command).await;
    assert!(outcome.is_err(), "an observed tag is not re-pinned");
    assert_eq!(services.rekor().size(), 0, "{}", outcome.unwrap_err());
    drop(service);
}

#[tokio::test]
async fn a_re_pin_is_followed_also_where_the_bundle_before_it_is_lost() {
    // As after `restore` from an export, `init --successor-of`, or a change of identity.
    let (place, _services) = public("store_attestation = true", 1).await;
    let service = place.start().await;
    let bad = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    let script =
        "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM evidence'); c.commit()";
    let database = place.data_dir().join("ledger.db");
    let done = std::process::Command::new("python3").args(["-c", script]).arg(database).status().unwrap();
    assert!(done.success());
    let service = place.start().await;
    let good = place.push("team/app", "v1");
    place.clock.advance(Duration::from_secs(60));
    admin::run(&place.config().unwrap(), supersede(&good.digest, "the first was malicious")).await.unwrap();
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    let second = elsewhere(&place, "second").await;
    let reply = second.pull("team/app", "v1").await;
    assert_eq!(
        reply.header("tlog-recorded-digest"),
        Some(&*good.digest),
        "not {}: {}",
        bad.digest,
        said(&reply)
    );
}

#[tokio::test]
async fn a_re_pin_that_our_log_never_had_does_not_win_elsewhere_over_the_one_that_it_has() {
    let (place, services) = public("store_attestation = true", 1).await;
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let now_free = Arc::clone(&free);
    let mut place = place;
    place.tables = format!("{}\n[limits]\nmin_free = 1000\n", place.tables);
    let surroundings = server::Surroundings {
        free_space: ledger::FreeSpace::new(move |_| Ok(now_free.load(Ordering::SeqCst))),
        ..place.surroundings()
    };
    let service = place.start_in(surroundings).await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let b = place.push("team/app", "v1");
    place.clock.advance(Duration::from_secs(60));
    // The disk is full, or the process ends between the two.
    free.store(0, Ordering::SeqCst);
    let before = services.rekor().size();
    assert!(admin::run(&place.config().unwrap(), supersede(&b.digest, "by mistake")).await.is_err());
    let logged = services.rekor().size() - before;
    free.store(u64::MAX, Ordering::SeqCst);
    place.clock.advance(Duration::from_secs(60));
    let c = place.push("team/app", "v1");
    admin::run(&place.config().unwrap(), supersede(&c.digest, "the right one")).await.unwrap();
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    let second = elsewhere(&place, "second").await;
    let reply = second.pull("team/app", "v1").await;
    assert_eq!(
        reply.header("tlog-recorded-digest"),
        Some(&*c.digest),
        "{logged} entries of the refused command; b is {}: {}",
        b.digest,
        said(&reply)
    );
}

#[tokio::test]
async fn a_re_pin_that_was_begun_is_finished_before_another_one_begins() {
    let (place, services) = public("store_attestation = true", 1).await;
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let hook = move |method: &str, path: &str, _: &[u8]| {
        let create = method == "POST" && path == "/api/v1/log/entries";
        (create && is_down.load(Ordering::SeqCst)).then(|| (400, b"no".to_vec()))
    };
    between(&services, "rekorTlogUrls", Arc::new(hook)).await;
    let service = place.start().await;
    let a = place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    let b = place.push("team/app", "v1");
    let c = place.push("team/app", "v1");
    place.clock.advance(Duration::from_secs(60));
    let config = place.config().unwrap();
    down.store(true, Ordering::SeqCst);
    assert!(admin::run(&config, supersede(&b.digest, "the right one")).await.is_err());
    down.store(false, Ordering::SeqCst);
    let reply = service.pull("team/app", "v1").await;
    assert_eq!(reply.header("tlog-recorded-digest"), Some(&*a.digest), "nothing was changed");
    let refused = admin::run(&config, supersede(&c.digest, "another")).await.unwrap_err().to_string();
    assert!(refused.contains(&b.digest), "{refused}");
    let before = services.rekor().size();
    admin::run(&config, supersede(&b.digest, "the same again")).await.unwrap();
    assert_eq!(services.rekor().size(), before + 2, "the entry, and the one that keeps the statement");
    admin::run(&config, supersede(&c.digest, "another")).await.unwrap();
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    let second = elsewhere(&place, "second").await;
    let reply = second.pull("team/app", "v1").await;
    assert_eq!(reply.header("tlog-recorded-digest"), Some(&*c.digest), "{}", said(&reply));
}
