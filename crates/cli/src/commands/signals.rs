//! SIGINT and SIGTERM, which ask a verb that runs for long to end, and SIGHUP, which asks it to look at its files again.
//! It must not know what ends with them.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CommandError;

/// Each SIGHUP from now on; within a runtime.
pub(super) fn hangups() -> Result<Signal, CommandError> {
    signal(SignalKind::hangup())
        .map_err(|error| CommandError::new(error).because_of("cannot wait for signals"))
}

/// Both signals, from when this was made.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on; within a runtime.
    pub(super) fn listen() -> Result<Self, CommandError> {
        let unheard = |error| CommandError::new(error).because_of("cannot wait for signals");
        let interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
        let terminate = signal(SignalKind::terminate()).map_err(unheard)?;
        Ok(Self { interrupt, terminate })
    }

    /// The number of the next one; nothing is lost where it is not waited for to the end.
    pub(super) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}
