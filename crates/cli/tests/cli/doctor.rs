//! `doctor` over made-up machines: every way around the service is found and said how to close.

use crate::environment::{Output, TestEnvironment};
use crate::service::{Service, upstream};

const HOSTS: &str = "etc/containerd/certs.d/docker.io/hosts.toml";
const CLOSED: &str = "server = \"https://tlog.example\"\n[host.\"https://tlog.example\"]\ncapabilities = [\"pull\", \"resolve\"]\n";
const READ: &str = "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n";

/// Looks at a machine with these files, for `https://tlog.example`.
fn examined(files: &[(&str, &str)]) -> Output {
    let environment = TestEnvironment::new();
    let address = quiet_configuration(&environment, "");
    environment.write("machine/etc/hostname", "machine\n");
    for (name, text) in files {
        environment.write(&format!("machine/{name}"), text);
    }
    let root = environment.path("machine");
    let mut output =
        environment.run(&["doctor", "--root", root.to_str().unwrap(), "--server", "https://tlog.example"]);
    output.stdout = output
        .stdout
        .replace(environment.path("").to_str().unwrap(), "$ROOT/")
        .replace(&address, "<address>");
    output
}

/// What is said of a machine that has to fail, by file.
#[track_caller]
fn fails(files: &[(&str, &str)], subject: &str, words: &str) {
    let output = examined(files);
    assert_eq!(output.status, 1, "{output}");
    let is_said = output
        .stdout
        .lines()
        .any(|line| line.starts_with(&format!("FAIL  /{subject}: ")) && line.contains(words));
    assert!(is_said, "no failure of {subject} says `{words}`:\n{output}");
}

#[track_caller]
fn warns(files: &[(&str, &str)], subject: &str, words: &str) {
    let output = examined(files);
    assert_eq!(output.status, 0, "{output}");
    let is_said = output
        .stdout
        .lines()
        .any(|line| line.starts_with(&format!("warn  /{subject}: ")) && line.contains(words));
    assert!(is_said, "no warning of {subject} says `{words}`:\n{output}");
}

#[track_caller]
fn passes(files: &[(&str, &str)]) {
    let output = examined(files);
    assert_eq!(output.status, 0, "{output}");
    let wrong = output.stdout.lines().find(|line| line.starts_with("FAIL") || line.starts_with("warn  /"));
    assert_eq!(wrong, None, "{output}");
}

#[test]
fn a_machine_without_clients_is_healthy() {
    insta::assert_snapshot!(examined(&[]), @"
    exit 0
    -- stdout
    ok    clients: none of their files is below `$ROOT/machine`
    ok    configuration: `$ROOT/config.toml` is valid
    ok    service: not running at `<address>`
    warn  log: there is none in `$ROOT/home/.local/state/tlogistry`
          `tlogistry init` makes one; `--data-dir DIR` names another directory
    -- stderr
    failed: 0, warnings: 1
    ");
}

#[test]
fn every_finding_has_a_line_and_a_way_out() {
    let hosts =
        "[host.\"https://tlog.example\"]\ncapabilities = [\"pull\"]\n[host.\"https://mirror.example\"]\n";
    let daemon = "{\"registry-mirrors\": [\"https://tlog.example\"]}";
    insta::assert_snapshot!(examined(&[(HOSTS, hosts), ("etc/docker/daemon.json", daemon)]));
}

#[test]
fn programs_get_findings_as_json() {
    let environment = TestEnvironment::new();
    environment.write(&format!("machine/{HOSTS}"), "server = 5");
    let root = environment.path("machine");
    let output = environment.run(&["doctor", "--root", root.to_str().unwrap(), "--output", "json"]);
    assert_eq!(output.status, 1, "{output}");
    let said = output.json();
    assert_eq!((&said["healthy"], &said["failed"]), (&false.into(), &1.into()));
    assert_eq!(said["findings"][0]["level"], "fail");
    assert_eq!(said["findings"][0]["subject"], format!("/{HOSTS}"));
}

#[test]
fn a_root_that_is_not_there_could_not_be_examined() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["doctor", "--root", "nowhere"]), @"
    exit 2
    -- stderr
    error: `nowhere` is not a directory

    hint: `--root DIR` is where `etc` is
    ");
}

