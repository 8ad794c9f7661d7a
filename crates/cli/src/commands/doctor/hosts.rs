//! One `hosts.toml`, as containerd and Docker with the containerd store read it (containerd `docs/hosts.md`).
//! A file that does not decode is ignored by both, without a word.

use toml::{Table, Value};

use super::findings::Findings;
use super::us::Us;

/// Whose file it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Engine {
    pub(super) name: &'static str,
    /// As for `config client`.
    pub(super) client: &'static str,
}

/// One that is asked, in order.
struct Host<'a> {
    address: &'a str,
    pulls: bool,
    resolves: bool,
}

/// Whether the file leads to the service at all; everything that is wrong with it becomes a finding.
pub(super) fn check(
    us: &Us,
    engine: Engine,
    path: &str,
    directory: &str,
    text: &str,
    findings: &mut Findings,
) -> bool {
    let fix = fix(engine, directory);
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            ignored(engine, path, &format!("is not TOML: {}", error.message()), &fix, findings);
            return text.contains(us.authority());
        }
    };
    let decoded = decode(&table);
    let (server, hosts) = match decoded {
        Ok(decoded) => decoded,
        Err(why) => {
            ignored(engine, path, &format!("does not decode: {why}"), &fix, findings);
            return text.contains(us.authority());
        }
    };
    let leads_here =
        server.is_some_and(|server| us.is(server)) || hosts.iter().any(|host| us.is(host.address));
    if !leads_here {
        let message = format!("does not lead to `{}`: tags of this registry are not checked", us.url());
        findings.warn(path, message, fix);
        return false;
    }
    let before = findings.problems();
    let server_is_us = server.is_some_and(|server| us.is(server));
    match server {
        None => findings.fail(
            path,
            "FAIL-OPEN: `server` is missing, so that the registry itself is asked after a refusal",
            format!("add `server = \"{}\"` above the tables; {fix}", us.url()),
        ),
        Some(server) if !server_is_us => findings.fail(
            path,
            format!("FAIL-OPEN: `server` is `{server}`, which is asked after a refusal"),
            format!("write `server = \"{}\"`; {fix}", us.url()),
        ),
        Some(_) if hosts.is_empty() => findings.fail(
            path,
            "FAIL-OPEN with containerd 1.x: without a `[host]` table it says \"invalid `host` tree\" to its log, ignores \
             the file and asks the registry itself",
            format!("add `[host.\"{}\"]` with `capabilities = [\"pull\", \"resolve\"]`; {fix}", us.url()),
        ),
        Some(_) => {}
    }
    for host in &hosts {
        check_host(us, path, host, server_is_us, &fix, findings);
    }
    check_trust(us, path, &table, findings);
    findings.ok_unless_more(before, path, "fail-closed");
    true
}

fn check_host(us: &Us, path: &str, host: &Host<'_>, server_is_us: bool, fix: &str, findings: &mut Findings) {
    let address = host.address;
    if !us.is(address) {
        if host.pulls && host.resolves {
            findings.fail(
                path,
                format!("FAIL-OPEN: `[host.\"{address}\"]` resolves tags as well: it is asked before or after a refusal"),
                format!("remove it, or leave it only `capabilities = [\"pull\"]`, which is content by digest; {fix}"),
            );
        }
    } else if !(host.pulls && host.resolves) {
        let message =
            format!("`[host.\"{address}\"]` lacks `{}`", if host.pulls { "resolve" } else { "pull" });
        let hint = format!("write `capabilities = [\"pull\", \"resolve\"]`; {fix}");
        if server_is_us {
            findings.warn(path, format!("{message}: tags are resolved by `server` alone"), hint);
        } else {
            findings.fail(path, format!("FAIL-OPEN: {message}: tags are resolved elsewhere"), hint);
        }
    }
}

/// Whoever can answer in the service's place makes every check void.
fn check_trust(us: &Us, path: &str, table: &Table, findings: &mut Findings) {
    let hosts = table.get("host").and_then(Value::as_table);
    let tables = hosts.into_iter().flatten().filter_map(|(_, host)| host.as_table());
    if tables.chain([table]).any(|table| table.get("skip_verify") == Some(&Value::Boolean(true))) {
        findings.warn(
            path,
            "`skip_verify` takes any certificate: whoever sits between can answer in the service's place",
            "name the CA with `ca = \"/path\"` instead",
        );
    }
    if us.is_exposed() {
        findings.warn(
            path,
            format!("`{}` is plain HTTP over a network", us.url()),
            "give the service a certificate",
        );
    }
}

fn ignored(engine: Engine, path: &str, why: &str, fix: &str, findings: &mut Findings) {
    let message = format!("FAIL-OPEN: {why}; {} ignores the file and asks the registry itself", engine.name);
    findings.fail(path, message, fix);
}

fn fix(engine: Engine, directory: &str) -> String {
    let registry = match directory {
        "_default" => "'*'".to_owned(),
        // `host_5000_` is `host:5000`.
        other => match other.strip_suffix('_').and_then(|name| name.rsplit_once('_')) {
            Some((host, port)) => format!("{host}:{port}"),
            None => other.to_owned(),
        },
    };
    format!("`tlogistry config client {} --registry {registry}` prints a closed one", engine.client)
}

/// `server` and the hosts in order, as far as containerd would take them.
fn decode(table: &Table) -> Result<(Option<&str>, Vec<Host<'_>>), String> {
    let server = match table.get("server") {
        None => None,
        Some(Value::String(server)) if server.is_empty() => None,
        Some(Value::String(server)) => Some(server.as_str()),
        Some(_) => return Err("`server` is no string".to_owned()),
    };
    capabilities(table)?;
    let hosts = match table.get("host") {
        None => return Ok((server, Vec::new())),
        Some(Value::Table(hosts)) => hosts,
        Some(_) => return Err("`host` is no table".to_owned()),
    };
    let hosts = hosts.iter().map(|(address, host)| {
        let host = host.as_table().ok_or_else(|| format!("`host.\"{address}\"` is no table"))?;
        let (pulls, resolves) = capabilities(host)?;
        Ok(Host { address, pulls, resolves })
    });
    Ok((server, hosts.collect::<Result<_, String>>()?))
}

/// Whether it pulls and whether it resolves; without the key it does everything.
fn capabilities(table: &Table) -> Result<(bool, bool), String> {
    let list = match table.get("capabilities") {
        None => return Ok((true, true)),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("`capabilities` is no list".to_owned()),
    };
    let (mut pulls, mut resolves) = (false, false);
    for capability in list {
        match capability.as_str() {
            Some("pull") => pulls = true,
            Some("resolve") => resolves = true,
            Some("push") => {}
            _ => return Err(format!("`capabilities` has {capability}, which is none")),
        }
    }
    // An empty list is taken for none at all.
    Ok(if list.is_empty() { (true, true) } else { (pulls, resolves) })
}
