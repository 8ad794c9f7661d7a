//! Logs with exactly one fault each: every one is caught, and its evidence holds in a second run
//! without network.

use crate::knowing;
use audit::evidence::{Evidence, Fault, RuleName, Verdict, recheck};
use audit::{Answer, Error, audit};
use serde_json::Value;
use taglog::{Leaf, SupersedeRule, TagKey, TagMap};
use tlog::{Checkpoint, Hash, SignedCheckpoint};

use crate::auditing::{nowhere, settings};
use crate::simulator::{
    Directory, EPOCH, Log, NOW, Web, close, digest, moved, name, seen, supersede, tag, tag_of, thaw,
};

const VECTORS: &str = include_str!("../../../taglog/testdata/taglog_vectors.json");
/// A small log; one of three bundles; one whose whole history is no longer evidence.
const SIZES: [usize; 3] = [4, 400, 900];

struct Caught {
    evidence: Evidence,
    verdict: Verdict,
    bytes: usize,
}

/// Audits a directory with its memory; the evidence as a second run reads it.
async fn caught_with(directory: &Directory, log: &Log, state: &Directory) -> Caught {
    let error = audit(&settings(directory.source(), &log.key(), state.path()), nowhere).await.unwrap_err();
    assert_eq!(error.answer(), Answer::No);
    let Error::Caught { path, .. } = error else { panic!("{error}") };
    let json = std::fs::read(path).unwrap();
    let evidence = Evidence::parse(&json).unwrap();
    assert_eq!(evidence.log, log.key());
    let verdict = recheck(&evidence, &knowing(&evidence), NOW).unwrap();
    Caught { evidence, verdict, bytes: json.len() }
}

async fn caught(log: &Log) -> Caught {
    caught_with(&Directory::of(log), log, &Directory::empty()).await
}

/// A leaf of the log breaks a rule, and the log's signature alone proves it.
async fn breaks(rule: RuleName, at: u64, log: &Log) -> Evidence {
    let Caught { evidence, verdict, bytes } = caught(log).await;
    let Fault::Leaf { rule: found, index, .. } = &evidence.fault else { panic!("{}", evidence.why) };
    assert_eq!((*found, *index), (rule, at), "{}", evidence.why);
    assert_eq!(verdict, Verdict::Proven, "{}", evidence.why);
    assert!(bytes < 100_000, "{bytes} bytes for {}", evidence.why);
    evidence
}

#[tokio::test]
async fn two_tag_leaves_for_one_key() {
    for tags in SIZES {
        let mut log = Log::sample(tags, SupersedeRule::Operator);
        let at = log.size();
        log.batch([tag(name(1), "v1", &digest("evil"), NOW)]);
        let evidence = breaks(RuleName::U, at, &log).await;
        assert!(evidence.why.contains("second tag leaf"), "{}", evidence.why);
    }
}

#[tokio::test]
async fn a_tag_leaf_for_a_tag_that_was_thawed() {
    for tags in SIZES {
        let mut log = Log::sample(tags, SupersedeRule::Operator);
        let time = EPOCH + tags as u64;
        log.batch([thaw(name(1), "v1", &digest("v1"), time), seen(name(1), "v1", &digest("later"), time)]);
        log.grow(tags..tags + 9);
        let at = log.size();
        log.batch([tag(name(1), "v1", &digest("evil"), NOW)]);
        breaks(RuleName::U, at, &log).await;
    }
}

#[tokio::test]
async fn supersede_and_thaw_in_a_log_that_forbids_them() {
    for tags in SIZES {
        for leaf in [
            supersede(name(1), "v1", &digest("v1"), &digest("evil"), NOW),
            thaw(name(1), "v1", &digest("v1"), NOW),
        ] {
            let mut log = Log::sample(tags, SupersedeRule::Never);
            let at = log.size();
            log.batch([leaf]);
            breaks(RuleName::U, at, &log).await;
        }
    }
}

