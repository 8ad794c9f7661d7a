//! The log on this machine: key, rollback guard, store, disk. A log that nobody has open is opened, and signs nothing.

use ledger::{FreeSpace, Ledger, LockError, OpenError, Options};
use server::config::Config;

use super::findings::Findings;
use super::network::Running;

/// Looks at it; `is_running` is what the service said of itself.
pub(super) async fn check(config: &Config, running: Running, findings: &mut Findings) {
    let options = server::ledger_options(config);
    let presence = ledger::presence(&options);
    let directory = config.data_dir.display();
    if presence.is_none() {
        if config.file.is_some() || running == Running::Here {
            let message = format!("there is none in `{directory}`");
            findings.warn(
                "log",
                message,
                "`tlogistry init` makes one; `--data-dir DIR` names another directory",
            );
        } else {
            findings.ok("log", "there is no service on this machine".to_owned());
        }
        return;
    }
    check_place(&options, findings);
    check_disk(config, findings);
    check_store(options, findings).await;
}

/// Files without which nothing new is recorded.
fn check_place(options: &Options, findings: &mut Findings) {
    let restore = "put the file (or its volume) back, or rebuild with `tlogistry restore --from EXPORT|URL`";
    let files =
        [("key", options.key_path()), ("guard", options.guard_path()), ("store", options.database_path())];
    for (subject, path) in files {
        if let Err(error) = std::fs::metadata(&path) {
            findings.fail(subject, format!("`{}`: {error}", path.display()), restore);
        }
    }
}

fn check_disk(config: &Config, findings: &mut Findings) {
    let directory = config.data_dir.display();
    let least = config.limits.budgets.min_free;
    let mebibytes = |bytes: u64| bytes >> 20;
    match FreeSpace::system().of(&config.data_dir) {
        Ok(free) if free < least => findings.fail(
            "disk",
            format!("{} MiB are free where `{directory}` is, less than `min_free` ({} MiB): nothing new is recorded", mebibytes(free), mebibytes(least)),
            "free some, or lower `[limits] min_free`",
        ),
        Ok(free) if free < least.saturating_mul(2) => findings.warn(
            "disk",
            format!("{} MiB are free where `{directory}` is; below {} MiB nothing new is recorded", mebibytes(free), mebibytes(least)),
            "free some soon",
        ),
        Ok(free) => findings.ok("disk", format!("{} MiB are free where `{directory}` is", mebibytes(free))),
        Err(error) => findings.fail("disk", format!("`{directory}`: {error}"), "run as the user that the service runs as"),
    }
}

async fn check_store(options: Options, findings: &mut Findings) {
    let ledger = match Ledger::open(Options { hold_until_released: true, ..options }) {
        Ok(ledger) => ledger,
        Err(OpenError::Lock(error @ LockError::Held { .. })) => {
            // Who holds it has checked it at its start, and says of itself how it is now.
            let holder = match error {
                LockError::Held { process: Some(process), .. } => format!("process {process}"),
                _ => "a process".to_owned(),
            };
            findings.ok("store", format!("{holder} has it open"));
            return;
        }
        Err(error) => {
            findings.fail("store", chain(&error), "see docs/operations.md");
            return;
        }
    };
    let health = ledger.health();
    let before = findings.problems();
    if let Some(read_only) = &health.read_only {
        findings.fail("store", read_only.to_string(), "the message says what puts it right");
    }
    if let Some(clock) = &health.clock {
        findings.fail("clock", clock.to_string(), "set the clock right");
    }
    if !health.checkpoint_verifies && health.read_only.is_none() {
        findings.fail(
            "store",
            "there is no checkpoint that verifies with the log's key",
            "run `tlogistry fsck`",
        );
    }
    let sound = format!("`{}`, {} leaves, opens with its key and its guard", ledger.origin(), health.newest);
    findings.ok_unless_more(before, "store", &sound);
    ledger.close().await;
}

/// An error and what caused it, on one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut said: Vec<String> = vec![error.to_string()];
    for cause in causes.map(ToString::to_string) {
        if !said.iter().any(|earlier| earlier.contains(&cause)) {
            said.push(cause);
        }
    }
    said.join(": ")
}
