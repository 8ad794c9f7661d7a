//! What never gets past the edge.

use testkit::{Quirk, wire};

use crate::place::{Place, error};

#[tokio::test]
async fn writes_are_refused_with_what_is_allowed() {
    let place = Place::new().await;
    let service = place.start().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        for path in ["/v2/", "/v2/corp.alt/team/app/manifests/v1", "/v2/corp.alt/team/app/blobs/uploads/"] {
            let reply = service.request(method, path).send().await;
            assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
            assert_eq!(error(&reply).0, "UNSUPPORTED");
        }
    }
    assert_eq!(place.registry.total(), 0);
}

#[tokio::test]
async fn paths_that_no_client_needs_are_refused_before_anything_is_asked() {
    let place = Place::new().await;
    let service = place.start().await;
    let long = format!("/v2/corp.alt/{}/manifests/v1", "a".repeat(1100));
    for path in [
        "/v2/corp.alt/team/app/manifests/v1%3Fx=1",
        "/v2/corp.alt/team/app/manifests/v1%23",
        "/v2/corp.alt/..%2fx/manifests/v1",
        "/v2/corp.alt/../x/manifests/v1",
        "/v2/corp.alt/./x/manifests/v1",
        "/v2/corp.alt//x/manifests/v1",
        "/v2//corp.alt/x/manifests/v1",
        "/v2/corp.alt/x/manifests/v1%00",
        "/v2/corp.alt/X/manifests/v1",
        "/v2/corp.alt/x/manifests/.v1",
        "/v2/corp.alt/x/manifests/v1?ns=ghcr.io",
        "/v2/x/manifests/v1?ns=corp.alt&ns=corp.alt",
        "/v2/x/manifests/v1?ns=",
        &long,
    ] {
        let reply = service.get(path).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        assert!(matches!(&*error(&reply).0, "NAME_INVALID" | "TAG_INVALID"), "{path}: {}", reply.text());
    }
    assert_eq!(place.registry.total(), 0);
}

#[tokio::test]
async fn raw_bytes_that_are_no_request_are_refused() {
    let place = Place::new().await;
    let service = place.start().await;
    for bytes in [
        b"GET /v2/corp.alt/a\\b/manifests/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET /v2/corp.alt/a/manifests/v1\0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET /v2/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n".to_vec(),
        b"GET /v2/ HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\nConnection: close\r\n\r\nabc".to_vec(),
        b"GET /v2/ HTTP/1.1\r\nHo st: x\r\n\r\n".to_vec(),
        format!("GET /v2/ HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(20_000)).into_bytes(),
        format!("GET /v2/ HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100)).into_bytes(),
    ] {
        let answer = wire::send_raw(service.address, &bytes).await.unwrap_or_default();
        let status = String::from_utf8_lossy(&answer);
        let status = status.lines().next().unwrap_or_default();
        let refused = status.is_empty() || status.contains(" 400 ") || status.contains(" 431 ");
        assert!(refused, "{}: {status}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
    }
    assert_eq!(place.registry.total(), 0);
    assert_eq!(service.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_second_request_hidden_in_a_body_is_not_answered() {
    let place = Place::new().await;
    let service = place.start().await;
    let hidden = "GET /v2/corp.alt/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n";
    let smuggled = format!(
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{hidden}GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        hidden.len()
    );
    wire::send_raw(service.address, smuggled.as_bytes()).await.unwrap();
    assert_eq!(place.registry.total(), 0);
}

#[tokio::test]
async fn public_names_and_addresses_that_are_not_configured_are_filtered() {
    let place = Place::new().await;
    let service = place.start().await;
    for path in [
        "/v2/127.0.0.1/x/manifests/v1",
        "/v2/169.254.169.254/x/manifests/v1",
        "/v2/localhost/x/manifests/v1",
        "/v2/10.0.0.1/x/manifests/v1",
        "/v2/metadata.google.internal/x/manifests/v1",
        "/v2/other.alt/x/manifests/v1",
        "/v2/tlog.example/x/manifests/v1",
        "/v2/x/manifests/v1?ns=127.0.0.1",
        "/v2/x/manifests/v1?ns=ghcr.io:8443",
        "/v2/2130706433/x/manifests/v1?ns=0x7f.1",
    ] {
        let reply = service.get(path).await;
        assert!(matches!(reply.status, 400 | 403), "{path}: {} {}", reply.status, reply.text());
        assert!(matches!(&*error(&reply).0, "DENIED" | "NAME_INVALID"), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn probes_answer_in_a_word() {
    let place = Place::new().await;
    let service = place.start().await;
    for (path, body) in [("/livez", "ok\n"), ("/readyz", "ok\n")] {
        let reply = service.get(path).await;
        assert_eq!((reply.status, reply.text()), (200, body));
        assert_eq!(service.head(path).await.status, 200);
    }
    place.push("team/app", "v1");
    place.registry.quirk(Quirk::Header("RateLimit-Remaining".to_owned(), "99;w=21600".to_owned()));
    service.pull("team/app", "v1").await;
    let metrics = service.get("/metrics").await;
    assert_eq!(
        metrics.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    for line in [
        "tlog_requests_total{upstream=\"corp.alt\",kind=\"tag\",outcome=\"first_seen\"} 1",
        "tlog_upstream_requests_total{upstream=\"corp.alt\",kind=\"manifest\",code=\"ok\"} 1",
        "tlog_tag_first_seen_total 1",
        "tlog_log_size 4",
        "tlog_upstream_ratelimit_remaining{upstream=\"corp.alt\"} 99",
    ] {
        assert!(metrics.text().lines().any(|found| found == line), "{line}\n{}", metrics.text());
    }
}

#[tokio::test]
async fn no_client_can_make_up_a_label_of_a_metric() {
    let place = Place::new().await;
    let service = place.start().await;
    for number in 0..20 {
        service.get(&format!("/v2/evil{number}.alt/x/manifests/v1")).await;
        service.get(&format!("/nothing/{number}")).await;
    }
    let metrics = service.get("/metrics").await;
    assert!(!metrics.text().contains("evil"), "{}", metrics.text());
    assert!(metrics.text().contains("upstream=\"other\""));
}