#[tokio::test]
async fn statements_about_another_digest_than_the_current_one() {
    for tags in SIZES {
        for leaf in [
            supersede(name(1), "v1", &digest("other"), &digest("evil"), NOW),
            supersede(name(1), "v1", &digest("v1"), &digest("v1"), NOW),
            thaw(name(1), "v1", &digest("other"), NOW),
            moved(name(1), "v1", &digest("other"), &digest("evil"), NOW),
            moved(name(1), "v1", &digest("v1"), &digest("v1"), NOW),
            moved(name(1), "never", &digest("v1"), &digest("evil"), NOW),
            supersede(name(1), "never", &digest("v1"), &digest("evil"), NOW),
            thaw(name(1), "never", &digest("v1"), NOW),
        ] {
            let mut log = Log::sample(tags, SupersedeRule::Operator);
            let at = log.size();
            log.batch([leaf]);
            breaks(RuleName::U, at, &log).await;
        }
    }
}

#[tokio::test]
async fn a_seen_leaf_for_a_frozen_tag_or_without_a_change() {
    for tags in SIZES {
        let mut log = Log::sample(tags, SupersedeRule::Never);
        let at = log.size();
        log.batch([seen(name(1), "v1", &digest("evil"), NOW)]);
        breaks(RuleName::U, at, &log).await;

        // Frozen by the leaf right before it, which no index leaf covers yet.
        let mut log = Log::sample(tags, SupersedeRule::Never);
        let at = log.size() + 1;
        log.batch([tag(name(1), "new", &digest("new"), NOW), seen(name(1), "new", &digest("evil"), NOW)]);
        breaks(RuleName::U, at, &log).await;

        let mut log = Log::sample(tags, SupersedeRule::Never);
        log.batch([seen(name(1), "edge", &digest("one"), NOW)]);
        let at = log.size();
        log.batch([seen(name(1), "edge", &digest("one"), NOW)]);
        breaks(RuleName::U, at, &log).await;
    }
}

#[tokio::test]
async fn the_same_move_twice() {
    for tags in SIZES {
        let mut log = Log::sample(tags, SupersedeRule::Never);
        let leaf = |time| moved(name(1), "v1", &digest("v1"), &digest("evil"), time);
        log.batch([leaf(EPOCH + tags as u64)]);
        log.grow(tags..tags + 3);
        let at = log.size();
        log.batch([leaf(NOW)]);
        breaks(RuleName::U, at, &log).await;
    }
}

#[tokio::test]
async fn a_supersede_of_a_tag_that_was_never_frozen_is_shown_by_all_leaves_or_reported() {
    for (tags, verdict_of_large) in [(4, false), (1_700, true)] {
        let mut log = Log::sample(tags, SupersedeRule::Operator);
        log.batch([seen(name(1), "edge", &digest("one"), NOW)]);
        log.batch([supersede(name(1), "edge", &digest("one"), &digest("two"), NOW)]);
        let Caught { verdict, .. } = caught(&log).await;
        assert_eq!(matches!(verdict, Verdict::Reported(_)), verdict_of_large, "{tags}");
    }
}

#[tokio::test]
async fn an_index_leaf_with_another_place_count_or_root() {
    for tags in SIZES {
        let change = |edit: &dyn Fn(u64, u64, Hash) -> (u64, u64, Hash)| {
            let mut log = Log::sample(tags, SupersedeRule::Never);
            for number in 0..3 {
                log.push(tag(name(number), &format!("x{number}"), &digest("x"), NOW));
            }
            let (index, count, root) = edit(log.size(), log.map.len(), log.map.root());
            log.push(Leaf::Index { index, count, root }.to_string());
            log
        };
        let place = change(&|index, count, root| (index + 1, count, root));
        let count = change(&|index, count, root| (index, count - 1, root));
        let root = change(&|index, count, _| (index, count, Hash::of("evil")));
        for log in [place, count, root] {
            breaks(RuleName::I, log.size() - 1, &log).await;
        }
    }
}

