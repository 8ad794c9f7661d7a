//! Attempts to make the service ask what only it can reach: by path, `ns`, name, redirect and token service.
//!
//! Each row is refused, and nothing inside is ever connected to.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::{Answer, FakeRegistry, Quirk};
use upstream::Lookup;

use crate::place::{Place, Running, error};

/// A service whose names all lead to what `lookup` says, and something inside that must never be asked.
struct Scene {
    place: Place,
    service: Running,
    inside: FakeRegistry,
    lookups: Arc<AtomicUsize>,
}

impl Scene {
    async fn new(lookup: impl Fn(&str, usize) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        let place = Place::new().await;
        let lookups = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lookups);
        let lookup =
            Lookup::Fixed(Arc::new(move |name| lookup(name, counted.fetch_add(1, Ordering::SeqCst))));
        let service = place.start_with_lookup(lookup).await;
        Self { place, service, inside: FakeRegistry::start().await, lookups }
    }

    async fn without_names() -> Self {
        Self::new(|_, _| vec![IpAddr::from([127, 0, 0, 1])]).await
    }

    fn port(&self) -> u16 {
        self.inside.address().port()
    }

    /// GET and HEAD of the path are refused, in words that tell nothing of the network.
    async fn refuses(&self, path: &str, secrets: &[&str]) {
        for method in ["GET", "HEAD"] {
            let reply = self.service.request(method, path).send().await;
            assert!(matches!(reply.status, 400 | 403 | 404), "{path}: {} {}", reply.status, reply.text());
            if method == "GET" {
                let (code, message) = error(&reply);
                assert!(
                    matches!(&*code, "DENIED" | "NAME_INVALID" | "TAG_INVALID" | "UNSUPPORTED"),
                    "{path}: {code}"
                );
                assert!(secrets.iter().all(|secret| !message.contains(secret)), "{path}: {message}");
            }
        }
        assert_eq!(self.inside.total(), 0, "{path}");
    }
}

