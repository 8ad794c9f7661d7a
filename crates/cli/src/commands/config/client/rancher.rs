//! `registries.yaml` of k3s and RKE2, and the flag without which it is fail-open.

use super::containerd::listed_only;
use super::setup::{Service, Setup, Unsuited, commented, quoted};
use crate::values::Registry;

/// k3s.
pub(super) fn k3s(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    Ok(setup(service, registries, "k3s"))
}

/// RKE2.
pub(super) fn rke2(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    Ok(setup(service, registries, "rke2"))
}

fn setup(service: &Service<'_>, registries: &[Registry], product: &str) -> Setup {
    let url = quoted(service.url());
    let mut body = "mirrors:\n".to_owned();
    for registry in registries {
        body.push_str(&format!("  {}:\n    endpoint:\n      - {url}\n", quoted(registry.as_str())));
    }
    if let Some(ca) = service.ca {
        body.push_str(&format!(
            "configs:\n  {}:\n    tls:\n      ca_file: {}\n",
            quoted(service.authority()),
            quoted(ca)
        ));
    }
    let registries_file = commented(
        format!("/etc/rancher/{product}/registries.yaml"),
        &[
            "FAIL-OPEN by itself: after a refusal the registry itself is asked, unless the node runs with",
            "`disable-default-registry-endpoint`, as the other file says. Name no second endpoint.",
        ],
        &body,
    );
    let flag = commented(
        format!("/etc/rancher/{product}/config.yaml.d/50-tlogistry.yaml"),
        &[
            "Fail-closed: a tag that tlogistry refuses is pulled from nowhere else. On every node, servers and agents;",
            "known from Kubernetes 1.26.13, 1.27.10, 1.28.6 and 1.29.1 on.",
        ],
        "disable-default-registry-endpoint: true\n",
    );
    let notes = vec![
        format!(
            "both files are needed on every node, and a restart of {product}; without the flag it is fail-open"
        ),
        listed_only(registries),
    ];
    Setup::closed(vec![registries_file, flag], notes)
}
