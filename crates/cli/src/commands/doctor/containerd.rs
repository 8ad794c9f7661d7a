//! containerd: every `hosts.toml`, and whether CRI reads them.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::files::Root;
use super::findings::Findings;
use super::hosts::{self, Engine};
use super::us::Us;

const CONFIG: &str = "/etc/containerd/config.toml";
const CERTS: &str = "/etc/containerd/certs.d";
const ENGINE: Engine = Engine { name: "containerd", client: "containerd" };
/// Of version 3, and of version 2; each version ignores the other's.
const IMAGES: &str = "io.containerd.cri.v1.images";
const CRI: &str = "io.containerd.grpc.v1.cri";

/// Whether there is anything of it.
pub(super) fn check(us: &Us, root: &Root, findings: &mut Findings) -> bool {
    let config = root.read(CONFIG, findings);
    let table = config.as_deref().map(|text| text.parse::<Table>());
    let paths = match &table {
        Some(Ok(table)) => {
            registry(table).and_then(|registry| registry.get("config_path")).and_then(Value::as_str)
        }
        _ => None,
    };
    let mut directories: BTreeSet<&str> =
        paths.unwrap_or_default().split(':').filter(|path| path.starts_with('/')).collect();
    directories.insert(CERTS);
    let mut leading = BTreeSet::new();
    let mut found = config.is_some();
    for directory in directories {
        for name in root.list(directory) {
            let path = format!("{directory}/{name}/hosts.toml");
            let Some(text) = root.read(&path, findings) else { continue };
            found = true;
            if hosts::check(us, ENGINE, &path, &name, &text, findings) {
                leading.insert(directory);
            }
        }
    }
    match &table {
        Some(Ok(table)) => check_config(us, table, paths, &leading, findings),
        Some(Err(error)) => {
            let message = format!("is not TOML: {}; containerd does not start with it", error.message());
            findings.fail(CONFIG, message, "correct it");
        }
        None if leading.is_empty() => {}
        None => findings.warn(
            CONFIG,
            "is not there: CRI reads no `hosts.toml` unless its version does so by default",
            path_hint(3),
        ),
    }
    found
}

fn check_config(
    us: &Us,
    table: &Table,
    paths: Option<&str>,
    leading: &BTreeSet<&str>,
    findings: &mut Findings,
) {
    let before = findings.problems();
    let version = table.get("version").and_then(Value::as_integer).unwrap_or(1);
    let has_mirrors = |plugin: &str| {
        let registry =
            plugins(table).and_then(|plugins| plugins.get(plugin)).and_then(|plugin| plugin.get("registry"));
        registry.and_then(|registry| registry.get("mirrors")).and_then(Value::as_table).is_some_and(
            |mirrors| {
                mirrors.values().any(|mirror| {
                    let endpoints = mirror.get("endpoint").and_then(Value::as_array);
                    endpoints.into_iter().flatten().filter_map(Value::as_str).any(|endpoint| us.is(endpoint))
                })
            },
        )
    };
    if [IMAGES, CRI, "cri"].into_iter().any(has_mirrors) {
        findings.fail(
            CONFIG,
            "FAIL-OPEN: `registry.mirrors` asks the registry itself after a refusal, always",
            format!("remove the mirrors; {}", path_hint(version)),
        );
    }
    if leading.is_empty() {
        return;
    }
    let names = paths.unwrap_or_default();
    let is_read = names.split(':').any(|path| leading.contains(path.trim_end_matches('/')));
    if !is_read {
        let other = if version >= 3 { CRI } else { IMAGES };
        let misplaced =
            plugins(table).and_then(|plugins| plugins.get(other)).and_then(|plugin| plugin.get("registry"));
        let why = if misplaced.is_some_and(|registry| registry.get("config_path").is_some()) {
            format!("`config_path` stands under `{other}`, which version {version} does not read")
        } else if names.is_empty() {
            "no `config_path` is set".to_owned()
        } else {
            format!("`config_path` is `{names}`")
        };
        findings.fail(
            CONFIG,
            format!("FAIL-OPEN: {why}: CRI does not read the files that lead to the service"),
            path_hint(version),
        );
    }
    findings.ok_unless_more(before, CONFIG, "CRI reads the files that lead to the service");
}

fn registry(table: &Table) -> Option<&Value> {
    let version = table.get("version").and_then(Value::as_integer).unwrap_or(1);
    let plugin = match version {
        1 => "cri",
        2 => CRI,
        _ => IMAGES,
    };
    plugins(table)?.get(plugin)?.get("registry")
}

fn plugins(table: &Table) -> Option<&Table> {
    table.get("plugins")?.as_table()
}

fn path_hint(version: i64) -> String {
    let plugin = if version >= 3 { IMAGES } else { CRI };
    let version = if version >= 3 { 3 } else { 2 };
    format!(
        "with `version = {version}` set `config_path = \"{CERTS}\"` under `[plugins.\"{plugin}\".registry]`, and restart containerd"
    )
}