#[tokio::test]
async fn no_spelling_of_a_host_in_the_path_reaches_inside_or_is_even_looked_up() {
    let scene = Scene::without_names().await;
    let port = scene.port();
    let mut hosts: Vec<String> = [
        // IPv4, in every notation that some parser takes.
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "2130706433.alt",
        "0x7f000001.",
        "0x7f.0.0.1",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001.",
        "127.0.0.1.",
        "127.000.000.001",
        // IPv6: a path holds no brackets or colons.
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25lo]",
        "[fd00:ec2::254]",
        "::1",
        // Names that no public registry has.
        "localhost",
        "localhost.",
        "sub.localhost",
        "localhost.localdomain",
        "metadata.google.internal",
        "printer.local",
        "x.internal",
        "x.lan",
        "x.home.arpa",
        "x.onion",
        "x.test",
        "x.example.alt",
        "1.0.0.127.in-addr.arpa",
        // Ourselves.
        "tlog.example",
        "TLOG.EXAMPLE",
        "tlog.example.",
        "tlog.example:443",
        // Not the port of a registry.
        "ghcr.io:80",
        "ghcr.io:8443",
        "ghcr.io:22",
        // User names and escapes. Letters that look like others are refused as bytes: `edge`.
        "user@127.0.0.1",
        "user:password@ghcr.io",
        "ghcr.io@127.0.0.1",
        "%31%32%37.0.0.1",
        "127%2e0.0.1",
        "ghcr.io%00.example",
    ]
    .map(str::to_owned)
    .into();
    hosts.extend([format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")]);
    assert!(hosts.len() >= 50, "{}", hosts.len());
    for host in &hosts {
        scene.refuses(&format!("/v2/{host}/x/manifests/v1"), &[]).await;
        assert_eq!(scene.lookups.load(Ordering::SeqCst), 0, "{host}");
    }
}

#[tokio::test]
async fn no_spelling_of_a_host_in_ns_reaches_inside_or_is_even_looked_up() {
    let scene = Scene::without_names().await;
    let port = scene.port();
    for ns in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "%5B::1%5D",
        "[::1]",
        "::1",
        "localhost",
        "localhost:5000",
        "169.254.169.254",
        "metadata.google.internal",
        "tlog.example",
        "Tlog.Example.",
        "tlog.example:443",
        "ghcr.io:8443",
        "ghcr.io:80",
        "user@ghcr.io",
        "ghcr.io@127.0.0.1",
        "ghcr.io/..",
        "http://127.0.0.1",
        "//127.0.0.1",
        "ghcr.io%2f127.0.0.1",
        "%E2%91%A0.1.1.1",
        "127%E3%80%820.0.1",
        "ghcr.io%0d%0aHost:%20127.0.0.1",
        "ghcr.io%00",
        "other.alt",
        "",
        "%",
        "ghcr.io&ns=127.0.0.1",
        "corp.alt&ns=corp.alt",
    ] {
        scene.refuses(&format!("/v2/team/app/manifests/v1?ns={ns}"), &[]).await;
    }
    scene.refuses(&format!("/v2/team/app/manifests/v1?ns=127.0.0.1:{port}"), &[]).await;
    scene.refuses(&format!("/v2/127.0.0.1:{port}/app/manifests/v1?ns=127.0.0.1:{port}"), &[]).await;
    assert_eq!(scene.lookups.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_public_name_that_leads_inside_is_refused_for_every_range() {
    for address in [
        "0.0.0.1",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "2001::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
    ] {
        let parsed: IpAddr = address.parse().unwrap();
        let scene = Scene::new(move |_, _| vec![parsed]).await;
        scene.refuses("/v2/registry.example.com/x/manifests/v1", &[address]).await;
        scene.refuses("/v2/team/app/manifests/v1?ns=registry.example.com", &[address]).await;
    }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_when_it_is_asked_again_is_refused() {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    // No address at first, so that the question is put once more.
    let scene = Scene::new(move |_, before| if before == 0 { Vec::new() } else { vec![loopback] }).await;
    let reply = scene.service.get("/v2/registry.example.com/x/manifests/v1").await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    // A private address beside a public one.
    let both = vec![IpAddr::from([192, 168, 0, 1]), loopback];
    let scene = Scene::new(move |_, _| both.clone()).await;
    scene.refuses("/v2/registry.example.com/x/manifests/v1", &["192.168"]).await;
}

#[tokio::test]
async fn no_redirect_of_a_registry_leads_inside() {
    let mut scene = Scene::without_names().await;
    scene.service.stop().await;
    scene.place = scene.place.keys("blobs = \"stream\"");
    scene.service =
        scene.place.start_with_lookup(Lookup::Fixed(Arc::new(|_| vec![IpAddr::from([127, 0, 0, 1])]))).await;
    let image = scene.place.push("team/app", "v1");
    let port = scene.port();
    for target in [
        format!("http://127.0.0.1:{port}/v2/x/manifests/v1"),
        format!("https://127.0.0.1:{port}/x"),
        format!("//127.0.0.1:{port}/x"),
        format!("http://localhost:{port}/x"),
        format!("http://[::1]:{port}/x"),
        format!("http://[::ffff:127.0.0.1]:{port}/x"),
        format!("http://2130706433:{port}/x"),
        format!("http://0x7f.1:{port}/x"),
        format!("https://user:password@registry.example.com:{port}/x"),
        "https://registry.example.com/x".to_owned(),
        "http://registry.example.com/x".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://metadata.google.internal/computeMetadata/v1/".to_owned(),
        "https://tlog.example/v2/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "gopher://127.0.0.1:25/x".to_owned(),
        "javascript:alert(1)".to_owned(),
        "data:application/json,{}".to_owned(),
        String::new(),
    ] {
        scene.place.registry.clear();
        scene.place.registry.quirk(Quirk::Redirect(307, target.clone()));
        for path in [
            "/v2/corp.alt/team/app/manifests/v1".to_owned(),
            format!("/v2/corp.alt/team/app/manifests/{}", image.digest),
            format!("/v2/corp.alt/team/app/blobs/{}", image.digest),
            "/v2/corp.alt/team/app/tags/list".to_owned(),
            format!("/v2/corp.alt/team/app/referrers/{}", image.digest),
        ] {
            let reply = scene.service.get(&path).await;
            assert!(matches!(reply.status, 403 | 502), "{target} {path}: {} {}", reply.status, reply.text());
            assert_eq!(reply.header("location"), None, "{target} {path}");
        }
        assert_eq!(scene.inside.total(), 0, "{target}");
    }
}

#[tokio::test]
async fn no_token_service_that_a_registry_names_is_asked_inside() {
    let scene = Scene::without_names().await;
    scene.place.push("team/app", "v1");
    let port = scene.port();
    for realm in [
        format!("http://127.0.0.1:{port}/token"),
        format!("https://127.0.0.1:{port}/token"),
        format!("http://localhost:{port}/token"),
        format!("http://[::1]:{port}/token"),
        format!("http://0x7f.1:{port}/token"),
        format!("https://user@127.0.0.1:{port}/token"),
        "https://169.254.169.254/token".to_owned(),
        "http://metadata.google.internal/token".to_owned(),
        "https://registry.example.com/token".to_owned(),
        "https://tlog.example/token".to_owned(),
        "file:///etc/passwd".to_owned(),
        "token".to_owned(),
    ] {
        scene.place.registry.clear();
        let challenge = format!("Bearer realm=\"{realm}\",service=\"x\",scope=\"repository:team/app:pull\"");
        let answer = Answer::status(401).header("WWW-Authenticate", &challenge);
        scene.place.registry.quirk(Quirk::Answer(answer));
        let reply = scene.service.get("/v2/corp.alt/team/app/manifests/v1").await;
        assert!(matches!(reply.status, 403 | 404 | 502), "{realm}: {} {}", reply.status, reply.text());
        assert_eq!(reply.header("www-authenticate"), None, "{realm}");
        assert_eq!(scene.inside.total(), 0, "{realm}");
    }
}
