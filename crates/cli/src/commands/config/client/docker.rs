//! `daemon.json` of Docker Engine with its own image store.

use super::setup::{Closing, File, Service, Setup, Unsuited, egress};
use crate::values::Registry;

/// Mirrors for Docker Hub, and nothing closes them.
pub(super) fn classic(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    let hub: Vec<Registry> =
        registries.iter().filter(|registry| registry.as_str() == "docker.io").cloned().collect();
    if hub.is_empty() {
        return Err(Unsuited::DockerHubOnly);
    }
    let mut daemon = serde_json::json!({ "registry-mirrors": [service.url()] });
    let mut notes = vec![
        "only docker.io has mirrors; images of every other registry are pulled from it directly".to_owned(),
        "the file is /etc/docker/daemon.json, to be merged with what is there; JSON has no comments"
            .to_owned(),
        format!(
            "fail-closed is a name of the service: `docker pull {}/docker.io/library/alpine:3.20`",
            service.authority()
        ),
    ];
    if service.is_plain_http()
        && let Some(table) = daemon.as_object_mut()
    {
        table.insert("insecure-registries".to_owned(), serde_json::json!([service.authority()]));
    }
    if let Some(ca) = service.ca {
        notes.push(format!("copy `{ca}` to /etc/docker/certs.d/{}/ca.crt", service.authority()));
    }
    let content = format!("{daemon:#}\n");
    Ok(Setup {
        files: vec![File { path: "/etc/docker/daemon.json".to_owned(), content }],
        closing: Closing::Open {
            why: "when tlogistry refuses a tag, this Docker pulls it from Docker Hub itself; it has no setting against that",
            remedy: egress(&hub),
        },
        notes,
    })
}
