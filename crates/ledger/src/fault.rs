//! Named points of the write path at which a test can make a step fail, before or after it had its effect.
//! Without the feature `fault` every point is an empty function. It must not know what the steps do.

use std::io;
#[cfg(feature = "fault")]
use std::sync::Arc;

/// A step of the write path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// `BEGIN IMMEDIATE`.
    Begin,
    /// The rows of the batch.
    Write,
    /// `COMMIT`.
    Commit,
    /// The write of the rollback guard.
    Guard,
    /// The swap of what readers see.
    Publish,
}

/// How a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The disk is full; the step had no effect and the engine says so cleanly.
    Full,
    /// An I/O error; the step had no effect, but nobody can know.
    Lost,
    /// An I/O error after the step had its full effect.
    Persisted,
}

/// The faults to inject; none by default.
#[derive(Clone, Default)]
pub struct Faults {
    #[cfg(feature = "fault")]
    hook: Option<Arc<dyn Fn(Point) -> Option<Fault> + Send + Sync>>,
}

impl Faults {
    /// Asks `hook` at every point.
    #[cfg(feature = "fault")]
    pub fn new(hook: impl Fn(Point) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self { hook: Some(Arc::new(hook)) }
    }

    #[cfg(feature = "fault")]
    pub(crate) fn at(&self, point: Point) -> Option<Fault> {
        self.hook.as_ref().and_then(|hook| hook(point))
    }

    #[cfg(not(feature = "fault"))]
    #[inline]
    pub(crate) fn at(&self, _point: Point) -> Option<Fault> {
        None
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl Fault {
    /// The error a store step reports.
    pub(crate) fn sqlite(self) -> rusqlite::Error {
        let code = match self {
            Self::Full => rusqlite::ffi::SQLITE_FULL,
            Self::Lost | Self::Persisted => rusqlite::ffi::SQLITE_IOERR_FSYNC,
        };
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some("injected".to_owned()))
    }

    /// The error a file step reports.
    pub(crate) fn io(self) -> io::Error {
        io::Error::other("injected")
    }
}
