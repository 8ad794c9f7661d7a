//! The admin socket: one line of JSON asks, one line answers.
//!
//! Who may open the socket's file (mode 0600, in a directory of mode 0700) may give commands: the
//! file system authenticates. Knows nothing of what commands do.

use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oci::{Sha256Digest, TagName};
use serde::{Deserialize, Serialize};
use taglog::Reason;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::execute::{Public, execute};
use super::{AdminError, Command, Outcome};
use crate::app::App;
use crate::edge::listen::accept_failed;
use crate::health::{Readiness, Told, readiness};
use crate::log_api;

const FILE: &str = "admin.sock";
/// Bytes of a question or an answer.
const MAX_LINE: u64 = 64 * 1024;
/// Connections at one time; those who come later wait.
const CONNECTIONS: usize = 16;
/// How long a connection may take to ask, and an answer to come; a fetch lies between.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Question {
    Supersede { reference: String, digest: String, reason: String },
    Thaw { reference: String, reason: String },
    Ready,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Outcome),
    Refused(String),
    Ready(Readiness),
}

/// The service's end.
pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A dead socket that stays behind is only found to be dead by the next who asks.
        let _already_gone = std::fs::remove_file(&self.path);
    }
}

impl Listener {
    /// Binds `<data_dir>/admin.sock`. The data directory's lock is held, so a socket that is there is a dead one.
    ///
    /// The service works without: then commands need it stopped.
    pub(crate) fn bind(data_dir: &Path) -> Option<Self> {
        let path = data_dir.join(FILE);
        let bound = || {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        match bound() {
            Ok(listener) => Some(Self { listener, path }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no admin socket: `supersede` and `thaw` need the service stopped");
                None
            }
        }
    }

    /// Answers every connection until `stop` resolves, so that one that says nothing keeps no other from being heard.
    /// A command that runs then is finished; who has not asked yet is not waited for.
    pub(crate) async fn serve(self, app: Arc<App>, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let (stopping, stopped) = watch::channel(());
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_ended) = open.join_next() => {}
                accepted = self.listener.accept(), if open.len() < CONNECTIONS => match accepted {
                    Ok((stream, _peer)) => {
                        open.spawn(connection(Arc::clone(&app), stream, stopped.clone()));
                    }
                    Err(error) => accept_failed(&error).await,
                },
            }
        }
        drop(stopping);
        while let Some(ended) = open.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "an admin command ended in a panic");
            }
        }
    }
}

async fn connection(app: Arc<App>, stream: UnixStream, mut stopped: watch::Receiver<()>) {
    let mut stream = BufReader::new(stream);
    let exchange = async {
        let mut line = String::new();
        let mut bounded = (&mut stream).take(MAX_LINE);
        tokio::select! {
            // An error means that the sender is gone, which is the signal.
            _stop = stopped.changed() => return Ok(()),
            read = bounded.read_line(&mut line) => read?,
        };
        answer(&app, &line, stream.get_mut()).await
    };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "an admin command could not be answered"),
        Err(_late) => tracing::warn!("an admin command took too long"),
    }
}

fn public(app: &App) -> Option<Public<'_>> {
    app.evidence.as_ref().map(|records| Public { config: &app.config, records })
}

async fn answer(app: &App, line: &str, stream: &mut UnixStream) -> io::Result<()> {
    let answer = match serde_json::from_str::<Question>(line) {
        Err(error) => Answer::Refused(format!("not a command: {error}")),
        Ok(question) => match command(question) {
            Err(message) => Answer::Refused(message),
            Ok(None) => Answer::Ready(readiness(app, Told::Operators)),
            Ok(Some(command)) => {
                match execute(&app.ledger, &app.upstream, public(app), command.clone()).await {
                    Ok(outcome) => {
                        app.changed(&command);
                        Answer::Done(outcome)
                    }
                    Err(error) => Answer::Refused(with_sources(&error)),
                }
            }
        },
    };
    let mut line = serde_json::to_string(&answer)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await
}

/// Has the running service do it; `None` where there is none.
pub(super) async fn ask(
    data_dir: &Path,
    command: &Command,
) -> Result<Option<Result<Outcome, AdminError>>, AdminError> {
    match exchange(data_dir, &question(command)).await? {
        None => Ok(None),
        Some(Answer::Done(outcome)) => Ok(Some(Ok(outcome))),
        Some(Answer::Refused(message)) => Ok(Some(Err(AdminError::Refused { message }))),
        Some(Answer::Ready(_)) => Err(AdminError::Protocol),
    }
}

/// Asks the running service how it is; `None` where there is none.
pub(super) async fn ask_readiness(data_dir: &Path) -> Result<Option<Readiness>, AdminError> {
    match exchange(data_dir, &Question::Ready).await? {
        None => Ok(None),
        Some(Answer::Ready(readiness)) => Ok(Some(readiness)),
        Some(_) => Err(AdminError::Protocol),
    }
}

async fn exchange(data_dir: &Path, question: &Question) -> Result<Option<Answer>, AdminError> {
    let mut stream = match UnixStream::connect(data_dir.join(FILE)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(AdminError::Socket(error)),
    };
    let exchange = async {
        let mut line = serde_json::to_string(question)?;
        line.push('\n');
        stream.write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(&mut stream).take(MAX_LINE).read_line(&mut answer).await?;
        Ok(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, exchange)
        .await
        .unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into()))
        .map_err(AdminError::Socket)?;
    serde_json::from_str(&answer).map(Some).map_err(|_other_version| AdminError::Protocol)
}

fn question(command: &Command) -> Question {
    match command {
        Command::Supersede { tag, digest, reason } => Question::Supersede {
            reference: tag.to_string(),
            digest: digest.to_string(),
            reason: reason.as_str().to_owned(),
        },
        Command::Thaw { tag, reason } => {
            Question::Thaw { reference: tag.to_string(), reason: reason.as_str().to_owned() }
        }
    }
}

/// Nothing where it only asks.
fn command(question: Question) -> Result<Option<Command>, String> {
    let tag = |reference: &str| -> Result<TagName, String> {
        log_api::tag_name(reference).map_err(|error| error.to_string())
    };
    let reason = |text: &str| Reason::parse(text).map_err(|error| error.to_string());
    Ok(Some(match question {
        Question::Ready => return Ok(None),
        Question::Supersede { reference, digest, reason: text } => Command::Supersede {
            tag: tag(&reference)?,
            digest: Sha256Digest::parse(&digest).map_err(|error| error.to_string())?,
            reason: reason(&text)?,
        },
        Question::Thaw { reference, reason: text } => {
            Command::Thaw { tag: tag(&reference)?, reason: reason(&text)? }
        }
    }))
}

/// An error with what caused it, in one line.
fn with_sources(error: &AdminError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
