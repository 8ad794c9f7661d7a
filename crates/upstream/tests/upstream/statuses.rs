//! What upstream's failures are taken for, and which of them are tried again.

use std::time::Duration;

use testkit::port::ReservedPort;
use testkit::{Answer, Clock, FakeRegistry, Kind, Quirk, When};
use upstream::{Error, ErrorKind};

use crate::support::{at, client, client_with, get, head, with_image};

#[tokio::test]
async fn every_status_has_one_meaning_and_is_asked_for_once() {
    for (status, kind) in [
        (400, ErrorKind::Unavailable),
        (402, ErrorKind::Unavailable),
        (403, ErrorKind::Denied { had_credentials: false }),
        (404, ErrorKind::NotFound),
        (406, ErrorKind::Unavailable),
        (410, ErrorKind::NotFound),
        (418, ErrorKind::Unavailable),
        (429, ErrorKind::TooManyRequests),
        (451, ErrorKind::Unavailable),
        (500, ErrorKind::Unavailable),
        (505, ErrorKind::Unavailable),
        (599, ErrorKind::Unavailable),
        (999, ErrorKind::Unavailable),
    ] {
        let (registry, _) = with_image().await;
        registry.quirk(Quirk::Status(status));
        let client = client(&registry);
        assert_eq!(get(&client).await.unwrap_err().kind(), kind, "{status}");
        assert_eq!(head(&client).await.unwrap_err().kind(), kind, "{status}");
        assert_eq!((registry.count("GET", Kind::Manifest), registry.count("HEAD", Kind::Manifest)), (1, 1));
    }
}

#[tokio::test]
async fn a_page_for_people_does_not_change_what_a_status_means() {
    for (status, kind) in
        [(404, ErrorKind::NotFound), (429, ErrorKind::TooManyRequests), (500, ErrorKind::Unavailable)]
    {
        let (registry, _) = with_image().await;
        registry.quirk(Quirk::Answer(Answer::html(status)));
        assert_eq!(get(&client(&registry)).await.unwrap_err().kind(), kind, "{status}");
    }
}

#[tokio::test]
async fn a_gateways_hiccup_is_tried_again_once() {
    for status in [502, 503, 504] {
        let (registry, image) = with_image().await;
        registry.quirk_when(When::any().first(1), Quirk::Status(status));
        assert_eq!(get(&client(&registry)).await.unwrap().bytes, image.manifest, "{status}");
        assert_eq!(registry.total(), 2);

        registry.quirk(Quirk::Status(status));
        registry.forget();
        let error = get(&client(&registry)).await.unwrap_err();
        assert!(matches!(error, Error::ServerError { status: told } if told == status), "{error:?}");
        assert_eq!((error.kind(), registry.total()), (ErrorKind::Unavailable, 2));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again_once() {
    for quirk in [Quirk::Reset, Quirk::HangUp] {
        let (registry, image) = with_image().await;
        registry.quirk_when(When::any().first(1), quirk.clone());
        assert_eq!(get(&client(&registry)).await.unwrap().bytes, image.manifest, "{quirk:?}");
        assert_eq!(registry.total(), 2);

        registry.quirk(quirk.clone());
        registry.forget();
        let error = get(&client(&registry)).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert_eq!((error.kind(), registry.total()), (ErrorKind::Unavailable, 2), "{quirk:?}");
    }
}

#[tokio::test]
async fn the_retry_may_fail_otherwise_and_then_that_is_what_happened() {
    let (registry, _) = with_image().await;
    registry.quirk_when(When::any().first(1), Quirk::Status(503));
    registry.delete_tag("team/app", "v1");
    assert_eq!(get(&client(&registry)).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(registry.total(), 2);
}

#[tokio::test]
async fn one_question_is_retried_once_however_many_hops_it_takes() {
    let (registry, _) = with_image().await;
    registry.quirk_when(When::any().first(1), Quirk::Status(503));
    registry.quirk_when(When::any().first(2), Quirk::Redirect(307, "/files/{digest}".to_owned()));
    registry.quirk_when(When::kind(Kind::File), Quirk::Status(503));
    let error = get(&client(&registry)).await.unwrap_err();
    assert!(matches!(error, Error::ServerError { status: 503 }), "{error:?}");
    let counts = (registry.count("GET", Kind::Manifest), registry.count("GET", Kind::File));
    assert_eq!(counts, (2, 1));
}

#[tokio::test]
async fn a_registry_that_is_down_is_unreachable_until_it_is_up() {
    let port = ReservedPort::new();
    let error = get(&client_with(at(&port.url()))).await.unwrap_err();
    let Error::Unreachable { host, why } = &error else { panic!("{error:?}") };
    assert_eq!(host, "127.0.0.1");
    assert!(why.contains("refused"), "{why}");

    let (registry, image) = with_image().await;
    let client = client(&registry);
    get(&client).await.unwrap();
    registry.stop();
    assert_eq!(get(&client).await.unwrap_err().kind(), ErrorKind::Unavailable);
    registry.restart();
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
}

async fn retry_after(registry: &FakeRegistry, line: Option<&str>) -> Option<Duration> {
    registry.clear();
    registry.quirk(Quirk::TooManyRequests(line.map(str::to_owned)));
    let error = get(&client(registry)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyRequests);
    error.retry_after()
}

#[tokio::test]
async fn how_long_to_wait_is_told_in_seconds_or_by_date() {
    let (registry, _) = with_image().await;
    let clock = Clock::at(784_111_777);
    registry.follow_clock(&clock);
    let later = Clock::at(784_111_777 + 90).http_date();
    for (line, seconds) in [
        (None, None),
        (Some("30"), Some(30)),
        (Some("86400"), Some(3_600)),
        (Some(later.as_str()), Some(90)),
        (Some("soon"), None),
    ] {
        let waited = retry_after(&registry, line).await;
        assert_eq!(waited, seconds.map(Duration::from_secs), "{line:?}");
    }
    // Only 429 asks us to wait.
    registry.clear();
    registry.quirk(Quirk::Status(503));
    registry.quirk(Quirk::Header("Retry-After".to_owned(), "30".to_owned()));
    assert_eq!(get(&client(&registry)).await.unwrap_err().retry_after(), None);
}

#[tokio::test]
async fn every_error_has_a_label_for_metrics() {
    for (quirk, label) in [
        (Quirk::Status(403), "denied"),
        (Quirk::Status(404), "not_found"),
        (Quirk::Status(429), "too_many_requests"),
        (Quirk::Status(500), "server_error"),
        (Quirk::Status(418), "unexpected_status"),
        (Quirk::Reset, "unreachable"),
        (Quirk::RedirectLoop, "redirect"),
        (Quirk::Redirect(307, "http://10.0.0.1/".to_owned()), "host_refused"),
        (Quirk::Answer(Answer::html(200)), "invalid_manifest"),
        (Quirk::CorruptBody, "digest_lies"),
        (Quirk::GzipUnasked, "encoded"),
        (Quirk::Truncated(1), "truncated"),
    ] {
        let (registry, _) = with_image().await;
        registry.quirk(quirk.clone());
        assert_eq!(get(&client(&registry)).await.unwrap_err().label(), label, "{quirk:?}");
    }
}
