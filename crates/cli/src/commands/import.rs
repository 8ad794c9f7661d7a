//! `import`: many references recorded before anybody pulls them, through a running service.

mod lines;
mod list;
mod outcome;
mod queue;
mod record;
mod service;
mod state;
mod values;

use std::path::{Path, PathBuf};

use url::Url;

use self::list::List;
use self::outcome::Counts;
use self::queue::Rate;
use self::record::Ended;
use self::service::Service;
use self::state::State;
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Record a list of references before they are pulled
///
/// Asks a running service for each of them, as a client that pulls would, but for the head of the manifest alone. Prints
/// a line for each as it is done, and exits with 0 if all are recorded or known.
///
/// Those are noted in a file beside the list and not asked for again: after an interruption the same command goes on
/// where it was. All others are tried again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Args {
    /// One reference a line, as for `docker pull`; `#` begins a comment; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The service [default: `public_url` of the configuration]
    #[arg(long, value_name = "URL", env = "TLOGISTRY_SERVER", hide_env_values = true, value_parser = crate::values::server)]
    server: Option<Url>,
    /// References a second for each upstream registry; also less than one, such as `0.1`
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::rate)]
    rate: Rate,
    /// References at one time, never two of one repository
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Where to note what is done [default: FILE.done; nowhere for a pipe]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    #[command(flatten)]
    configuration: Configuration,
}

const AFTER_HELP: &str = "\
Results:
  recorded REF DIGEST INDEX                  just now, by this leaf of the log
  known REF DIGEST INDEX                     had a record before
  moved REF recorded DIGEST upstream DIGEST  upstream moved it since it was recorded
  passed REF                                 served and not recorded, as a rule of the service has it
  failed REF REASON                          FILE:LINE in place of what is no reference

Examples:
  tlogistry import references.txt
  tlogistry import references.txt --server https://tlog.example --rate 1";

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let Args { file, server, rate, jobs, state, configuration } = args;
    let server = match server {
        Some(server) => server,
        None => values::root(configuration.load()?.public_url),
    };
    let list = List::new(file);
    let total = list.count()?;
    let mut state = match state.or_else(|| total.and(list.path()).map(beside)) {
        Some(path) => State::open(&path, &server)?,
        None => State::none(),
    };
    let service = Service::new(server)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::new(error).because_of("cannot wait for anything"))?;
    let mut counts = Counts::default();
    let work = record::Work { list, total, service, rate, jobs: jobs.into() };
    let ended = runtime.block_on(record::all(ui, work, &mut state, &mut counts));
    // Also after an error: what is done is done.
    let noted = state.sync();
    if !counts.is_empty() {
        ui.note(&counts);
    }
    let ended = ended?;
    noted?;
    if let Ended::Early(error) = ended {
        return Err(error.hinted(if state.is_none() {
            "with `--state FILE` a second run would do only what is missing"
        } else {
            "the same command goes on where it was"
        }));
    }
    Ok(if counts.all_recorded() { Answer::Yes } else { Answer::No })
}

/// `references.txt.done`
fn beside(list: &Path) -> PathBuf {
    let mut name = list.as_os_str().to_owned();
    name.push(".done");
    name.into()
}
