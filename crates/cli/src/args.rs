//! The command line as types. Doc comments, here and beside each verb, are the help.
//! It must not know what a verb does.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Parser, ValueEnum};
use oci::{Reference, Selector, Sha256Digest, TagName};
use server::config::{Config, Flags};

use crate::commands::Command;
use crate::error::CommandError;

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

Each value of the configuration comes from a flag, else from a `TLOGISTRY_…` environment variable, \
else from the configuration file, else it is the default; `tlogistry config show` prints all of them \
and where each came from.";

/// Options of every verb.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Form of what is printed on standard output
    #[arg(long, global = true, value_name = "FORM", default_value = "text")]
    pub(crate) output: Output,
    /// Say less on standard error; twice: errors alone
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) quiet: u8,
    /// Say more on standard error
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour; `NO_COLOR` is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Show no progress
    #[arg(long, global = true, env = "TLOGISTRY_NO_PROGRESS", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) no_progress: bool,
}

/// Form of standard output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// One JSON object a line, with `"schema": 1`
    Json,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Also in a pipe
    Always,
    /// Never
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
    #[arg(long, value_name = "ADDR", value_parser = address)]
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
        Ok(Config::load(flags, &|name| std::env::var(name).ok())?)
    }
}

/// A value that an argument does not take. Clap carries it to `CommandError`, which prints both parts.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct Wrong {
    problem: String,
    pub(crate) hint: String,
}

impl Wrong {
    fn new(problem: &impl ToString, hint: impl Into<String>) -> Self {
        Self { problem: problem.to_string(), hint: hint.into() }
    }
}

/// `127.0.0.1:8080`
pub(crate) fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_syntax| {
        let problem = format!("`{text}` is not an IP address with a port");
        let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8080);
        Wrong::new(
            &problem,
            format!("write `127.0.0.1:{port}`, or `0.0.0.0:{port}` to open it to the network"),
        )
    })
}

/// A reference that names a tag, canonical.
pub(crate) fn tag(text: &str) -> Result<TagName, Wrong> {
    let reference = Reference::parse(text).map_err(|error| {
        let lower = text.to_ascii_lowercase();
        let hint = match Reference::parse(&lower) {
            Ok(_) if lower != text => format!("did you mean `{lower}`?"),
            _ => "a reference is written as for `docker pull`: `alpine:3.20` or `ghcr.io/org/app:v1`"
                .to_owned(),
        };
        Wrong::new(&error, hint)
    })?;
    let name = reference.name;
    let instead = match reference.selector {
        Selector::Tag(tag) => return Ok(TagName { name, tag }),
        Selector::Digest(_) => format!("name a tag instead, such as `{name}:latest`"),
        Selector::TagAndDigest(tag, _) => format!("name the tag alone: `{name}:{tag}`"),
    };
    let problem = format!("`{text}` names a digest, which no tag has to stand for");
    Err(Wrong::new(&problem, instead))
}

/// A digest of the one algorithm that is recorded.
pub(crate) fn digest(text: &str) -> Result<Sha256Digest, Wrong> {
    Sha256Digest::parse(text).map_err(|error| {
        Wrong::new(
            &error,
            "`docker buildx imagetools inspect REF` and `skopeo inspect REF` print the digest of a tag",
        )
    })
}

/// What a leaf says of why it was written.
pub(crate) fn reason(text: &str) -> Result<taglog::Reason, Wrong> {
    let hint = "everybody can read it in the log for ever; write something such as \"rebuilt by the publisher, ticket 17\"";
    taglog::Reason::parse(text).map_err(|error| Wrong::new(&error, hint))
}