#[tokio::test]
async fn an_index_leaf_that_hides_a_recorded_tag() {
    for tags in SIZES {
        let mut log = Log::sample(tags, SupersedeRule::Never);
        let honest = log.map.clone();
        log.push(tag(name(0), "x", &digest("x"), NOW));
        // As if the new tag had never been recorded.
        log.map = honest.clone();
        log.index();
        breaks(RuleName::I, log.size() - 1, &log).await;

        // An old tag is gone from the map.
        let mut log = Log::sample(tags, SupersedeRule::Never);
        let (gone, mut map) = (tag_of(name(1), "v1"), TagMap::new());
        for (at, leaf) in (0..).zip(&log.leaves) {
            if let Some((name, tag, _)) = Leaf::parse(leaf).unwrap().current()
                && (name, tag) != (&gone.name, &gone.tag)
            {
                let value = taglog::MapValue { index: at, leaf_hash: tlog::leaf_hash(leaf) };
                map.insert(TagKey::of(name, tag), value);
            }
        }
        log.map = map;
        log.batch([tag(name(0), "x", &digest("x"), NOW)]);
        breaks(RuleName::I, log.size() - 1, &log).await;
    }
}

#[tokio::test]
async fn a_published_tree_that_does_not_end_in_an_index_leaf() {
    for tags in SIZES {
        let mut log = Log::sample(tags, SupersedeRule::Never);
        log.push(tag(name(0), "x", &digest("x"), NOW));
        breaks(RuleName::L, log.size() - 1, &log).await;
    }
    let mut first_leaf_only = Log::new(SupersedeRule::Never);
    first_leaf_only.leaves.truncate(1);
    breaks(RuleName::L, 0, &first_leaf_only).await;
    let mut nothing = first_leaf_only.clone();
    nothing.leaves.clear();
    breaks(RuleName::L, 0, &nothing).await;
}

#[tokio::test]
async fn a_checkpoint_that_was_seen_once_and_did_not_end_in_an_index_leaf() {
    let mut log = Log::sample(40, SupersedeRule::Never);
    log.push(tag(name(0), "x", &digest("x"), EPOCH + 40));
    let unfinished = log.note();
    let size = log.size();
    log.index().grow(40..60);
    let (directory, mirror, state) = (Directory::of(&log), Directory::empty(), Directory::empty());
    mirror.put("checkpoint", unfinished.as_bytes());
    let mut settings = settings(directory.source(), &log.key(), state.path());
    settings.compare = vec![mirror.source()];
    let Error::Caught { evidence, .. } = audit(&settings, nowhere).await.unwrap_err() else { panic!() };
    let Fault::Leaf { rule, index, checkpoint, .. } = &evidence.fault else { panic!() };
    assert_eq!((*rule, *index, checkpoint.checkpoint().size), (RuleName::L, size - 1, size));
    assert_eq!(recheck(&evidence, &knowing(&evidence), NOW).unwrap(), Verdict::Proven);
}

#[tokio::test]
async fn time_that_goes_backwards() {
    for tags in SIZES {
        let mut log = Log::sample(tags, SupersedeRule::Never);
        log.batch([tag(name(0), "x", &digest("x"), EPOCH + 10_000)]);
        let at = log.size() + 1;
        log.batch(["note nothing\n".to_owned(), tag(name(0), "y", &digest("y"), EPOCH + 9_999)]);
        breaks(RuleName::T, at, &log).await;
    }
}

#[tokio::test]
async fn time_in_the_future_is_proven_until_it_comes_and_reported_afterwards() {
    for tags in SIZES {
        let mut log = Log::sample(tags, SupersedeRule::Never);
        let at = log.size();
        log.batch([tag(name(0), "x", &digest("x"), NOW + 301)]);
        let evidence = breaks(RuleName::T, at, &log).await;
        assert!(matches!(
            recheck(&evidence, &knowing(&evidence), NOW + 10_000).unwrap(),
            Verdict::Reported(_)
        ));
    }
}

