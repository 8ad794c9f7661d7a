//! A registry that fails is left alone for a while, and one that is slow does not take all of us.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oci::{Name, TagsQuery};
use testkit::{Auth, FakeRegistry, Gate, Kind, Quirk, When, sha256_digest, wire};
use tokio::task::JoinSet;
use upstream::UpstreamSettings;
use upstream::{BlobAnswer, BlobMethod, BlobRange, Client, Clock, Error, ErrorKind, Settings, Timeouts};

use crate::support::{PATIENT, SHORT, at, get, head, host, name, settings, tag, with_image};

/// A clock that only the test moves.
#[derive(Clone)]
struct Hand(Arc<Mutex<Instant>>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn advance(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }

    fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Clock::by(move || *time.lock().unwrap())
    }
}

fn by_hand(registry: &FakeRegistry) -> (Client, Hand) {
    let hand = Hand::new();
    let settings = Settings { clock: hand.clock(), ..settings(at(&registry.url())) };
    (Client::new(settings).unwrap(), hand)
}

#[tokio::test]
async fn five_failures_in_a_row_are_enough_and_one_answer_makes_up_for_them() {
    let (registry, image) = with_image().await;
    let (client, hand) = by_hand(&registry);
    registry.quirk(Quirk::Status(500));
    for _ in 0..5 {
        assert!(matches!(get(&client).await, Err(Error::ServerError { status: 500 })));
    }
    registry.clear();
    registry.forget();
    let error = get(&client).await.unwrap_err();
    assert!(matches!(error, Error::Resting { .. }), "{error:?}");
    assert_eq!((error.kind(), error.label()), (ErrorKind::Unavailable, "resting"));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
    // It is the registry that is left alone, and not one of its repositories or endpoints.
    let other = Name::new(host(), "team/other").unwrap();
    assert_eq!(client.manifest(&other, &tag("v1")).await.unwrap_err().label(), "resting");
    assert_eq!(client.tags(&name(), &TagsQuery::default()).await.unwrap_err().label(), "resting");
    assert_eq!(registry.total(), 0);

    hand.advance(5);
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
    assert_eq!(registry.total(), 2);
}

#[tokio::test]
async fn a_probe_that_fails_doubles_the_pause() {
    let (registry, _) = with_image().await;
    let (client, hand) = by_hand(&registry);
    registry.quirk(Quirk::Status(503));
    for _ in 0..5 {
        assert!(get(&client).await.is_err());
    }
    for pause in [5, 10, 20, 40, 60, 60] {
        assert_eq!(get(&client).await.unwrap_err().retry_after(), Some(Duration::from_secs(pause)));
        hand.advance(pause);
        registry.forget();
        assert!(matches!(get(&client).await, Err(Error::ServerError { status: 503 })));
        assert_eq!(registry.total(), 2, "one probe, with its one retry");
    }
}

#[tokio::test]
async fn connections_that_fail_and_answers_that_are_late_count_too() {
    let (registry, _) = with_image().await;
    let (client, _hand) = by_hand(&registry);
    registry.stop();
    for _ in 0..5 {
        assert!(matches!(get(&client).await, Err(Error::Unreachable { .. })));
    }
    assert_eq!(get(&client).await.unwrap_err().label(), "resting");

    let (registry, _) = with_image().await;
    registry.quirk(Quirk::HoldHeaders(Gate::closed()));
    let timeouts = Timeouts { headers: SHORT, ..PATIENT };
    let client = Client::new(Settings { timeouts, ..settings(at(&registry.url())) }).unwrap();
    for _ in 0..5 {
        assert!(matches!(head(&client).await, Err(Error::TimedOut { .. })));
    }
    assert_eq!(head(&client).await.unwrap_err().label(), "resting");
}

