//! The pages as a browser gets them.

use crate::place::Place;

#[tokio::test]
async fn the_home_page_says_how_to_pull_from_this_host() {
    let place = Place::new().await;
    let service = place.start().await;
    let page = service.request("GET", "/").header("Host", "tlog.example").send().await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("docker pull tlog.example/"), "{}", page.text());
    assert!(page.text().contains(&service.ledger.verifier_key().to_string()));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn a_lookup_leads_to_the_page_of_the_tag() {
    let place = Place::new().await;
    let service = place.start().await;
    let reply = service.get("/lookup?reference=alpine%3A3.20").await;
    assert_eq!(reply.status, 303);
    assert!(reply.header("location").unwrap().starts_with("/t/"), "{reply:?}");
    let page = service.get(reply.header("location").unwrap()).await;
    assert!(page.status == 200 && page.text().contains("never recorded"), "{}", page.text());
    assert_eq!(service.get("/lookup?reference=%3Cscript%3E").await.status, 400);
    let own = service.request("GET", "/lookup?reference=docker+pull+tlog.example%2Fghcr.io%2Forg%2Fapp%3Av1");
    let own = own.header("Host", "tlog.example").send().await;
    assert_eq!(own.header("location"), reply_to(&service, "ghcr.io/org/app:v1").await.as_deref());
}

#[tokio::test]
async fn the_page_of_a_moved_tag_shows_both_digests_and_its_history_and_records_nothing() {
    let place = Place::new().await;
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let new = place.push("team/app", "v1");
    let size = service.size();
    let page = service.get("/t/corp.alt/team/app:v1").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains(&old.digest) && page.text().contains(&new.digest), "{}", page.text());
    assert_eq!(service.size(), size);
}

#[tokio::test]
async fn a_page_of_a_tag_that_was_never_recorded_asks_no_upstream() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    assert_eq!(service.get("/t/corp.alt/team/app:v1").await.status, 200);
    assert_eq!(place.registry.total(), 0);
}

#[tokio::test]
async fn hostile_names_are_text_on_a_page() {
    let place = Place::new().await;
    let service = place.start().await;
    for path in [
        "/t/<script>alert(1)</script>:v1",
        "/%3Cscript%3E",
        "/t/a:%22onload=",
        "/lookup?reference=%3Cimg%20src=x%3E",
    ] {
        let raw = format!("GET {path} HTTP/1.1\r\nHost: \"><script>x</script>\r\nConnection: close\r\n\r\n");
        let answer = testkit::wire::send_raw(service.address, raw.as_bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        for hostile in ["<script>alert", "<script>x", "<img src"] {
            assert!(!answer.contains(hostile), "{path}: {answer}");
        }
    }
}

async fn reply_to(service: &crate::place::Running, reference: &str) -> Option<String> {
    let reply = service.get(&format!("/lookup?reference={reference}")).await;
    reply.header("location").map(str::to_owned)
}

#[tokio::test]
async fn assets_are_served_with_their_types() {
    let place = Place::new().await;
    let service = place.start().await;
    for (path, content_type) in [
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/script.js", "text/javascript; charset=utf-8"),
        ("/assets/proof.js", "text/javascript; charset=utf-8"),
    ] {
        let reply = service.get(path).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(content_type)), "{path}");
        assert!(!reply.body.is_empty());
    }
}
