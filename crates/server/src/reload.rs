//! Files that are read again while the service runs: when they changed, and when an operator asks for it.
//!
//! What cannot be used is logged once, counted, shown at `/readyz`, and changes nothing. Knows not what is in them.

use std::fmt::Display;
use std::future::Future;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::app::App;

/// Files that belong together, as they were when they were last read.
#[derive(Debug)]
pub(crate) struct Watched {
    paths: Vec<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seen: Vec<Stamp>,
    failing: Option<String>,
}

/// By what a file that changed is told: a link that leads elsewhere has another inode.
type Stamp = Option<(u64, u64, i64, i64)>;

impl Watched {
    /// To be made before the files are read, so that no change is missed.
    pub(crate) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<_> = paths.into_iter().collect();
        let state = Mutex::new(State { seen: stamps(&paths), failing: None });
        Self { paths, state }
    }

    /// Why the newest files are not in use.
    pub(crate) fn failing(&self) -> Option<String> {
        self.lock().failing.clone()
    }

    /// Calls `read` if any file changed, or `always`; gives whether that went well, if it was called.
    fn look<E: Display>(
        &self,
        always: bool,
        read: impl FnOnce() -> Result<(), E>,
    ) -> Option<Result<(), String>> {
        let now = stamps(&self.paths);
        if !always && self.lock().seen == now {
            return None;
        }
        let outcome = read().map_err(|error| error.to_string());
        let mut state = self.lock();
        state.seen = now;
        state.failing = outcome.as_ref().err().cloned();
        Some(outcome)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
    };
    paths.iter().map(stamp).collect()
}

/// Looks every `interval`, and whenever it is `asked`, until `stop` resolves.
pub(crate) async fn keep_up(
    app: Arc<App>,
    asked: Arc<Notify>,
    interval: Duration,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    if app.tls.as_ref().is_some_and(|tls| tls.not_after() <= app.now()) {
        tracing::error!("the certificate that clients are shown has ended; put a new one in `tls.cert_file`");
    }
    loop {
        let always = tokio::select! {
            () = &mut stop => return,
            () = asked.notified() => true,
            () = tokio::time::sleep(interval) => false,
        };
        let looking = Arc::clone(&app);
        let looked = tokio::task::spawn_blocking(move || look(&looking, always)).await;
        if let Err(error) = looked {
            tracing::error!(%error, "reading files again ended in a panic");
        }
    }
}

fn look(app: &App, always: bool) {
    if let Some(tls) = &app.tls {
        tell(app, "certificate", tls.watched.look(always, || tls.reload(app.now())));
    }
    if let Some(auth) = &app.auth {
        tell(app, "accounts", auth.watched().look(always, || auth.reload()));
    }
}

fn tell(app: &App, what: &'static str, outcome: Option<Result<(), String>>) {
    let Some(outcome) = outcome else { return };
    app.metrics.reloaded(what, outcome.is_ok());
    match outcome {
        Ok(()) => tracing::info!(what, "read again"),
        Err(error) => tracing::error!(what, %error, "the new files cannot be used; the old ones stay"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_when_they_changed_and_a_failure_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "a").unwrap();
        let watched = Watched::new([path.clone()]);
        let bad = || Err::<(), _>("bad");
        assert_eq!(watched.look(false, bad), None);
        std::fs::write(&path, "ab").unwrap();
        assert_eq!(watched.look(false, bad), Some(Err("bad".to_owned())));
        assert_eq!(watched.look(false, bad), None);
        assert_eq!(watched.failing().as_deref(), Some("bad"));
        assert_eq!(watched.look(true, || Ok::<_, String>(())), Some(Ok(())));
        assert_eq!(watched.failing(), None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(watched.look(false, bad), Some(Err("bad".to_owned())));
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        std::fs::write(file("one"), "a").unwrap();
        std::fs::write(file("two"), "b").unwrap();
        std::os::unix::fs::symlink(file("one"), file("link")).unwrap();
        let watched = Watched::new([file("link")]);
        std::os::unix::fs::symlink(file("two"), file("next")).unwrap();
        std::fs::rename(file("next"), file("link")).unwrap();
        assert_eq!(watched.look(false, || Ok::<_, String>(())), Some(Ok(())));
    }
}
