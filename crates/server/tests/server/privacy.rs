//! What is not public, and what credentials do not give away.

use testkit::Auth;

use crate::place::Place;

const CREDENTIALS: &str = "username = \"ci\"\npassword = \"hunter2\"";

#[tokio::test]
async fn with_credentials_log_proofs_and_pages_are_closed_by_default() {
    let place = Place::new().await.tables(CREDENTIALS);
    place.registry.require(Auth::basic("ci", "hunter2"));
    let service = place.start().await;
    place.push("team/private", "v1");
    assert_eq!(service.pull("team/private", "v1").await.status, 200);
    for path in [
        "/",
        "/log/checkpoint",
        "/log/vkey",
        "/log/tile/entries/000.p/4",
        "/proof/corp.alt/team/private:v1",
        "/t/corp.alt/team/private:v1",
        "/lookup?reference=a",
    ] {
        let reply = service.get(path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.text().contains("private:v1"), "{path}");
    }
    for path in ["/livez", "/readyz", "/metrics", "/v2/"] {
        assert_eq!(service.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn names_may_be_published_by_decision() {
    let place = Place::new().await.keys("public = true\npublish_names = true").tables(CREDENTIALS);
    let service = place.start().await;
    assert_eq!(service.get("/log/checkpoint").await.status, 200);
}

#[tokio::test]
async fn a_second_address_for_metrics_takes_them_off_the_first() {
    let place = Place::new().await;
    // A port that is free now; nothing else in this test binds one.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = place.keys(&format!("metrics_listen = \"{free}\""));
    let service = place.start().await;
    assert_eq!(service.get("/metrics").await.status, 404);
    for (path, status) in
        [("/metrics", 200), ("/livez", 200), ("/readyz", 200), ("/v2/", 404), ("/log/checkpoint", 404)]
    {
        assert_eq!(testkit::wire::get(&format!("http://{free}{path}")).await.status, status, "{path}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_refusal_names_no_proof_that_is_closed_to_whoever_is_refused() {
    for (public, named) in [(false, false), (true, true)] {
        let place = Place::new().await.keys(&format!("public = {public}"));
        let service = place.start().await;
        place.push("team/app", "v1");
        service.pull("team/app", "v1").await;
        place.push("team/app", "v1");
        let refused = service.pull("team/app", "v1").await;
        assert_eq!(refused.status, 403);
        assert_eq!(refused.header("tlog-proof").is_some(), named);
        assert_eq!(refused.text().contains("/proof/"), named, "{}", refused.text());
    }
}