#[tokio::test]
async fn a_leaf_after_the_close() {
    for tags in SIZES {
        let mut log = Log::sample(tags, SupersedeRule::Never);
        log.batch([close(NOW)]);
        let at = log.size();
        log.batch([tag(name(0), "x", &digest("x"), NOW)]);
        breaks(RuleName::G, at, &log).await;

        let mut log = Log::sample(tags, SupersedeRule::Never);
        let at = log.size() + 1;
        log.batch([close(NOW), tag(name(0), "x", &digest("x"), NOW)]);
        breaks(RuleName::G, at, &log).await;
    }
}

#[tokio::test]
async fn leaves_that_the_grammar_does_not_have() {
    let other = |from: &str, to: &str| tag(name(0), "x", &digest("x"), NOW).replace(from, to);
    for tags in SIZES {
        for leaf in [
            other("alpine", "Alpine"),
            other("index.docker.io", "docker.io"),
            other("index.docker.io/library/alpine", "ghcr.io:443/a/b"),
            other("size 1638", "size 01638"),
            other("time 1", "time +1"),
            other("\ntime", "\n\ntime"),
            "log tlogistry/v1 supersede=operator\n".to_owned(),
        ] {
            let mut log = Log::sample(tags, SupersedeRule::Never);
            let at = log.size();
            log.batch([leaf]);
            breaks(RuleName::G, at, &log).await;
        }
    }
    let mut log = Log::sample(4, SupersedeRule::Never);
    let at = log.size();
    log.push(b"tag \xff\n".to_vec()).index();
    breaks(RuleName::G, at, &log).await;
    let mut without_rules = Log::sample(4, SupersedeRule::Never);
    without_rules.leaves[0] = b"note no rules\n".to_vec();
    breaks(RuleName::G, 0, &without_rules).await;
}

#[tokio::test]
async fn the_bad_logs_of_the_reference() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut logs = 0;
    for vector in vectors["bad"].as_array().unwrap() {
        let mut log = Log::new(SupersedeRule::Never);
        log.leaves.clear();
        for leaf in vector["leaves"].as_array().unwrap() {
            log.push(leaf.as_str().unwrap());
        }
        let evidence = breaks_by_name(vector["rule"].as_str().unwrap(), &log).await;
        let Fault::Leaf { index, .. } = evidence.fault else { panic!() };
        assert_eq!(Some(index), vector["at"].as_u64(), "{}", vector["why"]);
        logs += 1;
    }
    assert!(logs >= 17, "{logs}");
}

async fn breaks_by_name(rule: &str, log: &Log) -> Evidence {
    let Caught { evidence, verdict, .. } = caught(log).await;
    let Fault::Leaf { rule: found, .. } = &evidence.fault else { panic!("{}", evidence.why) };
    assert_eq!((found.to_string().as_str(), verdict), (rule, Verdict::Proven), "{}", evidence.why);
    evidence
}

#[tokio::test]
async fn a_truncated_bundle_and_a_tile_that_disagrees_with_its_entries() {
    let log = Log::sample(400, SupersedeRule::Never);
    let last = format!("tile/entries/002.p/{}", log.size() % 256);
    type Edit = fn(&mut Vec<u8>);
    let edits: [(&str, Edit); 5] = [
        ("tile/entries/001", |bytes| bytes.truncate(bytes.len() - 1)),
        (&last, |bytes| bytes.truncate(10)),
        ("tile/entries/000", |bytes| bytes[300] ^= 4),
        ("tile/0/001", |bytes| bytes[31] ^= 1),
        ("tile/1/000.p/2", |bytes| bytes[0] ^= 1),
    ];
    for (path, edit) in edits {
        let directory = Directory::of(&log);
        let mut bytes = directory.get(path);
        edit(&mut bytes);
        directory.put(path, &bytes);
        let Caught { evidence, verdict, .. } = caught_with(&directory, &log, &Directory::empty()).await;
        assert!(matches!(evidence.fault, Fault::Files { .. }), "{path}: {}", evidence.why);
        assert!(matches!(verdict, Verdict::Reported(_)), "{path}");
    }
}

