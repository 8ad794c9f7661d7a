//! Reading a log: places, bounds, fallbacks, and that nothing is taken which is not the tree's.

use crate::knowing;
use audit::{Answer, Cache, Error, Http, Source, Tree, evidence};
use taglog::SupersedeRule;
use testkit::{Kind, Quirk, When};
use tlog::{EntriesId, SignedCheckpoint, TileId};

use crate::simulator::{Directory, Log, NOW, Web, impatient};

async fn open(source: &Source) -> Result<Tree, Error> {
    let signed = source.checkpoint().await?;
    Tree::open(source, None, &signed).await
}

async fn read_all(tree: &mut Tree) -> Result<Vec<Vec<u8>>, Error> {
    let mut leaves = Vec::new();
    for index in 0..tree.bundles() {
        let bundle = tree.bundle(index).await?;
        leaves.extend(bundle.leaves().map(|(_, leaf)| leaf.to_vec()));
    }
    Ok(leaves)
}

#[tokio::test]
async fn a_log_is_the_same_over_http_and_in_a_directory() {
    let log = Log::sample(400, SupersedeRule::Never);
    let (web, directory) = (Web::of(&log), Directory::of(&log));
    for place in [web.log_url(), directory.path().display().to_string()] {
        let source = Source::open(&place, &impatient()).unwrap();
        let mut tree = open(&source).await.unwrap();
        assert_eq!(read_all(&mut tree).await.unwrap(), log.leaves, "{place}");
        assert_eq!(tree.leaf(300).await.unwrap(), log.leaves[300]);
        let (mut bundles, mut leaves) = (tree.all(2), Vec::new());
        while let Some(bundle) = bundles.next().await.unwrap() {
            leaves.extend(bundle.leaves().map(|(_, leaf)| leaf.to_vec()));
        }
        assert_eq!(leaves, log.leaves, "{place}");
        assert!(tree.leaf(log.size()).await.is_err() && tree.bundle(tree.bundles()).await.is_err());
    }
}

#[tokio::test]
async fn what_is_no_place_is_refused_with_the_way_out() {
    for place in ["", "/does/not/exist", "ftp://tlog.example/log", "https://tlog.example/log?x=1", "https://"]
    {
        let error = Source::open(place, &Http::default()).unwrap_err();
        assert!(matches!(error, Error::Place { .. }), "{place}: {error}");
        assert!(error.to_string().contains("https://tlog.example/log"), "{error}");
    }
}

#[tokio::test]
async fn a_partial_tile_that_is_gone_is_cut_from_the_full_one() {
    let mut log = Log::sample(30, SupersedeRule::Never);
    let early: SignedCheckpoint = log.note().parse().unwrap();
    log.grow(30..400);
    let directory = Directory::of(&log);
    let mut tree = Tree::open(&directory.source(), None, &early).await.unwrap();
    assert_eq!(read_all(&mut tree).await.unwrap(), log.leaves[..early.checkpoint().size as usize]);
}

#[tokio::test]
async fn proofs_are_made_from_tiles_at_every_size() {
    let log = Log::sample(400, SupersedeRule::Never);
    let directory = Directory::of(&log);
    let mut tree = open(&directory.source()).await.unwrap();
    let checkpoint = tree.checkpoint().clone();
    let hashes = log.hashes();
    for size in [0, 1, 2, 3, 255, 256, 257, 511, 512, checkpoint.size] {
        let root = tree.root_at(size).await.unwrap();
        let proof = tree.consistency(size).await.unwrap();
        let old: SignedCheckpoint = log.note_of(size).parse().unwrap();
        assert_eq!(root, old.checkpoint().root, "{size}");
        tlog::verify_consistency(size, root, checkpoint.size, checkpoint.root, &proof).unwrap();
    }
    for index in [0, 1, 255, 256, 500, checkpoint.size - 1] {
        let proof = tree.inclusion(index).await.unwrap();
        let hash = hashes[index as usize];
        tlog::verify_inclusion(index, checkpoint.size, hash, checkpoint.root, &proof).unwrap();
    }
    assert!(tree.root_at(checkpoint.size + 1).await.is_err());
    assert!(tree.inclusion(checkpoint.size).await.is_err());
}

