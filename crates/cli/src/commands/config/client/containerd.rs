//! `hosts.toml` of containerd and of Docker Engine with the containerd store.

use super::setup::{File, Service, Setup, Unsuited, commented, quoted};
use crate::values::Registry;

const WHY_BOTH: [&str; 4] = [
    "Fail-closed: a tag that tlogistry refuses is pulled from nowhere else. `server` and the `[host]` table are both",
    "needed: without `server` the registry itself is asked next, and without the table containerd 1.x cannot read the",
    "file and asks the registry itself. `resolve` is what sends tags here. Add no second host: it is asked after a",
    "refusal.",
];

/// For `ctr --hosts-dir`, nerdctl and CRI.
pub(super) fn containerd(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    let files = hosts(
        service,
        registries,
        "/etc/containerd/certs.d",
        &[
            "CRI reads it where /etc/containerd/config.toml says so, which is said once and needs a restart:",
            "  containerd 2.x (version = 3):  [plugins.\"io.containerd.cri.v1.images\".registry]",
            "  containerd 1.x (version = 2):  [plugins.\"io.containerd.grpc.v1.cri\".registry]",
            "                                 config_path = \"/etc/containerd/certs.d\"",
        ],
    );
    let notes = vec![
        "CRI reads these files only where `config_path` in /etc/containerd/config.toml names their directory; `ctr` \
         only with `--hosts-dir`; `tlogistry doctor` checks it"
            .to_owned(),
        listed_only(registries),
    ];
    Ok(Setup::closed(files, notes))
}

/// For Docker Engine 28 and newer with the containerd store.
pub(super) fn docker(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    let files = hosts(
        service,
        registries,
        "/etc/docker/certs.d",
        &[
            "Docker Engine 28 and newer reads it, and only with the containerd store (the default of new installations",
            "from 29 on; before, `\"features\": {\"containerd-snapshotter\": true}` in /etc/docker/daemon.json).",
            "No `registry-mirrors` beside it.",
        ],
    );
    let notes = vec![
        "only Docker Engine 28 and newer with the containerd store reads these files (`docker info` says `driver-type: \
         io.containerd.snapshotter.v1`); any other ignores them and pulls from the registry itself: use `docker-classic` \
         there, or names of the service"
            .to_owned(),
        "a push to these registries goes to the service as well, which refuses it".to_owned(),
        listed_only(registries),
    ];
    Ok(Setup::closed(files, notes))
}

fn hosts(service: &Service<'_>, registries: &[Registry], directory: &str, comments: &[&str]) -> Vec<File> {
    let url = quoted(service.url());
    let ca = service.ca.map(|ca| format!("ca = {}\n", quoted(ca))).unwrap_or_default();
    let body = format!("server = {url}\n{ca}\n[host.{url}]\ncapabilities = [\"pull\", \"resolve\"]\n{ca}");
    let comments: Vec<_> = WHY_BOTH.iter().chain(comments).copied().collect();
    let file = |registry: &Registry| {
        commented(format!("{directory}/{}/hosts.toml", directory_name(registry)), &comments, &body)
    };
    registries.iter().map(file).collect()
}

/// A port is between underscores; `_default` is for all that have no directory.
fn directory_name(registry: &Registry) -> String {
    match registry.as_str().split_once(':') {
        _ if registry.is_all() => "_default".to_owned(),
        Some((host, port)) => format!("{host}_{port}_"),
        None => registry.as_str().to_owned(),
    }
}

/// What is not listed goes its own way.
pub(super) fn listed_only(registries: &[Registry]) -> String {
    if registries.iter().any(Registry::is_all) {
        "every registry is pulled through the service; one that has an entry of its own follows that instead"
            .to_owned()
    } else {
        let names: Vec<_> = registries.iter().map(Registry::as_str).collect();
        format!(
            "only images of {} are pulled through the service; any other registry is asked itself",
            names.join(", ")
        )
    }
}
