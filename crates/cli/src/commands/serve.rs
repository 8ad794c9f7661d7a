//! `serve`: the proxy, until it is told to stop.

use std::future::Future;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::config::LogFormat;
use server::{Reload, Service, Surroundings};

use super::config::warnings;
use super::signals::{Signals, hangups};
use crate::args::{Configuration, Listen};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Run the proxy
///
/// Without any configuration it listens on 127.0.0.1:8080, makes a log of its own where there is none, and lets clients
/// pull from every public registry.
///
/// SIGINT and SIGTERM let open answers finish; a second one ends the process at once, which loses no record either.
/// SIGHUP has certificates and users' files read again, which also happens within ten seconds of their change.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    configuration: Configuration,
}

/// How long threads may take to end once the log is closed.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  tlogistry serve
  docker pull localhost:8080/alpine:3.20
  docker pull localhost:8080/ghcr.io/org/app:v1";

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load_with(args.listen.listen)?;
    server::telemetry::log::install(config.log_format, ui.verbosity());
    raise_file_limit();
    for warning in warnings(&config) {
        tracing::warn!("{warning}");
    }
    if config.opened_by_port() {
        let port = config.listen.port();
        tracing::warn!(
            "`PORT={port}` opens this service to the network: whoever reaches {} can pull through it and have tags recorded; \
             to keep it to this machine unset `PORT`, or set `TLOGISTRY_LISTEN=127.0.0.1:{port}`",
            config.listen
        );
    }
    let for_people = match config.log_format {
        LogFormat::Auto => ui.is_on_terminal(),
        LogFormat::Json => false,
        LogFormat::Text => true,
    };
    let pages = config.public;
    let failed = |error| CommandError::new(error).because_of("cannot start the server's threads");
    // As many workers as cores, which is the default.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let ended = runtime.block_on(async {
        let stop = stop()?;
        let service = Service::start(config, Surroundings::default()).await?;
        announce(ui, &service, for_people, pages);
        reload_on_hangup(service.reload())?;
        service.run(stop).await;
        Ok(Answer::Yes)
    });
    // The log is closed; whatever still waits, such as for a name server, has nobody to answer.
    runtime.shutdown_timeout(LAST_PATIENCE);
    if ended.is_ok() {
        tracing::info!("stopped");
    }
    ended
}

/// Where it listens, whose log it keeps, and how to pull; one line of the log where no person reads it.
fn announce(ui: &Ui, service: &Service, for_people: bool, pages: bool) {
    let (address, ledger) = (service.address(), service.ledger());
    let (origin, key) = (ledger.origin(), ledger.verifier_key());
    // An error means that witnesses have not cosigned any checkpoint yet.
    let size = ledger.published().ok().map(|published| published.size);
    if !for_people {
        tracing::info!(%address, public_url = %service.public_url(), %origin, log_key = %key, size, "listening");
        return;
    }
    let url = service.public_url();
    // Of a path in it clients know nothing.
    let host = url.authority();
    ui.note(format_args!("listening  {address}"));
    if pages {
        ui.note(format_args!("pages      {url}"));
    }
    match size {
        Some(size) => ui.note(format_args!("log        {origin}, {size} leaves")),
        None => ui.note(format_args!("log        {origin}, nothing published before its witnesses cosign")),
    }
    ui.note(format_args!("log key    {key}"));
    ui.note(format_args!("pull       docker pull {host}/alpine:3.20"));
    ui.note(format_args!("           docker pull {host}/ghcr.io/org/app:v1"));
    if url.scheme() == "http" {
        ui.note(format_args!("           podman pull --tls-verify=false {host}/alpine:3.20"));
    }
}

/// Resolves on the first SIGINT or SIGTERM; the second ends the process.
fn stop() -> Result<impl Future<Output = ()> + Send, CommandError> {
    let mut signals = Signals::listen()?;
    Ok(async move {
        let number = signals.next().await;
        tracing::info!(signal = number, "stopping; open answers may finish, a second signal ends at once");
        tokio::spawn(async move {
            let number = signals.next().await;
            tracing::warn!(signal = number, "ended before all answers were finished");
            // As a shell reports a process that a signal ended.
            std::process::exit(128 + number);
        });
    })
}

/// SIGHUP, which would end the process otherwise.
fn reload_on_hangup(reload: Reload) -> Result<(), CommandError> {
    let mut hangups = hangups()?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            reload.now();
        }
    });
    Ok(())
}

/// Every connection takes one or two file descriptors; the soft limit is often 1024.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
