//! `monitor --rekor`: reads Rekor for what was signed in the service's name, and asks the service to explain it: a whole
//! v2 log, or what v1 has of the tags that are named.
//!
//! An entry is explained by a bundle that the service shows for its hash and that passes every check. One that is not is
//! asked for once more at the next look, because a record is logged before it is shown; then it is reported.

mod published;
mod tags;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sigstore::monitor::{Signed, State};
use sigstore::{Clock, Sigstore};

use self::published::Published;
use crate::args::Configuration;
use crate::commands::signals::Signals;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Of a log that is read, and of tags that are looked up: neither may forget what waits for the other.
const FILE: &str = "rekor.json";
const TAGS_FILE: &str = "rekor-tags.json";

/// What was read, what waits for its explanation, and what was reported.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Kept {
    state: State,
    waiting: Vec<Suspect>,
    #[serde(default)]
    reported: Vec<Suspect>,
}

/// An entry that is not explained: a leaf that was read, or what the index has under a tag.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
enum Suspect {
    Entry { tag: String, index: u64, uuid: String },
    Leaf { index: u64, hash: String },
}

#[derive(Serialize)]
struct Unexplained<'a> {
    schema: u8,
    event: &'static str,
    #[serde(flatten)]
    suspect: &'a Suspect,
}

/// What is read and where.
pub(super) struct Watch<'a> {
    pub(super) service: &'a str,
    pub(super) directory: PathBuf,
    pub(super) configuration: Configuration,
    pub(super) tags: Vec<String>,
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
    let sigstore = Sigstore::open(settings, Clock::default()).map_err(CommandError::new)?;
    let published = Published::of(watch.service, &sigstore)?;
    let path = watch.directory.join(if watch.tags.is_empty() { FILE } else { TAGS_FILE });
    let mut kept = read(&path)?;
    let mut signals = Signals::listen()?;
    let mut answer = Answer::Yes;
    loop {
        let before = std::mem::take(&mut kept.waiting);
        let suspects = if watch.tags.is_empty() {
            read_on(ui, &sigstore, &published, &mut kept.state, before.clone()).await?
        } else {
            tags::look_up(ui, &sigstore, &published, &watch.tags).await?
        };
        for suspect in suspects {
            if kept.reported.contains(&suspect) {
                continue;
            }
            if watch.once || before.contains(&suspect) {
                answer = Answer::No;
                report(&suspect)?;
                kept.reported.push(suspect);
            } else {
                kept.waiting.push(suspect);
            }
        }
        write(&path, &kept)?;
        if watch.once {
            return Ok(answer);
        }
        tokio::select! {
            () = tokio::time::sleep(watch.interval) => {}
            _ = signals.next() => return Ok(answer),
        }
    }
}

/// What is not explained of what was read since, and of what was not explained before.
async fn read_on(
    ui: &Ui,
    sigstore: &Sigstore,
    published: &Published<'_>,
    state: &mut State,
    before: Vec<Suspect>,
) -> Result<Vec<Suspect>, CommandError> {
    let mut found = before;
    let new = |signed: Signed| found.push(Suspect::Leaf { index: signed.index, hash: signed.hash });
    *state = sigstore.watch(state, new, |_, _| ()).await.map_err(CommandError::new)?;
    let of_ours = found.len();
    let mut suspects = Vec::new();
    for suspect in found {
        if let Suspect::Leaf { hash, .. } = &suspect
            && published.statement(hash).await?.is_none()
        {
            suspects.push(suspect);
        }
    }
    let entries = state.size;
    ui.note(format_args!("{entries} entries read, of ours: {of_ours}, not explained: {}", suspects.len()));
    Ok(suspects)
}

fn report(suspect: &Suspect) -> Result<(), CommandError> {
    let line = Unexplained { schema: 1, event: "unexplained", suspect };
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
