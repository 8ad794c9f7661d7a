//! `config client`: what it prints for each client, read back with a parser of the format.

use std::fs;

use crate::environment::TestEnvironment;

const CLIENTS: [&str; 13] = [
    "containerd",
    "docker",
    "docker-classic",
    "podman",
    "skopeo",
    "buildah",
    "cri-o",
    "k3s",
    "rke2",
    "talos",
    "openshift",
    "buildkit",
    "kaniko",
];

/// With a server and one registry, as JSON.
fn printed(client: &str, more: &[&str]) -> serde_json::Value {
    let environment = TestEnvironment::new();
    let mut arguments =
        vec!["config", "client", client, "--server", "https://tlog.example", "--output", "json"];
    arguments.extend(more);
    environment.run(&arguments).succeeded().json()
}

fn file(client: &str, index: usize, more: &[&str]) -> (String, String) {
    let printed = printed(client, more);
    let file = &printed["files"][index];
    (file["path"].as_str().unwrap().to_owned(), file["content"].as_str().unwrap().to_owned())
}

/// All documents of a YAML file.
fn yaml(text: &str) -> Vec<serde_json::Value> {
    text.split("---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

#[test]
fn containerd_has_the_service_as_server_and_as_host() {
    let environment = TestEnvironment::new();
    let arguments =
        ["config", "client", "containerd", "--server", "https://tlog.example", "--registry", "docker.io"];
    insta::assert_snapshot!(environment.run(&arguments));
    let (path, content) = file("containerd", 0, &["--registry", "docker.io"]);
    assert_eq!(path, "/etc/containerd/certs.d/docker.io/hosts.toml");
    let hosts: toml::Table = content.parse().unwrap();
    assert_eq!(hosts["server"].as_str(), Some("https://tlog.example"));
    let capabilities = hosts["host"]["https://tlog.example"]["capabilities"].as_array().unwrap();
    assert_eq!(capabilities, &["pull".into(), "resolve".into()]);
    assert_eq!(hosts["host"].as_table().unwrap().len(), 1);
}

#[test]
fn directories_of_containerd_spell_ports_and_all_registries_their_own_way() {
    let (path, _) = file("containerd", 0, &["--registry", "registry.example:5000"]);
    assert_eq!(path, "/etc/containerd/certs.d/registry.example_5000_/hosts.toml");
    let (path, _) = file("docker", 0, &["--registry", "*"]);
    assert_eq!(path, "/etc/docker/certs.d/_default/hosts.toml");
}

#[test]
fn docker_is_told_which_versions_read_the_file() {
    let environment = TestEnvironment::new();
    let arguments =
        ["config", "client", "docker", "--server", "https://tlog.example", "--registry", "ghcr.io"];
    insta::assert_snapshot!(environment.run(&arguments));
}

#[test]
fn classic_docker_is_said_to_be_fail_open_and_what_closes_it() {
    let environment = TestEnvironment::new();
    let arguments = ["config", "client", "docker-classic", "--server", "https://tlog.example"];
    insta::assert_snapshot!(environment.run(&arguments));
    let daemon: serde_json::Value = serde_json::from_str(&file("docker-classic", 0, &[]).1).unwrap();
    assert_eq!(daemon, serde_json::json!({ "registry-mirrors": ["https://tlog.example"] }));
    insta::assert_snapshot!(environment.run(&["config", "client", "docker-classic", "--registry", "ghcr.io"]), @"
    exit 2
    -- stderr
    error: `docker-classic` cannot be set up so: it has mirrors for docker.io alone

    hint: `--registry docker.io`; for the others use `docker` with the containerd store, or names such as `tlog.example/ghcr.io/org/app`
    ");
}

#[test]
fn podman_and_its_relatives_get_a_location_and_no_mirror() {
    let environment = TestEnvironment::new();
    let arguments = [
        "config",
        "client",
        "podman",
        "--server",
        "https://tlog.example",
        "--registry",
        "docker.io",
        "--registry",
        "ghcr.io",
    ];
    insta::assert_snapshot!(environment.run(&arguments));
    for client in ["podman", "skopeo", "buildah", "cri-o"] {
        let (_, content) = file(client, 0, &["--registry", "docker.io"]);
        let registries: toml::Table = content.parse().unwrap();
        let registry = &registries["registry"][0];
        assert_eq!(registry["prefix"].as_str(), Some("docker.io"), "{client}");
        assert_eq!(registry["location"].as_str(), Some("tlog.example/docker.io"), "{client}");
        assert!(registry.get("mirror").is_none() && registry.get("insecure").is_none(), "{client}");
    }
    insta::assert_snapshot!(environment.run(&["config", "client", "podman", "--registry", "*"]), @"
    exit 2
    -- stderr
    error: `podman` cannot be set up so: its configuration has no word for all registries

    hint: name each with `--registry HOST`
    ");
}

#[test]
fn k3s_and_rke2_get_the_flag_that_closes_them() {
    let environment = TestEnvironment::new();
    let arguments = ["config", "client", "k3s", "--server", "https://tlog.example", "--registry", "*"];
    insta::assert_snapshot!(environment.run(&arguments));
    for product in ["k3s", "rke2"] {
        let (path, content) = file(product, 0, &["--registry", "docker.io"]);
        assert_eq!(path, format!("/etc/rancher/{product}/registries.yaml"));
        assert_eq!(yaml(&content)[0]["mirrors"]["docker.io"]["endpoint"][0], "https://tlog.example");
        let (path, content) = file(product, 1, &["--registry", "docker.io"]);
        assert_eq!(path, format!("/etc/rancher/{product}/config.yaml.d/50-tlogistry.yaml"));
        assert_eq!(yaml(&content)[0]["disable-default-registry-endpoint"], true);
    }
}

#[test]
fn talos_and_openshift_never_fall_back() {
    let environment = TestEnvironment::new();
    for client in ["talos", "openshift"] {
        let arguments = [
            "config",
            "client",
            client,
            "--server",
            "https://tlog.example",
            "--registry",
            "docker.io",
            "--registry",
            "quay.io",
        ];
        insta::assert_snapshot!(client, environment.run(&arguments));
    }
    let (_, content) = file("talos", 0, &["--registry", "docker.io", "--registry", "*"]);
    for (document, name) in yaml(&content).iter().zip(["docker.io", "*"]) {
        assert_eq!((&document["name"], &document["skipFallback"]), (&name.into(), &true.into()));
    }
    let (_, content) = file("openshift", 0, &["--registry", "docker.io"]);
    let documents = yaml(&content);
    for (document, key) in documents.iter().zip(["imageTagMirrors", "imageDigestMirrors"]) {
        let mirror = &document["spec"][key][0];
        assert_eq!(mirror["mirrorSourcePolicy"], "NeverContactSource");
        assert_eq!(mirror["mirrors"][0], "tlog.example/docker.io");
    }
    assert_eq!(documents.len(), 2);
}

#[test]
fn buildkit_is_said_to_be_fail_open_and_kaniko_is_closed() {
    let environment = TestEnvironment::new();
    for client in ["buildkit", "kaniko"] {
        let arguments =
            ["config", "client", client, "--server", "https://tlog.example", "--registry", "docker.io"];
        insta::assert_snapshot!(client, environment.run(&arguments));
    }
    let buildkit: toml::Table = file("buildkit", 0, &["--registry", "docker.io"]).1.parse().unwrap();
    assert_eq!(buildkit["registry"]["docker.io"]["mirrors"][0].as_str(), Some("tlog.example/docker.io"));
    let kaniko = yaml(&file("kaniko", 0, &["--registry", "docker.io"]).1);
    let arguments = kaniko[0]["args"].as_array().unwrap();
    assert!(arguments.contains(&"--skip-default-registry-fallback".into()));
}

#[test]
fn only_clients_that_can_be_closed_are_called_so() {
    for client in CLIENTS {
        let printed = printed(client, &["--registry", "docker.io"]);
        let is_open = ["docker-classic", "buildkit"].contains(&client);
        assert_eq!(printed["fail_closed"], !is_open, "{client}");
        let says_open = printed["notes"][0].as_str().unwrap().starts_with("FAIL-OPEN");
        assert_eq!(says_open, is_open, "{client}");
    }
}

#[test]
fn a_private_ca_is_named_wherever_the_client_can_be_told() {
    for client in CLIENTS {
        let printed = printed(client, &["--registry", "docker.io", "--ca", "/etc/ssl/\"our\" ca.pem"]);
        let text = printed.to_string();
        assert!(text.contains("our"), "{client}: {text}");
        for file in printed["files"].as_array().unwrap() {
            let (path, content) = (file["path"].as_str().unwrap(), file["content"].as_str().unwrap());
            match path.rsplit('.').next().unwrap() {
                "toml" | "conf" => drop(content.parse::<toml::Table>().unwrap()),
                "yaml" => drop(yaml(content)),
                "json" => drop(serde_json::from_str::<serde_json::Value>(content).unwrap()),
                other => panic!("no parser for {other}"),
            }
        }
    }
    let hosts: toml::Table =
        file("containerd", 0, &["--registry", "docker.io", "--ca", "/ca.pem"]).1.parse().unwrap();
    assert_eq!(hosts["ca"].as_str(), Some("/ca.pem"));
    assert_eq!(hosts["host"]["https://tlog.example"]["ca"].as_str(), Some("/ca.pem"));
}

#[test]
fn server_and_registries_come_from_the_configuration() {
    let environment = TestEnvironment::new();
    let config = "public_url = \"https://tags.example\"\n[upstreams.\"corp.alt\"]\nurl = \"http://127.0.0.1:5001\"\n\
                  [upstreams.\"registry.corp.example\"]\ntoken_hosts = [\"auth.corp.example\"]\n";
    environment.write("config.toml", config);
    let printed = environment.run(&["config", "client", "podman", "--output", "json"]).succeeded().json();
    let content = printed["files"][0]["content"].as_str().unwrap();
    let registries: toml::Table = content.parse().unwrap();
    let prefixes: Vec<_> = registries["registry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["prefix"].as_str().unwrap())
        .collect();
    assert_eq!(prefixes, ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io", "registry.corp.example"]);
    assert!(content.contains("\"tags.example/quay.io\""), "{content}");
}

#[test]
fn files_are_written_once_and_never_replaced() {
    let environment = TestEnvironment::new();
    let root = environment.path("machine");
    let arguments = ["config", "client", "k3s", "--registry", "docker.io", "--write", root.to_str().unwrap()];
    insta::assert_snapshot!(environment.run(&arguments), @"
    exit 0
    -- stderr
    `$ROOT/machine/etc/rancher/k3s/registries.yaml` written
    `$ROOT/machine/etc/rancher/k3s/config.yaml.d/50-tlogistry.yaml` written
    k3s: fail-closed: a tag that tlogistry refuses is pulled from nowhere else
    k3s: both files are needed on every node, and a restart of k3s; without the flag it is fail-open
    k3s: only images of docker.io are pulled through the service; any other registry is asked itself
    ");
    let flag = root.join("etc/rancher/k3s/config.yaml.d/50-tlogistry.yaml");
    assert!(fs::read_to_string(&flag).unwrap().ends_with("disable-default-registry-endpoint: true\n"));
    environment.run(&arguments).done();
    fs::write(&flag, "disable-default-registry-endpoint: false\n").unwrap();
    fs::remove_file(root.join("etc/rancher/k3s/registries.yaml")).unwrap();
    insta::assert_snapshot!(environment.run(&arguments), @"
    exit 2
    -- stderr
    error: `$ROOT/machine/etc/rancher/k3s/config.yaml.d/50-tlogistry.yaml` is there and says something else; nothing was written

    hint: print the files without `--write` and merge them by hand; `tlogistry doctor` checks the result
    ");
    assert!(!root.join("etc/rancher/k3s/registries.yaml").exists());
}

#[test]
fn an_unknown_client_is_answered_with_the_known_ones() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["config", "client", "nerdctl"]), @"
    exit 2
    -- stderr
    error: `<NAME>`: `nerdctl` is none of the clients that can be set up

    hint: one of containerd, docker, docker-classic, podman, skopeo, buildah, cri-o, k3s, rke2, talos, openshift, buildkit, kaniko
    ");
    insta::assert_snapshot!(environment.run(&["config", "client", "podman", "--registry", "library/alpine"]), @"
    exit 2
    -- stderr
    error: `--registry <HOST>`: `library/alpine` is not the host of a registry; write a DNS name with a dot, such as `ghcr.io`

    hint: name the registry alone, such as `docker.io` or `ghcr.io`
    ");
    insta::assert_snapshot!(environment.run(&["config", "client", "podman", "--ca", "ca.pem"]), @"
    exit 2
    -- stderr
    error: `--ca <FILE>`: `ca.pem` is not an absolute path

    hint: write it as on the client's machine, such as `/etc/ssl/tlogistry-ca.pem`
    ");
}
