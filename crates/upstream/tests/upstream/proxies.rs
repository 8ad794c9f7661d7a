//! A proxy that an operator names, and no other.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use oci::{Name, RegistryHost};
use testkit::tls::{ROOT_PEM, TlsFront};
use testkit::{Auth, Kind, Quirk, When};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use upstream::{Client, Credentials, Error, ErrorKind, ProxySettings, Settings, UpstreamSettings};

use crate::support::{PATIENT, at, client_with, get, settings, tag, with_account, with_image};

fn through(url: &str) -> Option<ProxySettings> {
    let credentials = Credentials { username: "proxy-user".to_owned(), password: "proxy-secret".into() };
    Some(ProxySettings { url: url.parse().unwrap(), credentials: Some(credentials) })
}

/// A proxy that leads every `CONNECT` to one address, and remembers the heads of the requests.
async fn tunnel(to: SocketAddr) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && near.read_buf(&mut head).await.unwrap() > 0 {}
                seen.lock().unwrap().push(String::from_utf8(head).unwrap());
                near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut far = TcpStream::connect(to).await.unwrap();
                let _either_end_closes = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (url, heads)
}

#[tokio::test]
async fn plain_http_goes_through_the_proxy_and_only_the_proxy_gets_its_credentials() {
    // Here the fake is the proxy: it answers for whatever host.
    let (proxy, image) = with_image().await;
    proxy.quirk_when(When::any().first(1), Quirk::Redirect(307, "/files/{digest}".to_owned()));
    let upstream = UpstreamSettings { proxy: through(&proxy.url()), ..at("http://registry.invalid:5000") };
    assert_eq!(get(&client_with(upstream)).await.unwrap().bytes, image.manifest);
    for kind in [Kind::Manifest, Kind::File] {
        let request = proxy.last(kind);
        assert_eq!(request.header("host"), Some("registry.invalid:5000"));
        assert_eq!(request.header("proxy-authorization"), Some("Basic cHJveHktdXNlcjpwcm94eS1zZWNyZXQ="));
    }
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_gets_nothing_of_what_is_in_it() {
    let (registry, image) = with_image().await;
    registry.require(Auth::basic("ci", "hunter2"));
    let front = TlsFront::start(registry.address()).await;
    let (proxy, heads) = tunnel(front.address()).await;
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), ROOT_PEM).unwrap();
    let upstream = UpstreamSettings {
        proxy: through(&proxy),
        ca_file: Some(roots.path().to_owned()),
        ..with_account("https://localhost:5000", "ci", "hunter2")
    };
    assert_eq!(get(&client_with(upstream)).await.unwrap().bytes, image.manifest);
    let head = heads.lock().unwrap()[0].to_lowercase();
    assert!(head.starts_with("connect localhost:5000 http/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic chjvehktdxnlcjpwcm94es1zzwnyzxq="), "{head}");
    assert!(!head.contains("\r\nauthorization:") && !head.contains("manifests"), "{head}");
    assert!(registry.last(Kind::Manifest).header("proxy-authorization").is_none());
}

#[tokio::test]
async fn a_public_registry_behind_a_proxy_is_resolved_by_the_proxy() {
    let (registry, _) = with_image().await;
    let (proxy, heads) = tunnel(registry.address()).await;
    let host = RegistryHost::canonicalize("ghcr.io").unwrap();
    let upstream = UpstreamSettings { proxy: through(&proxy), ..UpstreamSettings::default() };
    let upstreams = [(host.clone(), upstream)].into();
    let client = Client::new(Settings { upstreams, timeouts: PATIENT, ..Settings::default() }).unwrap();
    let error = client.manifest(&Name::new(host, "team/app").unwrap(), &tag("v1")).await.unwrap_err();
    // There is no TLS at the other end, and no certificate of that name: that it was asked for is all that counts.
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let heads = heads.lock().unwrap();
    assert!(heads.iter().all(|head| head.starts_with("CONNECT ghcr.io:443 HTTP/1.1\r\n")), "{heads:?}");
    assert_eq!(heads.len(), 2);
}

#[tokio::test]
async fn behind_a_proxy_urls_are_checked_as_ever() {
    for location in
        ["http://169.254.169.254/", "https://10.0.0.1/", "https://ghcr.io:8443/", "http://ghcr.io/"]
    {
        let (proxy, _) = with_image().await;
        proxy.quirk(Quirk::Redirect(307, location.to_owned()));
        let upstream =
            UpstreamSettings { proxy: through(&proxy.url()), ..at("http://registry.invalid:5000") };
        let error = get(&client_with(upstream)).await.unwrap_err();
        assert_eq!((error.kind(), proxy.total()), (ErrorKind::HostRefused, 1), "{location}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_none_is_told_at_start_up() {
    for url in ["ftp://proxy.example", "http://u:proxy-secret@proxy.example"] {
        let upstream = UpstreamSettings { proxy: through(url), ..at("http://registry.invalid:5000") };
        assert!(!format!("{:?}", upstream.proxy.as_ref().unwrap().credentials).contains("proxy-secret"));
        let error = Client::new(settings(upstream)).unwrap_err();
        assert!(matches!(error, Error::Upstream { .. }), "{error:?}");
        assert!(
            error.to_string().contains("its `proxy`") && !error.to_string().contains("secret"),
            "{error}"
        );
    }
}
