//! Docker Engine: `daemon.json`, and every `hosts.toml`, which only the containerd store reads.

use serde_json::Value;

use super::files::Root;
use super::findings::Findings;
use super::hosts::{self, Engine};
use super::us::Us;

const DAEMON: &str = "/etc/docker/daemon.json";
const CERTS: &str = "/etc/docker/certs.d";
const ENGINE: Engine = Engine { name: "Docker", client: "docker" };

/// Whether there is anything of it.
pub(super) fn check(us: &Us, root: &Root, findings: &mut Findings) -> bool {
    let text = root.read(DAEMON, findings);
    let daemon = match text.as_deref().map(serde_json::from_str::<Value>) {
        Some(Ok(daemon)) => daemon,
        Some(Err(error)) => {
            findings.fail(
                DAEMON,
                format!("is not JSON: {error}; Docker does not start with it"),
                "correct it",
            );
            Value::Null
        }
        None => Value::Null,
    };
    let mut found = text.is_some();
    let mut leading = false;
    for name in root.list(CERTS) {
        let path = format!("{CERTS}/{name}/hosts.toml");
        let Some(text) = root.read(&path, findings) else { continue };
        found = true;
        leading |= hosts::check(us, ENGINE, &path, &name, &text, findings);
    }
    let before = findings.problems();
    check_mirrors(us, &daemon, findings);
    if leading {
        check_store(&daemon, findings);
    }
    if text.is_some() && !daemon.is_null() {
        findings.ok_unless_more(before, DAEMON, "no mirror in it falls back");
    }
    found
}

fn check_mirrors(us: &Us, daemon: &Value, findings: &mut Findings) {
    let strings = |key: &str| -> Vec<&str> {
        daemon.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    };
    if strings("registry-mirrors").into_iter().any(|mirror| us.is(mirror)) {
        findings.fail(
            DAEMON,
            "FAIL-OPEN: after a refusal by `registry-mirrors` Docker pulls from Docker Hub itself, and has no setting \
             against that; no other registry has mirrors",
            "use the containerd store of Docker 28 or newer with `tlogistry config client docker`; or block egress to \
             registry-1.docker.io; or pull by the service's name",
        );
    }
    if us.is_exposed() && strings("insecure-registries").into_iter().any(|registry| us.is(registry)) {
        findings.warn(
            DAEMON,
            "`insecure-registries` names the service: whoever sits between can answer in its place",
            "give the service a certificate, and its CA as /etc/docker/certs.d/HOST/ca.crt",
        );
    }
}

fn check_store(daemon: &Value, findings: &mut Findings) {
    let hint = "Docker 28 or newer with `\"features\": {\"containerd-snapshotter\": true}`; `docker info` then says \
                `driver-type: io.containerd.snapshotter.v1`";
    match daemon.pointer("/features/containerd-snapshotter").and_then(Value::as_bool) {
        Some(true) => {}
        Some(false) => findings.fail(
            DAEMON,
            "FAIL-OPEN: `containerd-snapshotter` is false: Docker ignores every `hosts.toml` below /etc/docker/certs.d",
            hint,
        ),
        None => findings.warn(
            DAEMON,
            "does not turn on the containerd store, without which Docker ignores every `hosts.toml` below \
             /etc/docker/certs.d; it is the default of new installations from 29 on",
            hint,
        ),
    }
}
