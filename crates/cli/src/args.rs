//! The command line as types. Doc comments, here and beside each verb, are the help.
//! It must not know what a verb does.

use std::cell::Cell;
use std::env::VarError;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Parser, ValueEnum};
use server::config::{Config, Flags};

use crate::commands::Command;
use crate::error::CommandError;
use crate::values;

/// A container registry that remembers what every tag meant when it was first pulled
///
/// Put it in front of any other registry. The first time a tag is pulled, the digest behind it is written to a
/// transparency log; from then on the tag means that digest. A tag that upstream moves is refused, with the evidence.
#[derive(Debug, Parser)]
#[command(name = "tlogistry", version, after_long_help = AFTER_HELP, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  tlogistry serve
  docker pull localhost:8080/alpine:3.20
  docker pull localhost:8080/ghcr.io/org/app:v1

Exit status:
  0  yes, or done
  1  the answer is no
  2  it could not run: arguments, configuration, files, network

Data is on standard output, everything else on standard error.

Each value of the configuration comes from a flag, else from a `TLOGISTRY_*` environment variable, \
else from the configuration file, else it is the default; `tlogistry config show` prints all of them \
and where each came from.";

/// Options of every verb.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Form of standard output; `json` is one object a line, with `"schema": 1`
    #[arg(long, global = true, value_name = "FORM", default_value = "text")]
    pub(crate) output: Output,
    /// Say less on standard error; twice: errors alone
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) quiet: u8,
    /// Say more on standard error
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour; `auto` is on a terminal, and not with `NO_COLOR`
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Show no progress
    #[arg(long, global = true, env = "TLOGISTRY_NO_PROGRESS", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) no_progress: bool,
}

/// Form of standard output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// Which configuration, and whose data.
#[derive(Debug, clap::Args)]
pub(crate) struct Configuration {
    /// Configuration file [env: TLOGISTRY_CONFIG] [default: /etc/tlogistry/config.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of log, key and records [env: TLOGISTRY_DATA_DIR] [default: the user's state directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Where the service listens; its default URL, and so the default name of a new log, follow from it.
#[derive(Debug, clap::Args)]
pub(crate) struct Listen {
    /// Address and port of the service [env: TLOGISTRY_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = values::address)]
    pub(crate) listen: Option<SocketAddr>,
}

impl Configuration {
    /// All layers, resolved.
    pub(crate) fn load(self) -> Result<Config, CommandError> {
        self.load_with(None)
    }

    /// All layers, with `--listen` where it was given.
    pub(crate) fn load_with(self, listen: Option<SocketAddr>) -> Result<Config, CommandError> {
        let flags = Flags { config: self.config, listen, data_dir: self.data_dir };
        let unreadable = Cell::new(None);
        let config = Config::load(flags, &|name| match std::env::var(name) {
            Ok(value) => Some(value),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                unreadable.set(Some(name.to_owned()));
                None
            }
        });
        // Taken for unset, it could send the log to another directory.
        if let Some(name) = unreadable.take() {
            return Err(CommandError::new(anyhow::anyhow!("environment variable `{name}` is not UTF-8"))
                .hinted(format!("`unset {name}`, or give it a value of UTF-8")));
        }
        Ok(config?)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Args::command().debug_assert();
    }
}