#[tokio::test]
async fn trees_of_three_tile_levels_are_read() {
    let mut log = Log::new(SupersedeRule::Never);
    for number in 0..66_000 {
        log.push(format!("note {number}\n"));
    }
    log.index();
    let directory = Directory::of(&log);
    let mut tree = open(&directory.source()).await.unwrap();
    assert_eq!(read_all(&mut tree).await.unwrap(), log.leaves);
    assert_eq!(tree.leaf(70).await.unwrap(), log.leaves[70]);
    assert_eq!(tree.leaf(65_999).await.unwrap(), log.leaves[65_999]);
    let early: SignedCheckpoint = log.note_of(40_000).parse().unwrap();
    assert_eq!(tree.root_at(40_000).await.unwrap(), early.checkpoint().root);
}

/// Serves `log` with one file replaced and gives the fault that reading finds, rechecked.
async fn fault_of(log: &Log, path: &str, replace: impl FnOnce(Vec<u8>) -> Vec<u8>) -> evidence::Finding {
    let directory = Directory::of(log);
    let bytes = replace(directory.get(path));
    directory.put(path, &bytes);
    let read = async { read_all(&mut open(&directory.source()).await?).await };
    let error = read.await.unwrap_err();
    assert_eq!(error.answer(), Answer::No);
    let Error::Fault(finding) = error else { panic!("{error}") };
    let written = evidence::Evidence::new(&log.key(), NOW, (*finding).clone()).to_json();
    let read = evidence::Evidence::parse(written.as_bytes()).unwrap();
    assert!(matches!(
        evidence::recheck(&read, &knowing(&read), NOW).unwrap(),
        evidence::Verdict::Reported(_)
    ));
    *finding
}

#[tokio::test]
async fn files_that_do_not_belong_to_the_tree_are_found_with_evidence() {
    let log = Log::sample(400, SupersedeRule::Never);
    let flip = |at: usize| {
        move |mut bytes: Vec<u8>| {
            bytes[at] ^= 1;
            bytes
        }
    };
    let cut = |by: usize| move |bytes: Vec<u8>| bytes[..bytes.len() - by].to_vec();
    let partial = EntriesId { index: 2, width: (log.size() % 256) as u16 }.to_string();
    let edge = TileId { level: 0, index: 2, width: (log.size() % 256) as u16 }.to_string();
    for (path, which) in
        [("tile/0/001", "tile/0/001"), ("tile/entries/001", "tile/entries/001"), (&partial, &partial)]
    {
        let finding = fault_of(&log, path, flip(40)).await;
        assert!(finding.why.contains(which), "{path}: {}", finding.why);
        let finding = fault_of(&log, path, cut(7)).await;
        assert!(finding.why.contains(which), "{path}: {}", finding.why);
    }
    for path in ["tile/1/000.p/2", edge.as_str()] {
        let finding = fault_of(&log, path, flip(3)).await;
        assert!(finding.why.contains("right edge"), "{path}: {}", finding.why);
        fault_of(&log, path, cut(32)).await;
        fault_of(&log, path, |mut bytes| {
            bytes.extend([0; 32]);
            bytes
        })
        .await;
    }
}

#[tokio::test]
async fn evidence_about_files_that_do_belong_shows_nothing() {
    let log = Log::sample(400, SupersedeRule::Never);
    let mut finding = fault_of(&log, "tile/entries/001", |mut bytes| {
        bytes[40] ^= 1;
        bytes
    })
    .await;
    let evidence::Fault::Files { files, .. } = &mut finding.fault else { panic!() };
    files.last_mut().unwrap().bytes[40] ^= 1;
    let evidence = evidence::Evidence::new(&log.key(), NOW, finding);
    assert!(matches!(evidence::recheck(&evidence, &knowing(&evidence), NOW), Err(Error::NotEvidence { .. })));
}

#[tokio::test]
async fn a_file_that_is_missing_or_too_large_is_an_error_that_names_it() {
    let log = Log::sample(400, SupersedeRule::Never);
    let directory = Directory::of(&log);
    directory.remove("tile/entries/001");
    let error = read_all(&mut open(&directory.source()).await.unwrap()).await.unwrap_err();
    assert!(matches!(&error, Error::Missing { place } if place.ends_with("tile/entries/001")), "{error}");
    let directory = Directory::of(&log);
    directory.put("tile/0/001", &vec![0; 8193]);
    let error = read_all(&mut open(&directory.source()).await.unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 8192, .. }), "{error}");
    let empty = Directory::empty();
    let error = open(&empty.source()).await.unwrap_err();
    assert!(matches!(&error, Error::Missing { place } if place.ends_with("checkpoint")), "{error}");
}

