//! Who may ask, how often, for which registries, and on whose word.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use server::Surroundings;
use testkit::wire::Reply;

use crate::place::{Place, Running, error};

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// With the user `ci` and the token `tok-123`.
async fn closed() -> Place {
    let place = Place::new().await;
    let file = |name: &str, content: String| {
        let path = place.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let users = file("users", users("hunter2"));
    let tokens = file("tokens", format!("deploy:{}\n", testkit::sha256_digest(b"tok-123")));
    place.tables(&format!("[auth]\nusers_file = \"{users}\"\ntokens_file = \"{tokens}\""))
}

fn users(password: &str) -> String {
    format!("ci:{}\n", bcrypt::hash(password, 4).unwrap())
}

async fn shown(service: &Running, path: &str, authorization: &str) -> Reply {
    service.request("GET", path).header("Authorization", authorization).send().await
}

#[tokio::test]
async fn docker_login_is_asked_for_a_password_and_let_in_with_the_right_one() {
    let place = closed().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let asked = service.get("/v2/").await;
    assert_eq!(asked.status, 401);
    assert_eq!(asked.header("www-authenticate"), Some("Basic realm=\"tlogistry\""));
    assert_eq!(asked.header("docker-distribution-api-version"), Some("registry/2.0"));
    assert_eq!(error(&asked).0, "UNAUTHORIZED");
    let wrong = shown(&service, "/v2/", &basic("ci", "hunter")).await;
    assert_eq!(wrong.status, 401);
    assert!(error(&wrong).1.contains("wrong"), "{}", error(&wrong).1);
    assert_eq!(shown(&service, "/v2/", &basic("ci", "hunter2")).await.status, 200);
    let path = "/v2/corp.alt/team/app/manifests/v1";
    assert_eq!(service.get(path).await.status, 401);
    assert_eq!(place.registry.total(), 0, "nobody unknown has anything asked of an upstream");
    for authorization in [basic("ci", "hunter2"), basic("deploy", "tok-123"), "Bearer tok-123".to_owned()] {
        let reply = shown(&service, path, &authorization).await;
        assert_eq!((reply.status, &reply.body), (200, &image.manifest), "{authorization}");
    }
}

#[tokio::test]
async fn where_a_login_is_needed_the_log_is_for_those_who_are_known_and_probes_are_for_all() {
    let place = closed().await;
    let service = place.start().await;
    for (path, anonymous, known) in [
        ("/livez", 200, 200),
        ("/readyz", 200, 200),
        ("/metrics", 401, 200),
        ("/log/checkpoint", 401, 200),
        ("/proof/corp.alt/team/app:v1", 401, 200),
        ("/", 401, 200),
    ] {
        assert_eq!(service.get(path).await.status, anonymous, "{path}");
        assert_eq!(shown(&service, path, "Bearer tok-123").await.status, known, "{path}");
    }
}

#[tokio::test]
async fn a_public_log_needs_no_login_and_the_registry_does() {
    let place = closed().await.keys("public = true");
    let service = place.start().await;
    assert_eq!(service.get("/log/checkpoint").await.status, 200);
    assert_eq!(service.get("/").await.status, 200);
    assert_eq!(service.get("/v2/").await.status, 401);
}

/// `Cache-Control` and `Access-Control-Allow-Origin` of what those get who know the token.
async fn kept(service: &Running, path: &str) -> (String, Option<String>) {
    let reply = shown(service, path, "Bearer tok-123").await;
    assert_eq!(reply.status, 200, "{path}");
    let origin = reply.header("access-control-allow-origin").map(str::to_owned);
    (reply.header("cache-control").unwrap_or_default().to_owned(), origin)
}

#[tokio::test]
async fn no_cache_in_front_may_give_strangers_what_needed_a_login_and_no_script_elsewhere_reads_it() {
    let place = closed().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let blob = testkit::sha256_digest(&image.blobs[0]);
    let (name, immutable, checked) =
        ("corp.alt/team/app", "private, max-age=31536000, immutable", "private, no-cache");
    for (path, cache) in [
        ("/v2/".to_owned(), checked),
        (format!("/v2/{name}/manifests/v1"), checked),
        (format!("/v2/{name}/manifests/{}", image.digest), immutable),
        (format!("/v2/{name}/blobs/{}", image.digest), immutable),
        (format!("/v2/{name}/blobs/{blob}"), immutable),
        (format!("/v2/{name}/tags/list"), checked),
        (format!("/v2/{name}/referrers/{}", image.digest), checked),
        (format!("/v2/{name}/_oci/tag-history/v1"), checked),
        ("/log/checkpoint".to_owned(), checked),
        ("/log/tile/0/000.p/1".to_owned(), immutable),
        ("/log/tile/entries/000.p/1".to_owned(), immutable),
        ("/log/vkey".to_owned(), checked),
        (format!("/log/tags/{name}"), checked),
        (format!("/proof/{name}:v1"), checked),
        (format!("/api/v1/tags/{name}"), checked),
        ("/assets/script.js".to_owned(), "private, max-age=300"),
        ("/".to_owned(), "no-store"),
        ("/metrics".to_owned(), "no-store"),
    ] {
        assert_eq!(kept(&service, &path).await, (cache.to_owned(), None), "{path}");
    }
}

#[tokio::test]
async fn a_public_log_is_kept_by_all_also_where_pulls_need_a_login() {
    let place = closed().await.keys("public = true");
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let immutable = |scope: &str| format!("{scope}, max-age=31536000, immutable");
    let manifest = format!("/v2/corp.alt/team/app/manifests/{}", image.digest);
    assert_eq!(kept(&service, &manifest).await, (immutable("private"), None));
    let tile = "/log/tile/0/000.p/1";
    assert_eq!(kept(&service, tile).await, (immutable("public"), Some("*".to_owned())));
}

#[tokio::test]
async fn where_something_in_front_of_us_knows_who_may_pull_no_cache_gives_it_to_others() {
    let place = Place::new().await.keys("public = false");
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let reply = service.pull("team/app", &image.digest).await;
    assert_eq!(reply.header("cache-control"), Some("private, max-age=31536000, immutable"));
}

#[tokio::test]
async fn who_guesses_passwords_has_to_wait() {
    let place = closed().await;
    let service = place.start().await;
    for _ in 0..10 {
        assert_eq!(shown(&service, "/v2/", "Bearer guess").await.status, 401);
    }
    let reply = shown(&service, "/v2/", "Bearer guess").await;
    assert_eq!(reply.status, 429);
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(shown(&service, "/v2/", "Bearer tok-123").await.status, 200, "who knows is not held up");
}

#[tokio::test]
async fn new_passwords_count_without_a_restart() {
    let place = closed().await;
    let surroundings = Surroundings { reload_interval: Duration::from_millis(5), ..place.surroundings() };
    let service = place.start_in(surroundings).await;
    assert_eq!(shown(&service, "/v2/", &basic("ci", "hunter2")).await.status, 200);
    std::fs::write(place.directory.path().join("users"), users("correct horse")).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while shown(&service, "/metrics", "Bearer tok-123")
        .await
        .text()
        .lines()
        .all(|line| line != "tlog_reloads_total{what=\"accounts\",outcome=\"ok\"} 1")
    {
        assert!(Instant::now() < until, "the file is never read again");
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(&service, "/v2/", &basic("ci", "hunter2")).await.status, 401);
    assert_eq!(shown(&service, "/v2/", &basic("ci", "correct horse")).await.status, 200);
}

#[tokio::test]
async fn requests_beyond_a_clients_rate_are_turned_away_and_other_clients_are_not() {
    let place = Place::new()
        .await
        .keys("trusted_proxies = [\"127.0.0.1\"]")
        .tables("[limits]\nmin_free = 0\nrequests_per_client_per_second = 1\nrequests_per_client_burst = 3");
    let passed = Arc::new(AtomicU64::new(0));
    let (start, seconds) = (Instant::now(), Arc::clone(&passed));
    let instants = upstream::Clock::by(move || start + Duration::from_secs(seconds.load(Ordering::SeqCst)));
    let service = place.start_in(Surroundings { instants, ..place.surroundings() }).await;
    let ask =
        async |client: &str| service.request("GET", "/v2/").header("X-Forwarded-For", client).send().await;
    for status in [200, 200, 200, 429] {
        assert_eq!(ask("192.0.2.1").await.status, status);
    }
    let reply = ask("192.0.2.1, 127.0.0.1").await;
    assert_eq!((reply.status, error(&reply).0.as_str()), (429, "TOOMANYREQUESTS"));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(
        ask("198.51.100.9, 192.0.2.1").await.status,
        429,
        "what a client writes itself is not believed"
    );
    assert_eq!(ask("192.0.2.2").await.status, 200);
    assert_eq!(service.get("/livez").await.status, 200, "probes are always answered");
    passed.store(1, Ordering::SeqCst);
    assert_eq!(ask("192.0.2.1").await.status, 200);
}

#[tokio::test]
async fn who_is_no_trusted_proxy_speaks_for_nobody() {
    let place = Place::new()
        .await
        .tables("[limits]\nmin_free = 0\nrequests_per_client_per_second = 1\nrequests_per_client_burst = 1");
    let start = Instant::now();
    let instants = upstream::Clock::by(move || start);
    let service = place.start_in(Surroundings { instants, ..place.surroundings() }).await;
    for (client, status) in [("192.0.2.1", 200), ("192.0.2.2", 429)] {
        let reply = service.request("GET", "/v2/").header("X-Forwarded-For", client).send().await;
        assert_eq!(reply.status, status);
    }
}

#[tokio::test]
async fn a_registry_that_is_not_listed_is_refused_on_every_way_and_never_asked() {
    let place = Place::new().await.keys("upstreams_mode = \"listed\"\nallow = [\"*.example.com\"]");
    let service = place.start().await;
    place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    let digest = format!("sha256:{}", "a".repeat(64));
    for path in [
        "/v2/ghcr.io/org/app/manifests/v1".to_owned(),
        "/v2/org/app/manifests/v1?ns=ghcr.io".to_owned(),
        "/v2/library/alpine/manifests/3".to_owned(),
        format!("/v2/ghcr.io/org/app/manifests/{digest}"),
        format!("/v2/ghcr.io/org/app/blobs/{digest}"),
        format!("/v2/ghcr.io/org/app/referrers/{digest}"),
        "/v2/ghcr.io/org/app/tags/list".to_owned(),
    ] {
        let reply = service.get(&path).await;
        let (code, message) = error(&reply);
        assert_eq!((reply.status, &*code), (403, "DENIED"), "{path}");
        assert!(message.contains("`allow`"), "{message}");
    }
}
