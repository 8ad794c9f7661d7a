//! Log lines on standard error: text for a person at a terminal, one JSON object a line otherwise.
//!
//! The filter is `RUST_LOG` where set. Secrets never get here: they are typed and print redacted.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Installs the process's log; a second call does nothing.
///
/// `verbosity`: 0 informs, 1 and above debug, below 0 warns only.
pub fn install(format: LogFormat, verbosity: i8) {
    let level = match verbosity {
        i8::MIN..=-1 => "warn",
        0 => "info",
        1.. => "debug",
    };
    let default = format!("{level},hyper=warn,h2=warn,reqwest=warn,rustls=warn");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new(default));
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    let json = match format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    // An error means that a log is installed already, as in tests.
    let _already_installed = if json {
        builder.json().flatten_event(true).with_span_list(false).try_init()
    } else {
        builder.with_target(false).try_init()
    };
}
