//! `witness`: cosigns the checkpoints of other logs (C2SP tlog-witness).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use server::ServeError;
use tlog::VerifierKey;
use witness::Settings;
use witness::server::{Error, Log, Logs, Now, Witness};

use super::signals::Signals;
use super::stranger;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values;

/// Connections at one time.
const CONNECTIONS: u32 = 256;

/// Cosign the checkpoints of other logs
///
/// A C2SP tlog-witness: it cosigns a checkpoint only if that continues what it cosigned of the log before, which it
/// writes down first. Two organisations that run each other's witness cannot be shown two histories.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a witness's key and its empty memory, and print its verifier key
    Init(Init),
    /// Run the witness
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Name of the witness, such as `witness.example/w1`
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    place: Place,
    /// Address and port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090", value_parser = values::address)]
    listen: SocketAddr,
    /// Verifier key of a log to cosign for; may be repeated
    #[arg(long = "log-key", value_name = "VKEY", required = true, value_parser = values::log_key)]
    logs: Vec<VerifierKey>,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The database of what was cosigned
    #[arg(long, value_name = "FILE", default_value = "witness.db")]
    state: PathBuf,
    /// The key
    #[arg(long, value_name = "FILE", default_value = "witness.key")]
    key: PathBuf,
}

pub(crate) fn run(ui: &Ui, command: Command) -> Result<Answer, CommandError> {
    match command {
        Command::Init(Init { name, place }) => {
            let key = witness::create(&place.state, &place.key, &name)?;
            ui.print(&key, &serde_json::json!({ "verifier_key": key.to_string() }))?;
            ui.note(format_args!(
                "made the witness `{name}`; `tlogistry witness serve --log-key VKEY` runs it"
            ));
            ui.note("never restore an old copy of its database: it would cosign a second history");
            Ok(Answer::Yes)
        }
        Command::Serve(args) => serve(ui, args),
    }
}

fn serve(ui: &Ui, args: Serve) -> Result<Answer, CommandError> {
    server::telemetry::log::install(server::config::LogFormat::Auto, ui.verbosity());
    let Serve { place, listen, logs } = args;
    let mut keys: BTreeMap<String, Vec<VerifierKey>> = BTreeMap::new();
    for key in logs {
        keys.entry(key.name().to_owned()).or_default().push(key);
    }
    let logs = keys.into_iter().map(|(origin, keys)| Log { origin, keys });
    let logs = Logs::new(logs)?;
    stranger::wait(async {
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .map_err(|source| ServeError::Listen { address: listen, source })?;
        let address = listener.local_addr().map_err(CommandError::new)?;
        let settings = Settings {
            listener,
            connections: CONNECTIONS,
            database: place.state,
            key_file: place.key,
            logs,
            now: Now::system(),
        };
        let witness = Witness::open(settings).map_err(CommandError::from)?;
        ui.note(format_args!("the witness listens on http://{address}"));
        Ok(witness.run(stopped()).await?)
    })?;
    Ok(Answer::Yes)
}

/// SIGINT or SIGTERM.
async fn stopped() {
    match Signals::listen() {
        Ok(mut signals) => {
            signals.next().await;
        }
        // Without signals it runs until it is killed, and loses nothing by it.
        Err(_unheard) => std::future::pending().await,
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        let hint = match &error {
            Error::Key { .. } | Error::DatabaseMissing { .. } => Some(
                "`tlogistry witness init --name NAME` makes key and database of a witness that never ran",
            ),
            Error::File { .. } => Some("`--state FILE` and `--key FILE` say where database and key are"),
            _ => None,
        };
        Self::new(error).hinted_if(hint)
    }
}
