//! `monitor --rekor`: reads Rekor for what was signed in the service's name, and asks the service to explain it: every v2
//! log that is believed, or what v1 has of the tags that are named.
//!
//! An entry is explained by a bundle that the service shows for its hash and that passes every check. One that is not is
//! asked for once more at the next look, because a record is logged before it is shown; then it is reported. What cannot be
//! asked or read is tried again at the next look; nothing that was found is forgotten meanwhile.

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
    Leaf { log: String, index: u64, hash: String },
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
        let before = kept.waiting.clone();
        let looking = async {
            if watch.tags.is_empty() {
                read_on(ui, &sigstore, &published, &mut kept).await
            } else {
                look_up(ui, &sigstore, &published, &watch.tags, &mut kept).await
            }
        };
        let look = tokio::select! {
            look = looking => Some(look),
            _ = signals.next() => None,
        };
        let Some((unexplained, failed)) = look else {
            write(&path, &kept)?;
            return Ok(answer);
        };
        for suspect in kept.judge(unexplained, &before, watch.once) {
            answer = Answer::No;
            report(&suspect)?;
        }
        write(&path, &kept)?;
        match failed {
            Some(error) if watch.once && answer == Answer::Yes => return Err(error),
            Some(error) => ui.note(format_args!("not all could be looked at: {:#}", error.error)),
            None => {}
        }
        if watch.once {
            return Ok(answer);
        }
        tokio::select! {
            () = tokio::time::sleep(watch.interval) => {}
            _ = signals.next() => return Ok(answer),
        }
    }
}

impl Kept {
    /// What is to be reported of what is not explained; the rest waits, with what nobody could be asked about.
    fn judge(&mut self, unexplained: Vec<Suspect>, before: &[Suspect], at_once: bool) -> Vec<Suspect> {
        let mut reports = Vec::new();
        for suspect in unexplained {
            let is_new = !self.reported.contains(&suspect);
            if is_new && !at_once && !before.contains(&suspect) {
                continue;
            }
            self.waiting.retain(|waiting| *waiting != suspect);
            if is_new {
                self.reported.push(suspect.clone());
                reports.push(suspect);
            }
        }
        reports
    }
}

/// What is not explained of what was read since, and of what was not explained before; and why that may not be all.
async fn read_on(
    ui: &Ui,
    sigstore: &Sigstore,
    published: &Published<'_>,
    kept: &mut Kept,
) -> (Vec<Suspect>, Option<CommandError>) {
    let Kept { state, waiting, .. } = kept;
    let new = |Signed { log, index, hash }| {
        let suspect = Suspect::Leaf { log, index, hash };
        // A part that was not proven is read again.
        if !waiting.contains(&suspect) {
            waiting.push(suspect);
        }
    };
    let mut failed = sigstore.watch(state, new, |_, _| ()).await.map_err(CommandError::new).err();
    let of_ours = waiting.len();
    let mut suspects = Vec::new();
    for suspect in waiting.clone() {
        let Suspect::Leaf { hash, .. } = &suspect else { continue };
        match published.statement(hash).await {
            Ok(None) => suspects.push(suspect),
            Ok(Some(_)) => waiting.retain(|explained| *explained != suspect),
            Err(error) => drop(failed.get_or_insert(error)),
        }
    }
    let logs = state.logs.len();
    let entries: u64 = state.logs.values().map(|log| log.proven.size).sum();
    ui.note(format_args!(
        "{entries} entries of {logs} logs read, of ours: {of_ours}, not explained: {}",
        suspects.len()
    ));
    (suspects, failed)
}

/// The same of what is under these tags.
async fn look_up(
    ui: &Ui,
    sigstore: &Sigstore,
    published: &Published<'_>,
    tags: &[String],
    kept: &mut Kept,
) -> (Vec<Suspect>, Option<CommandError>) {
    match tags::look_up(ui, sigstore, published, tags).await {
        Ok(suspects) => {
            kept.waiting.clone_from(&suspects);
            (suspects, None)
        }
        Err(error) => (Vec::new(), Some(error)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn suspect(index: u64) -> Suspect {
        Suspect::Leaf { log: "rekor2.example".to_owned(), index, hash: "00".repeat(32) }
    }

    #[test]
    fn what_is_not_explained_twice_is_reported_once_and_what_could_not_be_asked_about_waits() {
        let (first, asked_in_vain) = (suspect(0), suspect(1));
        let mut kept = Kept { waiting: vec![first.clone(), asked_in_vain.clone()], ..Kept::default() };
        assert_eq!(kept.judge(vec![first.clone()], &[], false), []);
        assert_eq!(kept.waiting, [first.clone(), asked_in_vain.clone()]);
        let before = kept.waiting.clone();
        assert_eq!(kept.judge(vec![first.clone()], &before, false), std::slice::from_ref(&first));
        assert_eq!(kept.waiting, std::slice::from_ref(&asked_in_vain));
        kept.waiting.push(first.clone());
        assert_eq!(kept.judge(vec![first], &before, true), []);
        assert_eq!(kept.judge(vec![asked_in_vain.clone()], &[], true), std::slice::from_ref(&asked_in_vain));
        assert_eq!(kept.waiting, []);
    }
}