#[tokio::test]
async fn entries_that_the_signed_root_does_not_cover() {
    let log = Log::sample(40, SupersedeRule::Never);
    let directory = Directory::of(&log);
    let checkpoint =
        Checkpoint { origin: log.key().name().to_owned(), size: log.size(), root: Hash::of("evil") };
    directory.put("checkpoint", log.sign(checkpoint).as_bytes());
    let Caught { evidence, verdict, .. } = caught_with(&directory, &log, &Directory::empty()).await;
    assert!(matches!(evidence.fault, Fault::Files { .. }) && matches!(verdict, Verdict::Reported(_)));
}

/// Leaves that mean nothing cannot bury a fault so deep that no evidence holds it.
#[tokio::test]
async fn more_leaves_than_a_batch_may_have_and_a_leaf_that_is_too_long() {
    let filler =
        |number: usize| format!("filler {number} {}\n", "x".repeat(4_096 - 13 - number.to_string().len()));
    for (leaves, filler) in
        [(2_049, filler as fn(usize) -> String), (2_100, |number| format!("filler {number}\n"))]
    {
        let mut log = Log::sample(9, SupersedeRule::Operator);
        let at = log.size();
        for number in 0..leaves {
            log.push(filler(number));
        }
        log.batch([tag(name(1), "v1", &digest("evil"), NOW)]);
        let Caught { evidence, verdict, bytes } = caught(&log).await;
        let Fault::Leaf { rule, index, .. } = &evidence.fault else { panic!("{}", evidence.why) };
        assert_eq!((*rule, *index, verdict), (RuleName::I, at + 2_048, Verdict::Proven), "{}", evidence.why);
        assert!(bytes < audit::evidence::MAX_EVIDENCE / 2, "{bytes}");
    }

    // As many as there may be, and as long, do not hide what comes behind them.
    let mut log = Log::sample(9, SupersedeRule::Operator);
    for number in 0..2_047 {
        log.push(filler(number));
    }
    let at = log.size();
    log.batch([supersede(name(1), "v1", &digest("other"), &digest("evil"), NOW)]);
    let Caught { evidence, verdict, .. } = caught(&log).await;
    let Fault::Leaf { rule, index, .. } = &evidence.fault else { panic!("{}", evidence.why) };
    assert_eq!((*rule, *index, verdict), (RuleName::U, at, Verdict::Proven), "{}", evidence.why);

    let mut log = Log::sample(9, SupersedeRule::Operator);
    let at = log.size();
    log.batch(["x".repeat(4_096) + "\n"]);
    breaks(RuleName::G, at, &log).await;
}

#[tokio::test]
async fn a_first_batch_that_is_wrong() {
    for leaves in [1_500, 2_048] {
        let mut log = Log::new(SupersedeRule::Never);
        log.leaves.truncate(1);
        for _leaf in 0..leaves {
            log.push("filler\n");
        }
        // Too late, or not what the map is.
        log.push(Leaf::Index { index: log.size(), count: 5, root: log.map.root() }.to_string());
        let Caught { evidence, verdict, .. } = caught(&log).await;
        let Fault::Leaf { rule, .. } = &evidence.fault else { panic!("{}", evidence.why) };
        assert_eq!((*rule, verdict), (RuleName::I, Verdict::Proven), "{}", evidence.why);
    }
}

