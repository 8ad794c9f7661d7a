//! `registries.conf` and its drop-ins: podman, skopeo, buildah, CRI-O (containers-registries.conf(5)).

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::files::Root;
use super::findings::Findings;
use super::us::Us;

const MAIN: &str = "/etc/containers/registries.conf";
const DROP_INS: &str = "/etc/containers/registries.conf.d";
const FIX: &str = "`tlogistry config client podman` prints a closed one";

/// A `[[registry]]` and the file that it is in; of two with one prefix the later file's counts.
struct Registry {
    path: String,
    prefix: String,
    location: String,
    mirrors: Vec<String>,
    is_blocked: bool,
    is_insecure: bool,
}

/// Whether there is anything of it.
pub(super) fn check(us: &Us, root: &Root, findings: &mut Findings) -> bool {
    let mut found = system(us, root, findings);
    let home = std::env::var("HOME").unwrap_or_default();
    if root.is_machine() && home.starts_with('/') {
        let path = format!("{home}/.config/containers/registries.conf");
        if let Some(text) = root.read(&path, findings) {
            found = true;
            findings.warn(
                &path,
                "takes the place of /etc/containers/registries.conf for this user",
                "remove it, or keep it closed as well",
            );
            let mut registries = BTreeMap::new();
            read(&path, &text, &mut registries, findings);
            judge(us, &registries, findings);
        }
    }
    found
}

fn system(us: &Us, root: &Root, findings: &mut Findings) -> bool {
    let drop_ins = root.list(DROP_INS).into_iter().filter(|name| name.ends_with(".conf"));
    let paths: Vec<String> =
        [MAIN.to_owned()].into_iter().chain(drop_ins.map(|name| format!("{DROP_INS}/{name}"))).collect();
    let mut registries = BTreeMap::new();
    let mut found = false;
    for path in &paths {
        if let Some(text) = root.read(path, findings) {
            found = true;
            read(path, &text, &mut registries, findings);
        }
    }
    judge(us, &registries, findings);
    found
}

fn read(path: &str, text: &str, registries: &mut BTreeMap<String, Registry>, findings: &mut Findings) {
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            let message = format!("is not TOML: {}; the tools stop with an error", error.message());
            findings.fail(path, message, "correct it");
            return;
        }
    };
    if table.contains_key("registries") {
        findings.fail(path, "is of version 1, which has no `location`; the two versions do not mix", FIX);
    }
    let entries = match table.get("registry") {
        None => return,
        Some(Value::Array(entries)) => entries,
        Some(_) => {
            findings.fail(
                path,
                "`registry` is no list of tables; the tools stop with an error",
                "write `[[registry]]`",
            );
            return;
        }
    };
    for entry in entries {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is = |key: &str| entry.get(key).and_then(Value::as_bool).unwrap_or(false);
        let location = text("location");
        let prefix =
            Some(text("prefix")).filter(|prefix| !prefix.is_empty()).unwrap_or_else(|| location.clone());
        let mirrors = entry.get("mirror").and_then(Value::as_array).into_iter().flatten();
        let mirrors =
            mirrors.filter_map(|mirror| mirror.get("location").and_then(Value::as_str)).map(str::to_owned);
        let registry = Registry {
            path: path.to_owned(),
            prefix: prefix.clone(),
            location,
            mirrors: mirrors.collect(),
            is_blocked: is("blocked"),
            is_insecure: is("insecure"),
        };
        registries.insert(prefix, registry);
    }
}

fn judge(us: &Us, registries: &BTreeMap<String, Registry>, findings: &mut Findings) {
    for registry in registries.values() {
        let Registry { path, prefix, location, mirrors, is_blocked, is_insecure } = registry;
        let is_ours = us.is(location);
        let has_our_mirror = mirrors.iter().any(|mirror| us.is(mirror));
        if *is_blocked || us.is(prefix) || !(is_ours || has_our_mirror) {
            check_detour(us, registry, registries, findings);
            continue;
        }
        let before = findings.problems();
        if !is_ours {
            findings.fail(
                path,
                format!("FAIL-OPEN: `[[registry.mirror]]` of `{prefix}`: after a refusal by the mirror the registry itself is asked"),
                format!("write `location = \"{}/{prefix}\"` in `[[registry]]`, and no mirror; {FIX}", us.authority()),
            );
        } else if let Some(mirror) = mirrors.iter().find(|mirror| !us.is(mirror)) {
            findings.fail(
                path,
                format!("FAIL-OPEN: `{mirror}` is asked for images of `{prefix}` before the service"),
                "remove the mirror",
            );
        }
        check_path(us, registry, is_ours, findings);
        if *is_insecure && us.is_exposed() {
            findings.warn(
                path,
                format!("`insecure` for `{prefix}`: whoever sits between can answer in the service's place"),
                "give the service a certificate, and its CA as /etc/containers/certs.d/HOST/ca.crt",
            );
        }
        findings.ok_unless_more(before, path, &format!("`{prefix}` is fail-closed"));
    }
}

/// The service takes the first component for the registry, and names without one for Docker Hub's.
fn check_path(us: &Us, registry: &Registry, is_ours: bool, findings: &mut Findings) {
    let Registry { path, prefix, location, .. } = registry;
    if !is_ours || prefix.starts_with('*') {
        return;
    }
    let rest = location.split_once('/').map_or("", |(_, rest)| rest);
    if rest != prefix && !(rest.is_empty() && prefix == "docker.io") {
        findings.fail(
            path,
            format!("`{location}` is not where the service has the images of `{prefix}`"),
            format!("write `location = \"{}/{prefix}\"`", us.authority()),
        );
    }
}

/// A longer prefix than one that leads here, leading elsewhere.
fn check_detour(
    us: &Us,
    registry: &Registry,
    registries: &BTreeMap<String, Registry>,
    findings: &mut Findings,
) {
    let Registry { path, prefix, location, is_blocked, .. } = registry;
    let around = registries.values().find(|other| {
        us.is(&other.location)
            && prefix.strip_prefix(other.prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
    });
    if let Some(around) = around
        && !is_blocked
    {
        findings.fail(
            path,
            format!(
                "FAIL-OPEN: `{prefix}` is pulled from `{location}`, past the `location` of `{}`",
                around.prefix
            ),
            "remove it, or lead it to the service as well",
        );
    }
}