#[test]
fn what_config_client_writes_is_closed() {
    for client in ["containerd", "docker", "podman", "k3s", "rke2"] {
        let environment = TestEnvironment::new();
        let root = environment.path("machine");
        let root = root.to_str().unwrap();
        environment
            .run(&["config", "client", client, "--server", "https://tlog.example", "--write", root])
            .done();
        environment.write("machine/etc/containerd/config.toml", READ);
        if client == "docker" {
            environment.write(
                "machine/etc/docker/daemon.json",
                "{\"features\": {\"containerd-snapshotter\": true}}",
            );
        }
        let output = environment.run(&["doctor", "--root", root, "--server", "https://tlog.example"]);
        assert_eq!(output.status, 0, "{output}");
        assert!(output.stdout.contains("fail-closed"), "{output}");
        assert!(!output.stdout.contains("warn  /"), "{output}");
    }
    for client in ["docker-classic", "buildkit"] {
        let environment = TestEnvironment::new();
        let root = environment.path("machine");
        let root = root.to_str().unwrap();
        environment
            .run(&[
                "config",
                "client",
                client,
                "--server",
                "https://tlog.example",
                "--registry",
                "docker.io",
                "--write",
                root,
            ])
            .done();
        let output = environment.run(&["doctor", "--root", root, "--server", "https://tlog.example"]);
        assert_eq!(output.status, 1, "{output}");
        assert!(output.stdout.contains("FAIL-OPEN"), "{output}");
    }
}

#[test]
fn containerd_without_server_goes_to_the_registry_itself() {
    let hosts = "[host.\"https://tlog.example\"]\ncapabilities = [\"pull\", \"resolve\"]\n";
    fails(&[(HOSTS, hosts)], HOSTS, "`server` is missing");
    let hosts = hosts.to_owned().replace("[host", "server = \"https://registry-1.docker.io\"\n[host");
    fails(&[(HOSTS, &hosts)], HOSTS, "`server` is `https://registry-1.docker.io`");
}

#[test]
fn containerd_1_cannot_read_a_server_without_hosts() {
    fails(&[(HOSTS, "server = \"https://tlog.example\"\n")], HOSTS, "invalid `host` tree");
}

#[test]
fn a_host_without_resolve_sends_tags_elsewhere() {
    let hosts = "[host.\"https://tlog.example\"]\ncapabilities = [\"pull\"]\n";
    fails(&[(HOSTS, hosts)], HOSTS, "lacks `resolve`");
    let hosts = format!("server = \"https://tlog.example\"\n{hosts}");
    warns(&[(HOSTS, &hosts), ("etc/containerd/config.toml", READ)], HOSTS, "lacks `resolve`");
}