/// The same log until tag 30, then another one.
fn forked(tags: usize) -> (Log, Log) {
    let mut fork = Log::sample(30, SupersedeRule::Never);
    fork.batch([tag(name(0), "v30", &digest("evil"), EPOCH + 30)]);
    fork.grow(31..tags + 5);
    (Log::sample(tags, SupersedeRule::Never), fork)
}

#[tokio::test]
async fn a_fork_against_what_was_seen_before() {
    for tags in [40, 700] {
        let (log, fork) = forked(tags);
        let state = Directory::empty();
        audit(&settings(Directory::of(&log).source(), &log.key(), state.path()), nowhere).await.unwrap();
        let Caught { evidence, verdict, .. } = caught_with(&Directory::of(&fork), &log, &state).await;
        assert!(matches!(evidence.fault, Fault::Fork { .. }), "{}", evidence.why);
        assert_eq!(verdict, Verdict::Proven);
    }
}

#[tokio::test]
async fn a_fork_against_what_others_show() {
    let (log, fork) = forked(40);
    for (shown, other) in [(&fork, &log), (&log, &fork)] {
        let (web, mirror, state) = (Web::of(shown), Directory::of(other), Directory::empty());
        let mut settings = settings(web.source().below("log"), &log.key(), state.path());
        settings.compare = vec![mirror.source()];
        let answer = audit(&settings, nowhere).await;
        let Error::Caught { evidence, .. } = answer.unwrap_err() else { panic!() };
        assert!(matches!(evidence.fault, Fault::Fork { .. }), "{}", evidence.why);
        assert_eq!(recheck(&evidence, &knowing(&evidence), NOW).unwrap(), Verdict::Proven);
        let remembered = audit::LogState::open(state.path(), &log.key()).unwrap().latest().unwrap();
        assert_eq!(remembered, None);
    }
}

#[tokio::test]
async fn a_rollback() {
    let early = Log::sample(30, SupersedeRule::Never);
    let late = Log::sample(300, SupersedeRule::Never);
    let state = Directory::empty();
    audit(&settings(Directory::of(&late).source(), &late.key(), state.path()), nowhere).await.unwrap();
    let Caught { evidence, verdict, .. } = caught_with(&Directory::of(&early), &early, &state).await;
    assert!(matches!(evidence.fault, Fault::Rollback { .. }), "{}", evidence.why);
    assert!(matches!(verdict, Verdict::Reported(_)));
}

#[tokio::test]
async fn slander_of_an_honest_leaf_shows_nothing() {
    let mut log = Log::sample(40, SupersedeRule::Operator);
    log.batch([
        moved(name(1), "v1", &digest("v1"), &digest("x"), NOW),
        supersede(name(1), "v1", &digest("v1"), &digest("x"), NOW),
        thaw(name(2), "v2", &digest("v2"), NOW),
        seen(name(2), "v2", &digest("x"), NOW),
    ]);
    log.batch([close(NOW)]);
    let directory = Directory::of(&log);
    let signed: SignedCheckpoint = log.note().parse().unwrap();
    let mut tree = audit::Tree::open(&directory.source(), None, &signed).await.unwrap();
    let mut all = Vec::new();
    for index in 0..log.size() {
        let proof = tree.inclusion(index).await.unwrap();
        all.push(audit::evidence::SignedLeaf { index, leaf: log.leaves[index as usize].clone(), proof });
    }
    for rule in [RuleName::G, RuleName::I, RuleName::L, RuleName::T, RuleName::U] {
        for index in 0..log.size() {
            for leaves in [all.clone(), vec![all[index as usize].clone()]] {
                let fault = Fault::Leaf { checkpoint: signed.clone(), rule, index, leaves, map: Vec::new() };
                let finding = audit::evidence::Finding { why: "slander".to_owned(), fault };
                let evidence = Evidence::new(&log.key(), NOW, finding);
                let verdict = recheck(&evidence, &knowing(&evidence), NOW);
                assert!(!matches!(verdict, Ok(Verdict::Proven)), "rule {rule}, leaf {index}");
            }
        }
    }
}
