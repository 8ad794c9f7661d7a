//! What the verbs of a stranger share: whom to believe, where the memory is, how errors of `audit` end.
//! It must not know what is checked.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use audit::{Answer as Verdict, Http, Source, Trust};
use server::policy::Pattern;
use tlog::VerifierKey;

use crate::error::{CommandError, Kind};
use crate::values::{self, Wrong};

/// Bytes of a file of text that a person may write.
const MAX_TEXT: usize = 1024 * 1024;

/// Whom to believe.
#[derive(Debug, clap::Args)]
pub(super) struct Trusted {
    /// A verifier key of the log, from somebody you trust; may be repeated while a log changes its key
    #[arg(long = "log-key", value_name = "VKEY", env = "TLOGISTRY_LOG_KEY", value_parser = values::log_key)]
    keys: Vec<VerifierKey>,
    /// A C2SP tlog-policy file: logs, witnesses, how many of them; a group named `auditors` counts as such
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// Whom to believe, and the memory of what was seen.
#[derive(Debug, clap::Args)]
pub(super) struct Trusting {
    #[command(flatten)]
    pub(super) trusted: Trusted,
    /// Directory of what was seen before [default: tlogistry/client in the user's state directory]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Trusted {
    /// The keys and the policy.
    pub(super) fn trust(&self) -> Result<Trust, CommandError> {
        self.known()?.ok_or_else(|| audit::Error::NoKey.into())
    }

    /// The same, or nothing where no log's key was given.
    pub(super) fn known(&self) -> Result<Option<Trust>, CommandError> {
        let mut trust = match &self.policy {
            Some(path) => {
                let text = read(path)?;
                Trust::of_policy(&text)?
            }
            None => Trust::default(),
        };
        for key in &self.keys {
            trust = trust.and_key(key.clone())?;
        }
        Ok(Some(trust).filter(|trust| !trust.logs().is_empty()))
    }
}

impl Trusting {
    /// The keys and the policy.
    pub(super) fn trust(&self) -> Result<Trust, CommandError> {
        self.trusted.trust()
    }

    /// The key of the one log that is followed: the first that was given, or that of the policy's log.
    pub(super) fn followed(&self, trust: &Trust) -> Result<VerifierKey, CommandError> {
        let given = self.trusted.keys.first();
        let first = given.or(trust.logs().first()).ok_or(audit::Error::NoKey)?;
        if given.is_none() && trust.logs().iter().any(|key| key.name() != first.name()) {
            let several = anyhow::anyhow!("the policy knows several logs, and one is followed");
            return Err(CommandError::new(several).hinted("say which one with `--log-key VKEY`"));
        }
        Ok(first.clone())
    }

    /// Where the memory is.
    pub(super) fn state(&self) -> Result<PathBuf, CommandError> {
        state(self.state_dir.as_deref())
    }
}

/// Where the memory is, if nobody says otherwise.
pub(super) fn state(named: Option<&Path>) -> Result<PathBuf, CommandError> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let default = || {
        let home = || set("HOME").map(|home| home.join(".local/state"));
        set("XDG_STATE_HOME").or_else(home).map(|state| state.join("tlogistry/client"))
    };
    named.map(Path::to_owned).or_else(default).ok_or_else(|| {
        let nowhere = "no directory for what was seen before: neither `$XDG_STATE_HOME` nor `$HOME` is set";
        CommandError::new(anyhow::anyhow!(nowhere)).hinted("name one with `--state-dir DIR`")
    })
}

impl From<audit::Error> for CommandError {
    fn from(error: audit::Error) -> Self {
        let hint = match &error {
            audit::Error::NoKey => Some(
                "get the key from somebody you trust (the service shows its own at `/log/vkey`), then `--log-key VKEY`",
            ),
            audit::Error::UntrustedLog { .. } => {
                Some("is `--log-key` the key of this very log? a log never changes its name")
            }
            audit::Error::Unreachable { .. } => Some("is the URL right, and the service running?"),
            _ => None,
        };
        let kind = if error.answer() == Verdict::No { Kind::No } else { Kind::CouldNotRun };
        Self { kind, ..Self::new(error) }.hinted_if(hint)
    }
}

/// A log's files: the URL of a service, which has no path, or that of a log or mirror, or the directory of an export.
pub(super) fn log(place: &str) -> Result<Source, CommandError> {
    let source = Source::open(place, &Http::default())?;
    let is_service = url::Url::parse(place).is_ok_and(|url| url.path() == "/");
    Ok(if is_service { source.below("log") } else { source })
}

/// Unix seconds.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since: Duration| since.as_secs())
}

/// Waits for something.
pub(super) fn wait<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::new(error).because_of("cannot wait for anything"))?;
    runtime.block_on(work)
}

/// A small file of text: a policy, a key, a proof.
pub(super) fn read(path: &Path) -> Result<String, CommandError> {
    let bytes = read_bytes(path, MAX_TEXT)?;
    String::from_utf8(bytes).map_err(|_binary| unreadable(path, "it is not text"))
}

/// A file of at most `limit` bytes; whoever gave us the file may have chosen its size.
pub(super) fn read_bytes(path: &Path, limit: usize) -> Result<Vec<u8>, CommandError> {
    let read = || {
        let mut bytes = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: std::io::Error| {
        CommandError::new(error).because_of(format!("cannot read `{}`", path.display()))
    })?;
    if bytes.len() > limit {
        Err(unreadable(path, format!("it has more than {limit} bytes")))
    } else {
        Ok(bytes)
    }
}

fn unreadable(path: &Path, why: impl std::fmt::Display) -> CommandError {
    CommandError::new(anyhow::anyhow!("cannot use `{}`: {why}", path.display()))
}

/// A pattern over `<host>/<repository>:<tag>`.
pub(super) fn pattern(text: &str) -> Result<Pattern, Wrong> {
    text.parse()
        .map_err(|error| Wrong::new(&error, "write it as in a `[[policy]]`, such as `ghcr.io/org/*:*`"))
}