#[test]
fn a_second_host_that_resolves_is_a_way_around() {
    let hosts =
        format!("{CLOSED}[host.\"https://mirror.example\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
    fails(&[(HOSTS, &hosts)], HOSTS, "`[host.\"https://mirror.example\"]` resolves tags as well");
    let hosts = format!("{CLOSED}[host.\"https://mirror.example\"]\n");
    fails(&[(HOSTS, &hosts)], HOSTS, "resolves tags as well");
    // Content by digest may come from anywhere.
    let hosts = format!("{CLOSED}[host.\"https://mirror.example\"]\ncapabilities = [\"pull\"]\n");
    passes(&[(HOSTS, &hosts), ("etc/containerd/config.toml", READ)]);
}

#[test]
fn a_malformed_hosts_file_is_ignored_by_containerd() {
    for (hosts, why) in [
        ("server = \"https://tlog.example\"\n[host", "is not TOML"),
        ("server = 5\n", "`server` is no string"),
        ("host = \"https://tlog.example\"\n", "`host` is no table"),
        ("[host]\n\"https://tlog.example\" = 1\n", "is no table"),
        ("[host.\"https://tlog.example\"]\ncapabilities = \"pull\"\n", "`capabilities` is no list"),
        ("[host.\"https://tlog.example\"]\ncapabilities = [\"fetch\"]\n", "which is none"),
    ] {
        fails(&[(HOSTS, hosts)], HOSTS, why);
    }
}

#[test]
fn a_hosts_file_for_another_service_checks_nothing() {
    let hosts = CLOSED.replace("tlog.example", "mirror.example");
    warns(&[(HOSTS, &hosts)], HOSTS, "does not lead to `https://tlog.example`");
}

#[test]
fn a_host_whose_certificate_is_not_checked_is_warned_of() {
    let hosts = format!("{CLOSED}skip_verify = true\n");
    warns(&[(HOSTS, &hosts), ("etc/containerd/config.toml", READ)], HOSTS, "`skip_verify`");
}

#[test]
fn cri_has_to_be_told_of_the_directory() {
    const CONFIG: &str = "etc/containerd/config.toml";
    passes(&[(HOSTS, CLOSED), (CONFIG, READ)]);
    passes(&[
        (HOSTS, CLOSED),
        (
            CONFIG,
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/certs.d\"\n",
        ),
    ]);
    warns(&[(HOSTS, CLOSED)], CONFIG, "is not there");
    fails(&[(HOSTS, CLOSED), (CONFIG, "version = 3\n")], CONFIG, "no `config_path` is set");
    fails(
        &[(HOSTS, CLOSED), (CONFIG, &READ.replace("/etc/containerd/certs.d", "/opt/certs.d"))],
        CONFIG,
        "`config_path` is `/opt/certs.d`",
    );
    fails(
        &[
            (HOSTS, CLOSED),
            (CONFIG, &READ.replace("io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri")),
        ],
        CONFIG,
        "stands under `io.containerd.grpc.v1.cri`, which version 3 does not read",
    );
    fails(
        &[(HOSTS, CLOSED), (CONFIG, &READ.replace("version = 3", "version = 2"))],
        CONFIG,
        "which version 2 does not read",
    );
    fails(&[(CONFIG, "version = [")], CONFIG, "is not TOML");
    let mirrors = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = [\"https://tlog.example\"]\n";
    fails(&[(CONFIG, mirrors)], CONFIG, "`registry.mirrors` asks the registry itself");
}

#[test]
fn hosts_files_are_looked_for_where_cri_reads_them() {
    let config = READ.replace("/etc/containerd/certs.d", "/opt/certs.d:/etc/containerd/certs.d");
    fails(
        &[
            ("opt/certs.d/_default/hosts.toml", "[host.\"https://tlog.example\"]\n"),
            ("etc/containerd/config.toml", &config),
        ],
        "opt/certs.d/_default/hosts.toml",
        "`server` is missing",
    );
}

#[test]
fn mirrors_of_classic_docker_fall_back() {
    const DAEMON: &str = "etc/docker/daemon.json";
    fails(&[(DAEMON, "{\"registry-mirrors\": [\"https://tlog.example/\"]}")], DAEMON, "FAIL-OPEN");
    fails(&[(DAEMON, "{\"registry-mirrors\": ")], DAEMON, "is not JSON");
    passes(&[(DAEMON, "{\"registry-mirrors\": [\"https://mirror.example\"]}")]);
}

#[test]
fn docker_reads_hosts_files_with_the_containerd_store_alone() {
    const HOSTS: &str = "etc/docker/certs.d/ghcr.io/hosts.toml";
    const DAEMON: &str = "etc/docker/daemon.json";
    passes(&[(HOSTS, CLOSED), (DAEMON, "{\"features\": {\"containerd-snapshotter\": true}}")]);
    fails(
        &[(HOSTS, CLOSED), (DAEMON, "{\"features\": {\"containerd-snapshotter\": false}}")],
        DAEMON,
        "`containerd-snapshotter` is false",
    );
    warns(&[(HOSTS, CLOSED)], DAEMON, "does not turn on the containerd store");
    fails(&[(HOSTS, "[host.\"https://tlog.example\"]\n")], HOSTS, "`server` is missing");
}

#[test]
fn a_registry_mirror_of_podman_falls_back() {
    const CONF: &str = "etc/containers/registries.conf.d/50-mirror.conf";
    let mirror = "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"tlog.example/docker.io\"\n";
    fails(&[(CONF, mirror)], CONF, "FAIL-OPEN: `[[registry.mirror]]` of `docker.io`");
    let other = mirror
        .replace("location = \"docker.io\"", "location = \"tlog.example/docker.io\"")
        .replace("mirror]]\nlocation = \"tlog.example", "mirror]]\nlocation = \"mirror.example");
    fails(
        &[(CONF, &other)],
        CONF,
        "`mirror.example/docker.io` is asked for images of `docker.io` before the service",
    );
}

#[test]
fn a_location_has_to_name_the_registry() {
    const CONF: &str = "etc/containers/registries.conf";
    let entry = |prefix: &str, location: &str| {
        format!("[[registry]]\nprefix = \"{prefix}\"\nlocation = \"{location}\"\n")
    };
    passes(&[(CONF, &entry("docker.io", "tlog.example/docker.io"))]);
    passes(&[(CONF, &entry("docker.io", "tlog.example"))]);
    fails(
        &[(CONF, &entry("ghcr.io", "tlog.example"))],
        CONF,
        "is not where the service has the images of `ghcr.io`",
    );
    let around =
        entry("docker.io", "tlog.example/docker.io") + &entry("docker.io/library", "docker.io/library");
    fails(&[(CONF, &around)], CONF, "FAIL-OPEN: `docker.io/library` is pulled from `docker.io/library`");
}

#[test]
fn of_two_files_with_one_prefix_the_later_one_counts() {
    const LATER: &str = "etc/containers/registries.conf.d/90-later.conf";
    let closed = "[[registry]]\nprefix = \"docker.io\"\nlocation = \"tlog.example/docker.io\"\n";
    let open = "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"tlog.example/docker.io\"\n";
    fails(&[("etc/containers/registries.conf", closed), (LATER, open)], LATER, "FAIL-OPEN");
    passes(&[("etc/containers/registries.conf", open), (LATER, closed)]);
}

#[test]
fn registries_files_that_do_not_parse_are_found() {
    const CONF: &str = "etc/containers/registries.conf";
    fails(&[(CONF, "[[registry]\n")], CONF, "is not TOML");
    fails(&[(CONF, "[registries.search]\nregistries = [\"docker.io\"]\n")], CONF, "is of version 1");
}

#[test]
fn k3s_without_the_flag_falls_back() {
    const FILE: &str = "etc/rancher/k3s/registries.yaml";
    let mirrors = "mirrors:\n  docker.io:\n    endpoint: [\"https://tlog.example\"]\n";
    fails(&[(FILE, mirrors)], FILE, "without `--disable-default-registry-endpoint`");
    for (name, text) in [
        ("etc/rancher/k3s/config.yaml", "disable-default-registry-endpoint: true\n"),
        ("etc/rancher/k3s/config.yaml.d/9.yaml", "disable-default-registry-endpoint: true\n"),
        (
            "etc/systemd/system/k3s-agent.service",
            "[Service]\nExecStart=/usr/local/bin/k3s \\\n    agent \\\n    '--disable-default-registry-endpoint' \\\n",
        ),
        (
            "usr/local/lib/systemd/system/k3s.service",
            "ExecStart=k3s server --disable-default-registry-endpoint=true\n",
        ),
    ] {
        passes(&[(FILE, mirrors), (name, text)]);
    }
    for (name, text) in [
        ("etc/rancher/k3s/config.yaml", "disable-default-registry-endpoint: false\n"),
        (
            "etc/systemd/system/k3s.service",
            "# --disable-default-registry-endpoint\nExecStart=k3s server --disable-default-registry-endpoint=false\n",
        ),
    ] {
        fails(&[(FILE, mirrors), (name, text)], FILE, "without `--disable-default-registry-endpoint`");
    }
}

#[test]
fn a_second_endpoint_of_rke2_is_a_way_around() {
    const FILE: &str = "etc/rancher/rke2/registries.yaml";
    let flag = ("etc/rancher/rke2/config.yaml", "disable-default-registry-endpoint: true\n");
    let mirrors =
        "mirrors:\n  '*':\n    endpoint:\n      - https://tlog.example\n      - https://mirror.example\n";
    fails(&[(FILE, mirrors), flag], FILE, "`*` has the endpoint `https://mirror.example` beside the service");
    fails(&[(FILE, "mirrors: [\n"), flag], FILE, "does not decode");
    warns(&[(FILE, "mirrors:\n  docker.io:\n"), flag], FILE, "does not lead to");
    let skipped = "mirrors:\n  '*':\n    endpoint: [https://tlog.example]\nconfigs:\n  tlog.example:\n    tls:\n      insecure_skip_verify: true\n";
    warns(&[(FILE, skipped), flag], FILE, "`insecure_skip_verify`");
}

#[test]
fn a_registry_that_k3s_knows_by_name_goes_around_what_counts_for_all() {
    const FILE: &str = "etc/rancher/k3s/registries.yaml";
    let flag = ("etc/rancher/k3s/config.yaml", "disable-default-registry-endpoint: true\n");
    let all = "mirrors:\n  '*':\n    endpoint: [https://tlog.example]\n";
    let named = "mirrors:\n  docker.io:\n    endpoint: [https://tlog.example]\n";
    let elsewhere = "  ghcr.io:\n    endpoint: [https://mirror.example]\n";
    let account = "configs:\n  docker.io:\n    auth:\n      username: ci\n";
    let (says, itself) =
        ("`ghcr.io` has the endpoint `https://mirror.example`, and `*`", "`configs` of `docker.io`");
    fails(&[(FILE, &format!("{all}{elsewhere}")), flag], FILE, says);
    fails(&[(FILE, &format!("{all}{account}")), flag], FILE, itself);
    fails(&[(FILE, &format!("{all}  docker.io:\n{account}")), flag], FILE, itself);
    fails(&[(FILE, &format!("{named}{account}")), flag], FILE, itself);
    fails(&[(FILE, &format!("{named}configs:\n  docker.io:\n")), flag], FILE, itself);
    let ours = "configs:\n  tlog.example:\n    auth:\n      username: ci\n  ghcr.io:\n";
    for closed in [
        format!("{all}  docker.io:\n"),
        format!("{all}{ours}"),
        format!("{named}{elsewhere}{ours}"),
        format!("{all}{}{ours}", named.trim_start_matches("mirrors:\n")),
    ] {
        passes(&[(FILE, &closed), flag]);
    }
}

#[test]
fn buildkit_always_falls_back() {
    const FILE: &str = "etc/buildkit/buildkitd.toml";
    fails(&[(FILE, "[registry.\"docker.io\"]\nmirrors = [\"tlog.example/docker.io\"]\n")], FILE, "FAIL-OPEN");
    fails(&[(FILE, "[registry")], FILE, "is not TOML");
    passes(&[(FILE, "[registry.\"docker.io\"]\nmirrors = [\"mirror.example\"]\n")]);
}

#[test]
fn files_that_cannot_be_read_are_findings() {
    let environment = TestEnvironment::new();
    std::fs::create_dir_all(environment.path("machine/etc/docker/daemon.json")).unwrap();
    environment.write("machine/etc/buildkit/buildkitd.toml", &"#".repeat((1 << 20) + 1));
    let root = environment.path("machine");
    let output = environment.run(&["doctor", "--root", root.to_str().unwrap()]);
    assert_eq!(output.status, 1, "{output}");
    for words in [
        "/etc/docker/daemon.json: cannot be read: it is not a file",
        "/etc/buildkit/buildkitd.toml: cannot be read: it has more than",
    ] {
        assert!(output.stdout.contains(words), "{output}");
    }
}

#[test]
fn nothing_in_a_file_reaches_the_terminal_as_a_command() {
    let hosts = "[host.\"https://tlog.example\"]\n[host.\"\\u001b]0;x\\u0007evil\\u001b[31m\"]\n";
    let output = examined(&[(HOSTS, hosts)]);
    assert!(!output.stdout.contains(['\u{1b}', '\u{7}']), "{output:?}");
}

/// Of this machine, which has none of the clients' files.
fn service_examined(environment: &TestEnvironment) -> Output {
    environment.write("machine/etc/hostname", "machine\n");
    let root = environment.path("machine");
    environment.run(&["doctor", "--root", root.to_str().unwrap()])
}

/// With a port where nobody listens, so that no service of this machine is taken for ours.
fn quiet_configuration(environment: &TestEnvironment, more: &str) -> String {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    drop(socket);
    environment.write("config.toml", &format!("listen = \"{address}\"\n[limits]\nmin_free = 1\n{more}"));
    address
}

#[test]
fn a_sound_log_opens_with_key_and_guard() {
    let environment = TestEnvironment::new();
    let registry = upstream(&environment);
    quiet_configuration(&environment, &format!("[upstreams.\"corp.alt\"]\nurl = \"{}\"\n", registry.url()));
    environment.run(&["init"]).done();
    let output = service_examined(&environment);
    assert_eq!(output.status, 0, "{output}");
    for words in [
        "ok    configuration: ",
        "ok    service: not running",
        "ok    disk: ",
        "opens with its key and its guard",
        "ok    upstream corp.alt: ",
    ] {
        assert!(output.stdout.contains(words), "no `{words}`:\n{output}");
    }
}

#[test]
fn a_missing_key_or_guard_is_found() {
    for (name, subject) in [("log.key", "key"), ("guard", "guard"), ("ledger.db", "store")] {
        let environment = TestEnvironment::new();
        quiet_configuration(&environment, "");
        environment.run(&["init"]).done();
        std::fs::remove_file(environment.data_dir().join(name)).unwrap();
        let output = service_examined(&environment);
        assert_eq!(output.status, 1, "{output}");
        assert!(output.stdout.contains(&format!("FAIL  {subject}: ")), "{output}");
    }
}

#[test]
fn the_key_of_another_log_is_found() {
    let environment = TestEnvironment::new();
    quiet_configuration(&environment, "");
    environment.run(&["init"]).done();
    environment.run(&["init", "--data-dir", "other"]).done();
    std::fs::copy(environment.path("other/log.key"), environment.data_dir().join("log.key")).unwrap();
    let output = service_examined(&environment);
    assert_eq!(output.status, 1, "{output}");
    assert!(output.stdout.contains("holds the key of another log"), "{output}");
}

#[test]
fn a_full_disk_an_absent_log_and_a_wrong_configuration_are_found() {
    let environment = TestEnvironment::new();
    quiet_configuration(&environment, "");
    let output = service_examined(&environment);
    assert!(output.stdout.contains("warn  log: there is none"), "{output}");
    environment.run(&["init"]).done();
    environment.write("config.toml", "listen = \"127.0.0.1:1\"\n[limits]\nmin_free = \"1000000GiB\"\n");
    let output = service_examined(&environment);
    assert_eq!(output.status, 1, "{output}");
    assert!(output.stdout.contains("FAIL  disk: "), "{output}");
    environment.write("config.toml", "listen = 5\n");
    let output = service_examined(&environment);
    assert_eq!(output.status, 1, "{output}");
    assert!(output.stdout.contains("FAIL  configuration: "), "{output}");
}

#[test]
fn an_upstream_that_does_not_answer_is_found() {
    let environment = TestEnvironment::new();
    let registry = upstream(&environment);
    let url = registry.url().to_owned();
    drop(registry);
    quiet_configuration(&environment, &format!("[upstreams.\"corp.alt\"]\nurl = \"{url}\"\n"));
    let output = service_examined(&environment);
    assert_eq!(output.status, 1, "{output}");
    assert!(
        output.stdout.contains("FAIL  upstream corp.alt: ") && output.stdout.contains("cannot be reached"),
        "{output}"
    );
}

#[test]
fn the_certificate_that_will_be_shown_is_looked_at() {
    let environment = TestEnvironment::new();
    environment.write("cert.pem", testkit::tls::SERVER_PEM);
    environment.write("key.pem", testkit::tls::SERVER_KEY_PEM);
    let path = |name: &str| environment.path(name).display().to_string();
    let table =
        |chain: &str| format!("[tls]\ncert_file = \"{}\"\nkey_file = \"{}\"\n", path(chain), path("key.pem"));
    quiet_configuration(&environment, &table("cert.pem"));
    let output = service_examined(&environment);
    assert!(output.stdout.contains("ok    tls.cert_file: is good for"), "{output}");
    quiet_configuration(&environment, &table("key.pem"));
    let output = service_examined(&environment);
    assert!(output.stdout.contains("FAIL  tls.cert_file: "), "{output}");
}

#[test]
fn a_service_that_speaks_tls_is_asked_over_tls() {
    let environment = TestEnvironment::new();
    environment.write("cert.pem", testkit::tls::SERVER_PEM);
    environment.write("key.pem", testkit::tls::SERVER_KEY_PEM);
    let path = |name: &str| environment.path(name).display().to_string();
    let table = format!("[tls]\ncert_file = \"{}\"\nkey_file = \"{}\"\n", path("cert.pem"), path("key.pem"));
    environment.write("config.toml", &table);
    let mut service = Service::start(&environment);
    let address = service.url.split("://").nth(1).unwrap();
    environment.write("config.toml", &format!("listen = \"{address}\"\n{table}"));
    let output = service_examined(&environment);
    assert!(output.stdout.contains("ok    service: ready at"), "{output}");
    service.stop();
}

#[test]
fn a_running_service_is_asked_whether_it_is_ready() {
    let environment = TestEnvironment::new();
    let registry = upstream(&environment);
    let mut service = Service::start(&environment);
    let address = service.url.strip_prefix("http://").unwrap();
    environment.write(
        "config.toml",
        &format!("listen = \"{address}\"\n[upstreams.\"corp.alt\"]\nurl = \"{}\"\n", registry.url()),
    );
    let output = service_examined(&environment);
    assert!(output.stdout.contains("ok    service: ready at"), "{output}");
    assert!(output.stdout.contains("has it open"), "{output}");
    service.stop();
}
