//! A place whose service logs in public, and everything of Sigstore beside it.
//! Knows the service only from outside.

use server::config::{Config, Flags};
use testkit::sigstore::Sigstore;

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
