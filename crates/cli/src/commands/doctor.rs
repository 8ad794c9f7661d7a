//! `doctor`: what is wrong with the clients of this machine, and with the service.
//! It must not know what any file looks like.

mod buildkit;
mod containerd;
mod containers;
mod docker;
mod files;
mod findings;
mod hosts;
mod log;
mod network;
mod rancher;
mod tls;
mod us;

use std::path::PathBuf;

use anyhow::anyhow;
use server::config::Config;
use url::Url;

use self::files::Root;
use self::findings::Findings;
use self::us::Us;
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values;

/// Tell what is wrong with clients and service on this machine
///
/// Reads the files of containerd, Docker, podman, skopeo, buildah, CRI-O, k3s, RKE2 and BuildKit, and says where one of
/// them would pull a refused tag from the registry itself, with what closes the gap. Then looks at the service:
/// configuration, key, rollback guard, store, disk, clock, upstreams, certificate. A log that no process has open is
/// opened as `serve` opens it. Exits with 1 if anything is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service as clients reach it [default: `public_url` of the configuration]
    #[arg(long, value_name = "URL", value_parser = values::server)]
    server: Option<Url>,
    /// Where the clients' files are
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    #[command(flatten)]
    configuration: Configuration,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    if !args.root.is_dir() {
        let message = anyhow!("`{}` is not a directory", args.root.display());
        return Err(CommandError::new(message).hinted("`--root DIR` is where `etc` is"));
    }
    let config = args.configuration.load();
    let mut findings = Findings::default();
    // Without a configuration it is not known who we are, unless it was said.
    let server = args.server.or_else(|| config.as_ref().ok().map(|config| config.public_url.clone()));
    if let Some(server) = server {
        clients(&Us::new(server), &Root::new(args.root), &mut findings);
    }
    match config {
        Ok(config) => service(&config, &mut findings)?,
        Err(error) => {
            let hint = error.hints.first().cloned();
            findings.fail(
                "configuration",
                format!("{:#}", error.error),
                hint.unwrap_or_else(|| "correct it".to_owned()),
            );
        }
    }
    findings.print(ui)
}

fn clients(us: &Us, root: &Root, findings: &mut Findings) {
    let found = [
        containerd::check(us, root, findings),
        docker::check(us, root, findings),
        containers::check(us, root, findings),
        rancher::check(us, root, findings),
        buildkit::check(us, root, findings),
    ];
    if !found.contains(&true) {
        findings.ok("clients", format!("none of their files is below `{}`", root.path().display()));
    }
}

fn service(config: &Config, findings: &mut Findings) -> Result<(), CommandError> {
    match &config.file {
        Some(file) => findings.ok("configuration", format!("`{}` is valid", file.display())),
        None => findings.ok("configuration", "there is no file; the defaults are valid".to_owned()),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime =
        runtime.map_err(|error| CommandError::new(error).because_of("threads cannot be started"))?;
    runtime.block_on(async {
        let running = network::service(config, findings).await;
        log::check(config, running, findings).await;
        network::upstreams(config, findings).await;
        tls::check(&config.public_url, findings).await;
        if let Some(files) = &config.tls {
            tls::file(&files.cert_file, findings);
        }
    });
    Ok(())
}
