//! `monitor --rekor`: reads a Rekor v2 log for what was signed in the service's name, and asks the service to explain it.
//!
//! An entry is explained by a bundle that the service shows for its hash and that passes every check. One that is not is
//! asked for once more at the next look, because a record is logged before it is shown; then it is reported.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use sigstore::monitor::{Signed, State};
use sigstore::{Clock, Sigstore};
use url::Url;

use crate::args::Configuration;
use crate::commands::signals::Signals;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

const FILE: &str = "rekor.json";
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a bundle.
const MAX_BUNDLE: usize = 1024 * 1024;

/// What was read, and what waits for its explanation.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Kept {
    state: State,
    waiting: Vec<Waiting>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Waiting {
    index: u64,
    hash: String,
}

#[derive(Serialize)]
struct Unexplained<'a> {
    schema: u8,
    event: &'static str,
    index: u64,
    hash: &'a str,
}

/// What is read and where.
pub(super) struct Watch<'a> {
    pub(super) service: &'a str,
    pub(super) directory: PathBuf,
    pub(super) configuration: Configuration,
    pub(super) once: bool,
    pub(super) interval: Duration,
}

/// Looks until it is told to end; the answer is no as soon as something is not explained.
pub(super) async fn watch(ui: &Ui, watch: Watch<'_>) -> Result<Answer, CommandError> {
    let config = watch.configuration.load()?;
    let Some(settings) = config.sigstore.map(|sigstore| sigstore.settings) else {
        let why = anyhow::anyhow!("the configuration has no `[sigstore]`, so nobody signs in its name");
        return Err(CommandError::new(why).hinted("name the service's own with `--config FILE`"));
    };
    let service = Url::parse(watch.service).map_err(CommandError::new)?;
    let sigstore = Sigstore::open(settings, Clock::default()).map_err(CommandError::new)?;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(CommandError::new)?;
    let path = watch.directory.join(FILE);
    let mut kept = read(&path)?;
    let mut signals = Signals::listen()?;
    let mut answer = Answer::Yes;
    loop {
        let mut found = std::mem::take(&mut kept.waiting);
        let old = found.len();
        let new = |signed: Signed| found.push(Waiting { index: signed.index, hash: signed.hash });
        kept.state = sigstore.watch(&kept.state, new, |_, _| ()).await.map_err(CommandError::new)?;
        let looked_at = found.len();
        for (place, waiting) in found.into_iter().enumerate() {
            if is_explained(&client, &sigstore, &service, &waiting.hash).await? {
                continue;
            }
            if place < old || watch.once {
                answer = Answer::No;
                report(&waiting)?;
            } else {
                kept.waiting.push(waiting);
            }
        }
        write(&path, &kept)?;
        ui.note(format_args!(
            "{} entries read, of ours: {looked_at}, waiting for an explanation: {}",
            kept.state.size,
            kept.waiting.len()
        ));
        if watch.once {
            return Ok(answer);
        }
        tokio::select! {
            () = tokio::time::sleep(watch.interval) => {}
            _ = signals.next() => return Ok(answer),
        }
    }
}

/// Whether the service shows a record that passes every check and was signed as this entry.
async fn is_explained(
    client: &reqwest::Client,
    sigstore: &Sigstore,
    service: &Url,
    hash: &str,
) -> Result<bool, CommandError> {
    let url = service.join(&format!("bundle/pae/{hash}")).map_err(CommandError::new)?;
    let mut response = client.get(url).send().await.map_err(CommandError::new)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(false),
        status => {
            let why =
                anyhow::anyhow!("`{service}` answers with status {status} when it is asked for a bundle");
            return Err(
                CommandError::new(why).hinted("its log has to be public, or this address allowed to read it")
            );
        }
    }
    let mut bundle = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(CommandError::new)? {
        if bundle.len() + chunk.len() > MAX_BUNDLE {
            return Ok(false);
        }
        bundle.extend_from_slice(&chunk);
    }
    let of = |hash: [u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(sigstore.verify(&bundle).is_ok_and(|verified| of(verified.pae_hash) == hash))
}

fn report(waiting: &Waiting) -> Result<(), CommandError> {
    let line = Unexplained { schema: 1, event: "unexplained", index: waiting.index, hash: &waiting.hash };
    let mut stdout = std::io::stdout().lock();
    let text = serde_json::to_string(&line).map_err(CommandError::new)?;
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(CommandError::new)
}

fn read(path: &Path) -> Result<Kept, CommandError> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            CommandError::new(error)
                .because_of(format!("`{}` is damaged", path.display()))
                .hinted("without it the log is read from its beginning")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => {
            Err(CommandError::new(error).because_of(format!("`{}` cannot be read", path.display())))
        }
    }
}

/// Whole or not at all.
fn write(path: &Path, kept: &Kept) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::new(error).because_of(format!("`{}` cannot be written", path.display()))
    };
    let text = serde_json::to_vec(kept).map_err(CommandError::new)?;
    let beside = path.with_extension("new");
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut file = std::fs::File::create(&beside).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