#[tokio::test]
async fn full_files_are_kept_and_need_no_second_request() {
    let log = Log::sample(400, SupersedeRule::Never);
    let (web, copy) = (Web::of(&log), Directory::empty());
    let source = web.source().below("log");
    let signed = source.checkpoint().await.unwrap();
    let cache = Cache::new(copy.path());
    for _time in 0..2 {
        let mut tree = Tree::open(&source, Some(&cache), &signed).await.unwrap();
        assert_eq!(read_all(&mut tree).await.unwrap(), log.leaves);
    }
    let asked = |path: &str| web.0.requests().iter().filter(|request| request.path.ends_with(path)).count();
    assert_eq!((asked("tile/entries/001"), asked("tile/0/001")), (1, 1));
    assert_eq!(asked("tile/1/000.p/2"), 2);
}

#[tokio::test]
async fn a_copy_of_our_own_that_was_spoilt_is_fetched_again() {
    let log = Log::sample(400, SupersedeRule::Never);
    let (directory, copy) = (Directory::of(&log), Directory::empty());
    let signed = directory.source().checkpoint().await.unwrap();
    let cache = Cache::new(copy.path());
    let mut tree = Tree::open(&directory.source(), Some(&cache), &signed).await.unwrap();
    read_all(&mut tree).await.unwrap();
    for (path, spoilt) in [
        ("tile/0/001", vec![1; 8192]),
        ("tile/0/000", vec![0; 9000]),
        ("tile/entries/000", b"not a bundle".to_vec()),
    ] {
        copy.put(path, &spoilt);
        let mut tree = Tree::open(&directory.source(), Some(&cache), &signed).await.unwrap();
        assert_eq!(read_all(&mut tree).await.unwrap(), log.leaves);
        assert_eq!(copy.get(path), directory.get(path));
    }
}

#[tokio::test]
async fn a_hiccup_is_asked_again_and_a_refusal_says_what_the_server_said() {
    let web = Web::of(&Log::sample(3, SupersedeRule::Never));
    let source = web.source().below("log");
    web.0.quirk_when(When::kind(Kind::File).first(1), Quirk::Status(503));
    source.checkpoint().await.unwrap();
    web.0.quirk_when(When::kind(Kind::File).first(1), Quirk::HangUp);
    source.checkpoint().await.unwrap();
    web.0.quirk(Quirk::Status(500));
    let error = source.checkpoint().await.unwrap_err();
    assert!(
        matches!(&error, Error::Status { status: 500, message, .. } if message.contains("the fake was told"))
    );
    assert_eq!(error.answer(), Answer::None);
    web.0.stop();
    assert!(matches!(source.checkpoint().await, Err(Error::Unreachable { .. })));
}

#[tokio::test]
async fn a_redirect_never_leaves_the_host() {
    let (web, other) =
        (Web::of(&Log::sample(3, SupersedeRule::Never)), Web::of(&Log::sample(3, SupersedeRule::Never)));
    let source = web.source().below("log");
    let elsewhere = format!("{}/checkpoint", other.log_url());
    web.0.quirk_when(When::kind(Kind::File).first(1), Quirk::Redirect(302, elsewhere));
    assert!(matches!(source.checkpoint().await, Err(Error::Redirect { .. })));
    assert_eq!(other.0.total(), 0);
    let here = format!("{}/checkpoint", web.log_url());
    web.0.quirk_when(When::kind(Kind::File).first(1), Quirk::Redirect(302, here));
    source.checkpoint().await.unwrap();
    web.0.quirk(Quirk::RedirectLoop);
    assert!(matches!(source.checkpoint().await, Err(Error::Redirect { .. })));
}

#[tokio::test]
async fn an_answer_larger_than_its_kind_is_cut_off() {
    let web = Web::of(&Log::sample(3, SupersedeRule::Never));
    web.0.quirk(Quirk::PaddedTo(70_000));
    let error = web.source().below("log").checkpoint().await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 65_536, .. }), "{error}");
}
