//! `registries.conf.d` of podman, skopeo, buildah and CRI-O.

use super::containerd::listed_only;
use super::setup::{Service, Setup, Unsuited, commented, named, quoted};
use crate::values::Registry;

const PATH: &str = "/etc/containers/registries.conf.d/50-tlogistry.conf";

/// Podman, skopeo and buildah.
pub(super) fn tools(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    setup(
        service,
        registries,
        "a user's own ~/.config/containers/registries.conf takes the place of these files",
    )
}

/// CRI-O, which has to be told of a change.
pub(super) fn crio(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    setup(service, registries, "CRI-O reads it again on SIGHUP (`systemctl reload crio`)")
}

fn setup(service: &Service<'_>, registries: &[Registry], note: &str) -> Result<Setup, Unsuited> {
    named(registries)?;
    let mut body = String::new();
    for registry in registries {
        body.push_str(&format!(
            "\n[[registry]]\nprefix = {}\nlocation = {}\n",
            quoted(registry.as_str()),
            quoted(&service.prefix(registry))
        ));
        if service.is_plain_http() {
            body.push_str("insecure = true # the service is plain HTTP\n");
        }
    }
    let comments = [
        "Fail-closed: `location` takes the registry's place, so a tag that tlogistry refuses is pulled from nowhere else.",
        "Never as `[[registry.mirror]]`: after a refusal by a mirror the registry itself is asked.",
    ];
    let mut notes = vec![note.to_owned(), listed_only(registries)];
    if let Some(ca) = service.ca {
        notes.push(format!("copy `{ca}` to /etc/containers/certs.d/{}/ca.crt", service.authority()));
    }
    Ok(Setup::closed(vec![commented(PATH, &comments, &body)], notes))
}
