//! A place whose service logs in public, everything of Sigstore beside it, and what may stand between the two.
//! Knows the service only from outside.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request as HttpRequest, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use server::config::{Config, ConfigError, Flags};
use testkit::Image;
use testkit::sigstore::Sigstore;
use testkit::wire::{Reply, Request};

use crate::place::{Place, Running};

/// `[sigstore]` with these services.
pub(crate) fn table(services: &Sigstore, more: &str, version: u32) -> String {
    let path = |name: &str| services.path(name).display().to_string();
    format!(
        "[sigstore]\nmode = \"per-tag\"\ntoken_file = \"{}\"\ntrusted_root = \"{}\"\nsigning_config = \"{}\"\n{more}",
        path("token"),
        path("trusted_root.json"),
        path(&format!("signing_config.{version}.json"))
    )
}

/// A place whose service logs in public, and everything of Sigstore beside it.
pub(crate) async fn public(more: &str, version: u32) -> (Place, Sigstore) {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let tables = table(&services, more, version);
    (place.tables(&tables), services)
}

/// Another instance before the same registry and the same Sigstore, with an empty disk.
pub(crate) async fn elsewhere(place: &Place, name: &str) -> Running {
    let config = std::fs::read_to_string(place.directory.path().join("config.toml")).unwrap();
    let data = place.directory.path().join(name);
    let config = config.replace(&place.data_dir().display().to_string(), &data.display().to_string());
    let path = place.directory.path().join(format!("{name}.toml"));
    std::fs::write(&path, config).unwrap();
    let config = Config::load(Flags { config: Some(path), ..Flags::default() }, &|_| None).unwrap();
    place.start_with(config, place.surroundings()).await
}

/// A service that recorded `v1` in public and then was told to believe others, by whom it has recorded `v2`. They end with
/// the folder.
pub(crate) async fn believes_others() -> (Place, Running, Image, (tempfile::TempDir, Sigstore)) {
    let (mut place, services) = public("", 1).await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    drop(services);
    let other = tempfile::tempdir().unwrap();
    let others = Sigstore::start(other.path(), &place.clock);
    place.tables = table(&others, "", 1);
    // Which is another log of the same name, and an operator has looked at that.
    let _none_yet = std::fs::remove_file(place.data_dir().join("sigstore/heads.json"));
    let service = place.start().await;
    place.push("team/app", "v2");
    assert_eq!(service.pull("team/app", "v2").await.status, 200, "so that it is known who signs");
    (place, service, image, (other, others))
}

/// What a service in between makes of a request: `None` passes it on.
pub(crate) type Hook = dyn Fn(&str, &str, &[u8]) -> Option<(u16, Vec<u8>)> + Send + Sync;

/// A service between ours and the real one; `key` of the signing configuration leads to it from now on.
pub(crate) async fn between(services: &Sigstore, key: &str, hook: Arc<Hook>) {
    rewritten(services, 1, key, hook, Arc::new(|_: &str, body: &[u8]| body.to_vec())).await;
}

/// What it makes of an answer.
pub(crate) type Rewrite = dyn Fn(&str, &[u8]) -> Vec<u8> + Send + Sync;

/// The same, and what it makes of answers.
pub(crate) async fn rewritten(
    services: &Sigstore,
    version: u32,
    key: &str,
    hook: Arc<Hook>,
    rewrite: Arc<Rewrite>,
) {
    let path = services.path(&format!("signing_config.{version}.json"));
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let target = config[key][0]["url"].as_str().unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    config[key][0]["url"] = format!("http://{}", listener.local_addr().unwrap()).into();
    std::fs::write(&path, config.to_string()).unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (hook, target, rewrite) = (Arc::clone(&hook), target.clone(), Arc::clone(&rewrite));
            let service = service_fn(move |request: HttpRequest<Incoming>| {
                let (hook, target, rewrite) = (Arc::clone(&hook), target.clone(), Arc::clone(&rewrite));
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    let path = parts.uri.path().to_owned();
                    if let Some((status, body)) = hook(parts.method.as_str(), &path, &body) {
                        let mut answer = Response::new(Full::new(Bytes::from(body)));
                        *answer.status_mut() = status.try_into().unwrap();
                        return Ok::<_, hyper::Error>(answer);
                    }
                    let asked = parts.uri.path_and_query().map_or(&*path, |asked| asked.as_str());
                    let request = Request::new(parts.method.as_str(), &format!("{target}{asked}")).body(body);
                    let reply = request.send().await;
                    let mut answer = Response::new(Full::new(Bytes::from(rewrite(&path, &reply.body))));
                    *answer.status_mut() = reply.status.try_into().unwrap();
                    for name in ["location", "x-log-index"] {
                        if let Some(value) = reply.headers.get(name) {
                            answer.headers_mut().insert(name, value.clone());
                        }
                    }
                    Ok(answer)
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
}

/// Status and the beginning of the body.
pub(crate) fn said(reply: &Reply) -> String {
    format!("{} {}", reply.status, reply.text().chars().take(400).collect::<String>())
}

/// A service without a disk.
pub(crate) fn ephemeral(place: &Place, services: &Sigstore, version: u32) -> Result<Config, ConfigError> {
    let path = place.directory.path().join("ephemeral.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\npublic_url = \"https://tlog.example\"\ndata_dir = \"ephemeral\"\nrecheck_timeout = \"1h\"\n\
         [upstreams.\"corp.alt\"]\nurl = \"{}\"\n{}",
        place.registry.url(),
        table(services, "store_attestation = true", version)
    );
    std::fs::write(&path, text).unwrap();
    Config::load(Flags { config: Some(path), ..Flags::default() }, &|_| None)
}
