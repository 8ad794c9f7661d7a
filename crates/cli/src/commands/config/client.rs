//! `config client NAME`: the files that make a client of registries pull through the service.
//! It must not know what any client's files look like.

mod builders;
mod containerd;
mod containers;
mod docker;
mod openshift;
mod rancher;
mod setup;
mod talos;
mod write;

use std::path::PathBuf;

use serde::Serialize;
use server::config::Config;
use url::Url;

use self::setup::{Closing, File, Service, Setup, Unsuited};
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values::{self, Registry, Wrong};

/// Print the configuration that makes a client pull through the service
///
/// Where the client can be told so, a tag that the service refuses is not pulled from anywhere else; where it cannot,
/// this is said on standard error and in the file, with what closes the gap.
///
/// Clients: containerd, docker (with the containerd store), docker-classic, podman, skopeo, buildah, cri-o, k3s, rke2,
/// talos, openshift, buildkit, kaniko.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The client
    #[arg(value_name = "NAME", value_parser = client)]
    client: &'static Client,
    /// The service as the client reaches it [default: `public_url` of the configuration]
    #[arg(long, value_name = "URL", value_parser = values::server)]
    server: Option<Url>,
    /// A registry whose images are pulled through the service, as the client names it; repeatable; `*` means all, where
    /// the client can say that [default: docker.io, ghcr.io, quay.io, registry.k8s.io and the configured upstreams]
    #[arg(long = "registry", value_name = "HOST", value_parser = values::registry)]
    registries: Vec<Registry>,
    /// The certificate of the service's private CA, as a file on the client's machine
    #[arg(long, value_name = "FILE", value_parser = values::absolute)]
    ca: Option<String>,
    /// Write the files below this directory (`/` for this machine) instead of printing them; what is there stays
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    #[command(flatten)]
    configuration: Configuration,
}

/// One that can be set up.
#[derive(Debug)]
pub(crate) struct Client {
    name: &'static str,
    setup: fn(&Service<'_>, &[Registry]) -> Result<Setup, Unsuited>,
}

const CLIENTS: [Client; 13] = [
    Client { name: "containerd", setup: containerd::containerd },
    Client { name: "docker", setup: containerd::docker },
    Client { name: "docker-classic", setup: docker::classic },
    Client { name: "podman", setup: containers::tools },
    Client { name: "skopeo", setup: containers::tools },
    Client { name: "buildah", setup: containers::tools },
    Client { name: "cri-o", setup: containers::crio },
    Client { name: "k3s", setup: rancher::k3s },
    Client { name: "rke2", setup: rancher::rke2 },
    Client { name: "talos", setup: talos::talos },
    Client { name: "openshift", setup: openshift::openshift },
    Client { name: "buildkit", setup: builders::buildkit },
    Client { name: "kaniko", setup: builders::kaniko },
];

/// What most images are named after.
const USUAL: [&str; 4] = ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io"];

#[derive(Serialize)]
struct Printed<'a> {
    client: &'static str,
    fail_closed: bool,
    notes: Vec<&'a str>,
    files: &'a [File],
}

fn client(text: &str) -> Result<&'static Client, Wrong> {
    CLIENTS.iter().find(|client| client.name == text).ok_or_else(|| {
        let names: Vec<_> = CLIENTS.iter().map(|client| client.name).collect();
        let problem = format!("`{text}` is none of the clients that can be set up");
        Wrong::new(&problem, format!("one of {}", names.join(", ")))
    })
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let (server, registries) = match (args.server, args.registries) {
        (Some(server), registries) if !registries.is_empty() => (server, registries),
        (server, registries) => {
            let config = args.configuration.load()?;
            let registries = if registries.is_empty() { usual(&config) } else { registries };
            (server.unwrap_or(config.public_url), registries)
        }
    };
    let service = Service::new(&server, args.ca.as_deref());
    let setup = (args.client.setup)(&service, &registries).map_err(|why| {
        CommandError::new(anyhow::anyhow!("`{}` cannot be set up so: {why}", args.client.name))
            .hinted(why.hint())
    })?;
    let say = |text: &str| ui.note(format_args!("{}: {text}", args.client.name));
    if let Some(directory) = &args.write {
        for path in write::all(directory, &setup.files)? {
            ui.note(format_args!("`{}` written", path.display()));
        }
    }
    let notes = setup.all_notes(&service);
    if args.write.is_none() || ui.is_json() {
        let files = &setup.files;
        let printed = Printed {
            client: args.client.name,
            fail_closed: matches!(setup.closing, Closing::Closed),
            notes: notes.iter().map(String::as_str).collect(),
            files,
        };
        let texts: Vec<_> = files.iter().map(|file| file.content.as_str()).collect();
        ui.print(texts.join("\n"), &printed)?;
    }
    for note in &notes {
        say(note);
    }
    Ok(Answer::Yes)
}

/// The usual registries, and those that the service reaches by their own names.
fn usual(config: &Config) -> Vec<Registry> {
    let mut registries: Vec<Registry> = USUAL.iter().filter_map(|name| values::registry(name).ok()).collect();
    for host in config.upstreams.keys() {
        // An alias is a name that only the service knows.
        if config.upstreams.get(host).is_some_and(|upstream| upstream.url.is_some())
            && host.as_str() != oci::RegistryHost::docker_hub().as_str()
        {
            continue;
        }
        if let Ok(registry) = values::registry(host.as_str())
            && !registries.contains(&registry)
        {
            registries.push(registry);
        }
    }
    registries
}
