//! `monitor`: follows a log and reports what happens to tags.

mod rekor;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use audit::Http;
use audit::monitor::{Follow, Monitor, Registry, Settings, Start, Step, Watch, Webhook};
use oci::{Name, TagName};
use server::policy::Pattern;

use super::signals::Signals;
use super::stranger::{self, Trusting};
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values;

/// Follow a log, and report what happens to tags
///
/// Prints one line of JSON for each tag that is recorded, moved, re-pinned, thawed or seen at a new digest, and, where
/// `--check` asks the real registry, for each first digest that is not there (`never-served`), or is there, but no longer
/// under its tag, so that nothing shows that it ever was (`not-confirmed`). Every event is printed, fed and sent once, also
/// over a restart; a webhook gets it again, under the same id, only if this process dies while it is being sent.
///
/// With `--policy` only checkpoints count that enough witnesses have cosigned: a log cannot show a history of its own to
/// this monitor alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// URL of the service or of the log, or the directory of an export
    #[arg(value_name = "URL|DIR")]
    log: String,
    #[command(flatten)]
    trusting: Trusting,
    /// Read the configuration's Rekor instead, for entries in the service's name that its bundles do not explain
    #[arg(long, conflicts_with_all = ["watch", "repository", "check", "feed", "webhook", "from_beginning"])]
    rekor: bool,
    /// A tag to look up in a Rekor v1, which is too large to be read as a whole; may be repeated
    #[arg(long, value_name = "REF", requires = "rekor", value_parser = values::tag)]
    tag: Vec<TagName>,
    /// Tags to report, as in a `[[policy]]`; may be repeated [default: all]
    #[arg(long, value_name = "PATTERN", value_parser = stranger::pattern)]
    watch: Vec<Pattern>,
    /// A repository to ask the log for by proof, instead of reading every leaf; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "watch", value_parser = repository)]
    repository: Vec<Name>,
    /// First digests to compare with the real registry, asked past the log; may be repeated [default: none]
    #[arg(long, value_name = "PATTERN", value_parser = stranger::pattern)]
    check: Vec<Pattern>,
    /// Write an Atom feed to this file
    #[arg(long, value_name = "FILE")]
    feed: Option<PathBuf>,
    /// Send each event to this URL
    #[arg(long, value_name = "URL", requires = "webhook_secret_file")]
    webhook: Option<String>,
    /// The secret that signs what is sent (HMAC-SHA256); its first line
    #[arg(long, value_name = "FILE", requires = "webhook")]
    webhook_secret_file: Option<PathBuf>,
    /// Begin with leaf 0 of a log that is new here, instead of what comes next
    #[arg(long)]
    from_beginning: bool,
    /// Look once, and end
    #[arg(long)]
    once: bool,
    /// How long to wait between two looks
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = values::span)]
    interval: Duration,
    /// Upstreams are reached as this configuration says
    #[command(flatten)]
    configuration: Configuration,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    server::telemetry::log::install(server::config::LogFormat::Text, ui.verbosity().saturating_sub(1));
    let state = args.trusting.state()?;
    if args.rekor {
        let watch = rekor::Watch {
            service: &args.log,
            directory: state,
            configuration: args.configuration,
            tags: args.tag.iter().map(ToString::to_string).collect(),
            once: args.once,
            interval: args.interval,
        };
        return stranger::wait(rekor::watch(ui, watch));
    }
    let trust = args.trusting.trust()?;
    let key = args.trusting.followed(&trust)?;
    let registry = if args.check.is_empty() {
        None
    } else {
        let config = args.configuration.load()?;
        let client = upstream::Client::new(server::upstream_settings(&config, upstream::Lookup::System));
        Some(Registry { client: client.map_err(CommandError::new)?, watch: watch(args.check) })
    };
    let webhook = match (args.webhook, args.webhook_secret_file) {
        (Some(url), Some(file)) => {
            let text = stranger::read(&file)?;
            let secret = text.lines().next().unwrap_or_default();
            if secret.trim().is_empty() {
                let empty = anyhow::anyhow!("the first line of `{}` is empty", file.display());
                return Err(CommandError::new(empty)
                    .hinted("with an empty secret anybody could sign; `openssl rand -hex 32` makes one"));
            }
            Some(Webhook { url, secret: secret.into() })
        }
        _ => None,
    };
    let follow = match (args.repository, args.watch) {
        (names, _) if !names.is_empty() => Follow::Repositories(names),
        (_, patterns) if patterns.is_empty() => Follow::Leaves(Watch::everything()),
        (_, patterns) => Follow::Leaves(watch(patterns)),
    };
    let settings = Settings {
        log: stranger::log(&args.log)?,
        key,
        trust,
        state,
        follow,
        start: if args.from_beginning { Start::Beginning } else { Start::Now },
        registry,
        feed: args.feed,
        webhooks: webhook.into_iter().collect(),
        http: Http::default(),
    };
    let mut monitor = Monitor::open(settings)?;
    stranger::wait(follow_log(ui, &mut monitor, args.once, args.interval))?;
    Ok(Answer::Yes)
}

async fn follow_log(
    ui: &Ui,
    monitor: &mut Monitor,
    once: bool,
    interval: Duration,
) -> Result<(), CommandError> {
    let mut signals = Signals::listen()?;
    loop {
        let looked = tokio::select! {
            looked = monitor.step(stranger::now()) => looked,
            _ = signals.next() => return Ok(()),
        };
        monitor.lines(|text| {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        })?;
        match looked.and_then(|step| told(ui, step)) {
            Ok(()) => {}
            Err(error) if once || !is_passing(&error) => return Err(error.into()),
            Err(error) => ui.note(format_args!("could not look: {error}")),
        }
        if once {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = signals.next() => return Ok(()),
        }
    }
}

/// Says what a step did, and gives what it could not read.
fn told(ui: &Ui, step: Step) -> Result<(), audit::Error> {
    let Step { size, events, confirmed, pending, undelivered } = step;
    for undelivered in &undelivered {
        ui.note(format_args!("`{}` did not take an event yet: {}", undelivered.receiver, undelivered.why));
    }
    let reached = size
        .as_ref()
        .map_or("the log could not be read to its end".to_owned(), |size| format!("size {size}"));
    ui.note(format_args!(
        "{reached}, new events: {events}, first sights confirmed: {confirmed}, waiting: {pending}"
    ));
    size.map(drop)
}

/// A log that is at fault is not followed further; one that cannot be reached, or whose witnesses are late, is asked again.
fn is_passing(error: &audit::Error) -> bool {
    error.answer() != audit::Answer::No || matches!(error, audit::Error::Quorum { .. })
}

/// Tags that one of the patterns matches.
fn watch(patterns: Vec<Pattern>) -> Watch {
    Watch::new(move |tag: &TagName| {
        let subject = tag.to_string();
        patterns.iter().any(|pattern| pattern.matches(&subject))
    })
}

/// `ghcr.io/org/app`
fn repository(text: &str) -> Result<Name, values::Wrong> {
    Name::canonicalize(text).map_err(|error| {
        values::Wrong::new(&error, "name a repository without a tag, such as `ghcr.io/org/app`")
    })
}