/// One pull that hangs up once the registry has the question, `seconds` later.
async fn hang_up(client: &Client, registry: &FakeRegistry, hand: &Hand, seconds: u64) {
    let asked = registry.count("GET", Kind::Manifest) + 1;
    let client = client.clone();
    let mut waiting = tokio::spawn(async move { get(&client).await.map(drop) });
    tokio::select! {
        () = registry.arrived(asked, "GET", Kind::Manifest) => {}
        answer = &mut waiting => panic!("not asked: {answer:?}"),
    }
    hand.advance(seconds);
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn clients_that_hang_up_close_the_registry_to_nobody_however_long_they_waited() {
    for seconds in [0, 1, 3_600] {
        let (registry, image) = with_image().await;
        let (client, hand) = by_hand(&registry);
        registry.quirk_when(When::any().first(10), Quirk::HoldHeaders(Gate::closed()));
        for _ in 0..10 {
            hang_up(&client, &registry, &hand, seconds).await;
        }
        assert_eq!(get(&client).await.unwrap().bytes, image.manifest, "{seconds}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_probes_makes_the_pause_no_longer() {
    let (registry, image) = with_image().await;
    let (client, hand) = by_hand(&registry);
    registry.quirk(Quirk::Status(500));
    for _ in 0..5 {
        assert!(get(&client).await.is_err());
    }
    registry.clear();
    hand.advance(5);
    registry.quirk_when(When::any().first(3), Quirk::HoldHeaders(Gate::closed()));
    for _ in 0..3 {
        hang_up(&client, &registry, &hand, 1).await;
    }
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
}

#[tokio::test]
async fn a_registry_that_answers_is_not_down_whatever_it_says() {
    let no = |status| Quirk::Status(status);
    for quirk in [no(404), no(403), no(429), no(400), no(501), Quirk::CorruptBody, Quirk::NoContentType] {
        let (registry, _) = with_image().await;
        let (client, _hand) = by_hand(&registry);
        registry.quirk(quirk.clone());
        for _ in 0..10 {
            let _any = get(&client).await;
            let _any = head(&client).await;
        }
        assert_eq!(registry.total(), 20, "{quirk:?}");
    }
    // And it makes up for failures before.
    let (registry, _) = with_image().await;
    let (client, _hand) = by_hand(&registry);
    for _ in 0..5 {
        registry.clear();
        registry.quirk(Quirk::Status(500));
        for _ in 0..4 {
            assert!(matches!(get(&client).await, Err(Error::ServerError { .. })));
        }
        registry.clear();
        registry.quirk(Quirk::Status(404));
        assert_eq!(get(&client).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_registry_that_is_down_takes_no_other_with_it() {
    let (down, _) = with_image().await;
    let (up, image) = with_image().await;
    down.stop();
    let other = oci::RegistryHost::canonicalize("other.alt").unwrap();
    let upstreams = [(host(), at(&down.url())), (other.clone(), at(&up.url()))].into();
    let client = Client::new(Settings { upstreams, timeouts: PATIENT, ..Settings::default() }).unwrap();
    for _ in 0..6 {
        assert!(get(&client).await.is_err());
    }
    assert_eq!(get(&client).await.unwrap_err().label(), "resting");
    let there = Name::new(other, "team/app").unwrap();
    assert_eq!(client.manifest(&there, &tag("v1")).await.unwrap().bytes, image.manifest);
}

#[tokio::test]
async fn no_more_questions_are_asked_at_one_time_than_are_allowed() {
    let (registry, _) = with_image().await;
    let gate = Gate::closed();
    registry.quirk_when(When::kind(Kind::Manifest), Quirk::HoldHeaders(gate.clone()));
    let max_concurrency = NonZeroUsize::new(3);
    let upstream = UpstreamSettings { max_concurrency, ..at(&registry.url()) };
    let client = Client::new(settings(upstream)).unwrap();
    let mut asking = JoinSet::new();
    for _ in 0..10 {
        let client = client.clone();
        asking.spawn(async move { get(&client).await.map(drop) });
    }
    for asked in 3..=10 {
        registry.arrived(asked, "GET", Kind::Manifest).await;
        // Whatever was sent too much has arrived before this is answered.
        wire::get(&format!("{}/v2/", registry.url())).await;
        assert_eq!(registry.count("GET", Kind::Manifest), asked);
        gate.release_one();
    }
    gate.release();
    assert!(asking.join_all().await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn blobs_that_are_read_slowly_hold_up_no_manifest() {
    let (registry, image) = with_image().await;
    let max_concurrency = NonZeroUsize::new(1);
    let upstream = UpstreamSettings { max_concurrency, ..at(&registry.url()) };
    let client = Client::new(settings(upstream)).unwrap();
    let blob = sha256_digest(&image.blobs[1]).parse().unwrap();
    let mut unread = Vec::new();
    for _ in 0..3 {
        let answer = client.blob(BlobMethod::Get, &name(), &blob, &BlobRange::default(), true).await.unwrap();
        let BlobAnswer::Stream(stream) = answer else { panic!("redirected") };
        unread.push(stream);
    }
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
}

#[tokio::test]
async fn tokens_grow_old_by_the_clock() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer().expires_in(Some(300)));
    let (client, hand) = by_hand(&registry);
    get(&client).await.unwrap();
    hand.advance(239);
    get(&client).await.unwrap();
    assert_eq!((registry.token_requests(), registry.total()), (1, 4));
    // At four fifths of its life it is renewed before it could be turned down.
    hand.advance(1);
    registry.forget();
    get(&client).await.unwrap();
    let sent: Vec<_> = registry
        .requests_of(Kind::Manifest)
        .iter()
        .map(|r| r.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!((registry.token_requests(), sent), (1, vec![None, Some("Bearer token-2".to_owned())]));
}
