//! k3s and RKE2: `registries.yaml`, and whether every way back to the registry itself is off.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::files::Root;
use super::findings::Findings;
use super::us::Us;

const FLAG: &str = "disable-default-registry-endpoint";

#[derive(Deserialize)]
struct Registries {
    #[serde(default)]
    mirrors: Option<BTreeMap<String, Option<Mirror>>>,
    #[serde(default)]
    configs: Option<BTreeMap<String, Option<HostConfig>>>,
}

#[derive(Deserialize)]
struct Mirror {
    #[serde(default)]
    endpoint: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct HostConfig {
    #[serde(default)]
    auth: Option<IgnoredAny>,
    #[serde(default)]
    tls: Option<Tls>,
}

#[derive(Deserialize)]
struct Tls {
    #[serde(default)]
    insecure_skip_verify: bool,
}

/// Whether there is anything of them.
pub(super) fn check(us: &Us, root: &Root, findings: &mut Findings) -> bool {
    let k3s = check_product(us, root, "k3s", &["k3s", "k3s-agent"], findings);
    let rke2 = check_product(us, root, "rke2", &["rke2-server", "rke2-agent"], findings);
    k3s || rke2
}

fn check_product(us: &Us, root: &Root, product: &str, services: &[&str], findings: &mut Findings) -> bool {
    let path = format!("/etc/rancher/{product}/registries.yaml");
    let Some(text) = root.read(&path, findings) else { return false };
    let fix = format!("`tlogistry config client {product}` prints closed files");
    let registries = match serde_saphyr::from_str::<Registries>(&text) {
        Ok(registries) => registries,
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().next().unwrap_or_default();
            findings.fail(&path, format!("does not decode: {why}"), fix);
            return true;
        }
    };
    let before = findings.problems();
    let mirrors = registries.mirrors.unwrap_or_default().into_iter();
    let mirrors: BTreeMap<String, Vec<String>> = mirrors
        .map(|(name, mirror)| (name, mirror.and_then(|mirror| mirror.endpoint).unwrap_or_default()))
        .collect();
    let leads_here = |endpoints: &Vec<String>| endpoints.iter().any(|endpoint| us.is(endpoint));
    if !mirrors.values().any(leads_here) {
        findings.warn(&path, format!("does not lead to `{}`: tags are not checked", us.url()), fix);
        return true;
    }
    let all_lead_here = mirrors.get("*").is_some_and(leads_here);
    for (name, endpoints) in &mirrors {
        let Some(other) = endpoints.iter().find(|endpoint| !us.is(endpoint)) else { continue };
        if leads_here(endpoints) {
            findings.fail(
                &path,
                format!("FAIL-OPEN: `{name}` has the endpoint `{other}` beside the service, which is asked as well"),
                format!("leave one endpoint; {fix}"),
            );
        } else if all_lead_here {
            findings.fail(
                &path,
                format!("FAIL-OPEN: `{name}` has the endpoint `{other}`, and `*` does not count for a registry with endpoints of its own"),
                format!("remove it, or lead it to the service as well; {fix}"),
            );
        }
    }
    let configs = registries.configs.unwrap_or_default();
    // For each name there a `hosts.toml` with the registry itself as `server` is written, before the flag is looked at.
    for (name, config) in configs.iter().filter(|(name, _)| *name != "*" && !us.is(name)) {
        let endpoints = mirrors.get(name).filter(|endpoints| !endpoints.is_empty());
        let says = config.as_ref().is_some_and(|config| config.auth.is_some() || config.tls.is_some());
        if endpoints.map_or(all_lead_here && says, leads_here) {
            findings.fail(
                &path,
                format!("FAIL-OPEN: `configs` of `{name}`: a registry that is named there is asked itself, also with `--{FLAG}`"),
                format!("move its credentials to the service's `[upstreams.\"{name}\"]`; {fix}"),
            );
        }
    }
    let skips = |config: &Option<HostConfig>| {
        config.as_ref().and_then(|config| config.tls.as_ref()).is_some_and(|tls| tls.insecure_skip_verify)
    };
    if configs.iter().any(|(name, config)| us.is(name) && skips(config)) {
        findings.warn(
            &path,
            "`insecure_skip_verify`: whoever sits between can answer in the service's place",
            "name the CA with `ca_file` instead",
        );
    }
    if !is_flagged(root, product, services, findings) {
        findings.fail(
            &path,
            format!("FAIL-OPEN: {product} runs without `--{FLAG}`: after a refusal the registry itself is asked"),
            format!("write `{FLAG}: true` into /etc/rancher/{product}/config.yaml on every node and restart it; {fix}"),
        );
    }
    findings.ok_unless_more(before, &path, "fail-closed");
    true
}

/// In a configuration file, or on the command line of a service.
fn is_flagged(root: &Root, product: &str, services: &[&str], findings: &mut Findings) -> bool {
    let directory = format!("/etc/rancher/{product}");
    let drop_ins = root.list(&format!("{directory}/config.yaml.d"));
    let drop_ins = drop_ins.iter().map(|name| format!("{directory}/config.yaml.d/{name}"));
    let files = [format!("{directory}/config.yaml")].into_iter().chain(drop_ins);
    // The last one that says anything counts.
    let mut configured = None;
    for path in files.filter(|path| path.ends_with(".yaml") || path.ends_with(".yml")) {
        let Some(text) = root.read(&path, findings) else { continue };
        match serde_saphyr::from_str::<BTreeMap<String, serde_json::Value>>(&text) {
            Ok(values) => {
                let value = values.get(FLAG).or_else(|| values.get(&format!("{FLAG}+")));
                configured = value
                    .map(|value| matches!(value.to_string().as_str(), "true" | "\"true\""))
                    .or(configured);
            }
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().next().unwrap_or_default().to_owned();
                findings.fail(
                    &path,
                    format!("does not decode: {why}; {product} does not start with it"),
                    "correct it",
                );
            }
        }
    }
    configured.unwrap_or(false) || services.iter().any(|service| is_on_command_line(root, service, findings))
}

fn is_on_command_line(root: &Root, service: &str, findings: &mut Findings) -> bool {
    let directories = ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];
    let drop_ins = root.list(&format!("/etc/systemd/system/{service}.service.d"));
    let drop_ins = drop_ins.iter().map(|name| format!("/etc/systemd/system/{service}.service.d/{name}"));
    let units = directories.iter().map(|directory| format!("{directory}/{service}.service"));
    let texts: Vec<String> = units.chain(drop_ins).filter_map(|path| root.read(&path, findings)).collect();
    texts.iter().flat_map(|text| text.lines()).filter(|line| !line.trim_start().starts_with('#')).any(
        |line| {
            let mut words = line.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '\\'));
            words.any(|word| {
                word.strip_prefix("--")
                    .is_some_and(|word| word == FLAG || word == "disable-default-registry-endpoint=true")
            })
        },
    )
}
