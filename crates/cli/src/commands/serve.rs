//! `serve`: the proxy, until it is told to stop.

use std::future::Future;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{Configuration, Listen};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Run the proxy
///
/// Without any configuration it listens on 127.0.0.1:8080, makes a log of its own where there is none, and lets clients
/// pull from every public registry.
///
/// SIGINT and SIGTERM let open answers finish; a second one ends the process at once, which loses no record either.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    configuration: Configuration,
}

const EXAMPLES: &str = "\
Examples:
  tlogistry serve
  docker pull localhost:8080/alpine:3.20
  docker pull localhost:8080/ghcr.io/org/app:v1";

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load_with(args.listen.listen)?;
    server::telemetry::log::install(config.log_format, ui.verbosity());
    raise_file_limit();
    let failed =
        |error| CommandError::new(error).because_of("cannot start the threads of the server".to_owned());
    // As many workers as cores, which is the default.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let stop = stop()
            .map_err(|error| CommandError::new(error).because_of("cannot wait for signals".to_owned()))?;
        server::serve(config, stop).await?;
        Ok(Answer::Yes)
    })
}

/// Resolves on the first SIGINT or SIGTERM; the second ends the process.
fn stop() -> std::io::Result<impl Future<Output = ()> + Send> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        let number = either(&mut interrupt, &mut terminate).await;
        tracing::info!(signal = number, "stopping; open answers may finish, a second signal ends at once");
        tokio::spawn(async move {
            let number = either(&mut interrupt, &mut terminate).await;
            tracing::warn!(signal = number, "ended before all answers were finished");
            // As a shell reports a process that a signal ended.
            std::process::exit(128 + number);
        });
    })
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
    }
}

/// Every connection takes one or two file descriptors; the soft limit is often 1024.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
