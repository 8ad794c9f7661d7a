//! A service without a disk whose identity was renamed: what it recorded before is not forgotten.

use server::config::{Config, Flags};
use testkit::sigstore::{IDENTITY, ISSUER, Sigstore};

use crate::place::Place;

fn config(place: &Place, services: &Sigstore) -> Config {
    let path = |name: &str| services.path(name).display().to_string();
    let text = format!(
        "listen = \"127.0.0.1:0\"\npublic_url = \"https://tlog.example\"\ndata_dir = \"ephemeral\"\n\
         [limits]\nmin_free = 0\n[upstreams.\"corp.alt\"]\nurl = \"{}\"\n\
         [sigstore]\nmode = \"per-tag\"\nstore_attestation = true\ntoken_file = \"{}\"\ntrusted_root = \"{}\"\n\
         signing_config = \"{}\"\nformer = [{{ identity = \"{IDENTITY}\", issuer = \"{ISSUER}\" }}]\n",
        place.registry.url(),
        path("token"),
        path("trusted_root.json"),
        path("signing_config.1.json"),
    );
    let path = place.directory.path().join("renamed.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(Flags { config: Some(path), ..Flags::default() }, &|_| None).unwrap()
}

#[tokio::test]
async fn a_service_whose_identity_was_renamed_does_not_record_its_tags_anew() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let service = place.start_with(config(&place, &services), place.surroundings()).await;
    place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    service.stop().await;
    place.push("team/app", "v1");
    services.identity("renamed@example.test");
    let service = place.start_with(config(&place, &services), place.surroundings()).await;
    let reply = service.pull("team/app", "v1").await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    service.stop().await;
}
