//! BuildKit, which cannot be closed, and kaniko, which can.

use super::containerd::listed_only;
use super::setup::{Closing, Service, Setup, Unsuited, commented, egress, named, quoted};
use crate::values::Registry;

/// `buildkitd.toml`: a mirror, after which the registry itself is always asked.
pub(super) fn buildkit(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    named(registries)?;
    let remedy = egress(registries);
    let mut body = String::new();
    for registry in registries {
        body.push_str(&format!(
            "\n[registry.{}]\nmirrors = [{}]\n",
            quoted(registry.as_str()),
            quoted(&service.prefix(registry))
        ));
    }
    let ca = service.ca.map(|ca| format!("ca = [{}]\n", quoted(ca))).unwrap_or_default();
    let http = if service.is_plain_http() { "http = true\n" } else { "" };
    if !ca.is_empty() || !http.is_empty() {
        body.push_str(&format!("\n[registry.{}]\n{ca}{http}", quoted(service.authority())));
    }
    let file = commented(
        "/etc/buildkit/buildkitd.toml",
        &[
            "FAIL-OPEN: after a refusal BuildKit asks the registry itself, and has no setting against that.",
            &remedy,
        ],
        &body,
    );
    let from = format!(
        "in a Dockerfile: `FROM {}/docker.io/library/alpine:3.20` is fail-closed without any file",
        service.authority()
    );
    Ok(Setup {
        files: vec![file],
        closing: Closing::Open {
            why: "when tlogistry refuses a tag, BuildKit pulls it from the registry itself; it has no setting against that",
            remedy,
        },
        notes: vec![from, listed_only(registries)],
    })
}

/// Arguments of the executor.
pub(super) fn kaniko(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    named(registries)?;
    let mut arguments: Vec<String> = registries
        .iter()
        .map(|registry| {
            // kaniko names Docker Hub as the log does.
            let name = if registry.as_str() == "docker.io" { "index.docker.io" } else { registry.as_str() };
            format!("--registry-map={name}={}", service.prefix(registry))
        })
        .collect();
    arguments.push("--skip-default-registry-fallback".to_owned());
    if service.is_plain_http() {
        arguments.push(format!("--insecure-registry={}", service.authority()));
    }
    if let Some(ca) = service.ca {
        arguments.push(format!("--registry-certificate={}={ca}", service.authority()));
    }
    let mut body = "args:\n".to_owned();
    for argument in &arguments {
        body.push_str(&format!("  - {}\n", quoted(argument)));
    }
    let file = commented(
        "tlogistry-kaniko.yaml",
        &[
            "Arguments of the executor, to be added to the container's own.",
            "Fail-closed by `--skip-default-registry-fallback`, known from 1.13 on; maps with a path from 1.23 on.",
        ],
        &body,
    );
    Ok(Setup::closed(vec![file], vec![listed_only(registries)]))
}
