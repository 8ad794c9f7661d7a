//! Following a log: what happens to the tags that somebody watches, and whether the registries bear
//! the log out.
//!
//! A monitor reads what is new, holds the log to what it saw before, and reports each leaf that it
//! watches as one event: to a journal first, then to everybody who asked for it. It replays no rules;
//! that is an audit's work.

mod believing;
mod event;
mod feed;
mod journal;
mod progress;
mod registry;
mod repositories;
mod webhook;

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use oci::{Name, TagName};
use taglog::Leaf;
use tlog::{TILE_WIDTH, VerifierKey};

pub use self::event::{Event, EventKind};
use self::journal::{Journal, Receipt, line};
use self::progress::{MAX_PENDING, Pending, Progress, Saved};
pub use self::registry::Registry;
use self::webhook::Receiver;
pub use self::webhook::{Undelivered, Webhook};
use crate::Error;
use crate::evidence::subject;
use crate::remembered::Remembered;
use crate::source::{Http, Source};
use crate::state::{LogState, replace, try_lock};
use crate::tree::Tree;
use crate::trust::Trust;

/// Bundles fetched ahead.
const AHEAD: usize = 8;
/// Events and bundles after which progress is saved.
const SAVE_AFTER_EVENTS: usize = 1_000;
const SAVE_AFTER_BUNDLES: u64 = 256;
/// Events read from the journal at once.
const PAGE: usize = 64;
/// Whoever reads lines, as a receiver.
const LINES: &str = "lines";

/// What is watched, and who is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The log.
    pub log: Source,
    /// Its key, by which its events are named and kept: the first one of a log that changes its key.
    pub key: VerifierKey,
    /// Other keys of it that are believed, and the policy of cosignatures, if any is demanded.
    pub trust: Trust,
    /// The directory of our memory.
    pub state: PathBuf,
    /// How the log is followed.
    pub follow: Follow,
    /// Where to begin with a log that is new to the monitor.
    pub start: Start,
    /// The registries to ask about first sights; nothing: none is asked.
    pub registry: Option<Registry>,
    /// The file of an Atom feed.
    pub feed: Option<PathBuf>,
    /// HTTP receivers.
    pub webhooks: Vec<Webhook>,
    /// How patient to be with them.
    pub http: Http,
}

/// How a log is followed.
#[derive(Clone, Debug)]
pub enum Follow {
    /// Every leaf is read, and those of watched tags are reported.
    Leaves(Watch),
    /// The log proves all tags of these repositories, and nothing else is read. Shows what a tag means
    /// each time it is asked, not what it meant in between, and no moves.
    Repositories(Vec<Name>),
}

/// Which tags are watched.
#[derive(Clone)]
pub struct Watch(Arc<dyn Fn(&TagName) -> bool + Send + Sync>);

/// Where to begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// With leaf 0: everything that ever happened is reported.
    Beginning,
    /// With what comes next.
    Now,
}

/// What one step did.
#[derive(Debug)]
pub struct Step {
    /// Leaves of the log; or why it could not be read, or not to its end. What was read before counts all the same.
    pub size: Result<u64, Error>,
    /// New events.
    pub events: u64,
    /// First sights that their registry confirmed.
    pub confirmed: u64,
    /// First sights that still wait for their registry.
    pub pending: usize,
    /// Receivers that did not take an event; they get it in a later step.
    pub undelivered: Vec<Undelivered>,
}

/// A monitor of one log. Only one at a time can be open for the same memory.
#[derive(Debug)]
pub struct Monitor {
    settings: Settings,
    saved: Saved,
    journal: Journal,
    /// Events that are in the journal though progress says that they were not looked at.
    written: HashSet<String>,
    receivers: Vec<Receiver>,
    lines: Receipt,
    /// Events in the feed.
    fed: Option<u64>,
    _lock: File,
}

impl Watch {
    /// The tags of which a function says so.
    pub fn new(watches: impl Fn(&TagName) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(watches))
    }

    /// All of them.
    pub fn everything() -> Self {
        Self::new(|_tag| true)
    }

    fn wants(&self, tag: &TagName) -> bool {
        (self.0)(tag)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Monitor {
    /// Takes up a monitor where it was.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::Journal`], [`Error::File`], [`Error::Policy`].
    pub fn open(mut settings: Settings) -> Result<Self, Error> {
        settings.trust = settings.trust.and_key(settings.key.clone())?;
        let own = LogState::open(&settings.state, &settings.key)?;
        let directory = own.directory().join("monitor");
        fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        let lock = try_lock(&directory.join("lock"))?;
        let saved = Saved::open(&directory.join("progress.json"))?;
        let unseen = unseen_from(&settings.follow, &saved);
        let pending: HashSet<u64> =
            saved.progress.pending.iter().map(|pending| pending.first.index).collect();
        let mut written = HashSet::new();
        let journal = Journal::open(&directory.join("events.jsonl"), |event| {
            if event.index >= unseen || pending.contains(&event.index) {
                written.insert(event.id.clone());
            }
        })?;
        let receipt = |receiver: &str| Receipt::open(&directory, receiver, journal.end());
        let mut receivers = Vec::new();
        for webhook in &settings.webhooks {
            receivers.push(Receiver::new(webhook, receipt(&webhook.url)?, &settings.http)?);
        }
        let lines = receipt(LINES)?;
        Ok(Self { settings, saved, journal, written, receivers, lines, fed: None, _lock: lock })
    }

    /// Looks once: reads what is new, asks registries, and tells everybody. `now` in Unix seconds.
    ///
    /// What the log does not show keeps nobody from hearing of what it showed: that is in [`Step::size`], with
    /// [`Error::Caught`] where the log is at fault. A receiver that cannot be reached is no error either.
    ///
    /// # Errors
    ///
    /// Those of our own files.
    pub async fn step(&mut self, now: u64) -> Result<Step, Error> {
        let before = self.journal.len();
        let memory = Remembered::load(&self.settings.state, &self.settings.trust, now)?;
        let size = self.look(now).await.map_err(|error| memory.written(error));
        let confirmed = self.ask_registries(now).await?;
        self.write_feed()?;
        Ok(Step {
            size,
            events: self.journal.len() - before,
            confirmed,
            pending: self.saved.progress.pending.len(),
            undelivered: self.send().await?,
        })
    }

    /// Gives every event that was not given yet, as one line of JSON each, a few lines at a time, and
    /// remembers what was taken.
    ///
    /// # Errors
    ///
    /// Those of `take`, as [`Error::File`]; the same lines are given again next time.
    pub fn lines(&mut self, mut take: impl FnMut(&str) -> io::Result<()>) -> Result<(), Error> {
        loop {
            let page = self.journal.page(self.lines.position(), PAGE)?;
            let Some((_, last)) = page.last() else { return Ok(()) };
            let lines: String = page.iter().map(|(event, _)| line(event)).collect();
            take(&lines).map_err(Error::file("write", "the lines of events"))?;
            self.lines.sign(*last)?;
        }
    }

    /// Reads what is new.
    async fn look(&mut self, now: u64) -> Result<u64, Error> {
        let signed = self.checkpoint(now).await?;
        match self.settings.follow.clone() {
            Follow::Leaves(watch) => {
                let mut tree = Tree::open(&self.settings.log, None, &signed).await?;
                self.read_leaves(&mut tree, &watch).await?;
            }
            Follow::Repositories(names) => {
                let mut failed = Ok(());
                for name in names {
                    // One that cannot be read hides no other.
                    failed = failed.and(self.read_repository(&name, now).await);
                }
                failed?;
            }
        }
        Ok(signed.checkpoint().size)
    }

    async fn read_leaves(&mut self, tree: &mut Tree, watch: &Watch) -> Result<(), Error> {
        let size = tree.checkpoint().size;
        let from = match (self.saved.progress.size, self.settings.start) {
            (Some(from), _) => from,
            (None, Start::Beginning) => 0,
            (None, Start::Now) => size,
        };
        if from >= size && self.saved.progress.size.is_some() {
            return Ok(());
        }
        let first_bundle = from / u64::from(TILE_WIDTH);
        let mut fetched = tree.fetcher().ahead(first_bundle..tree.bundles(), AHEAD);
        let (mut events, mut bundles, mut done) = (Vec::new(), 0, from);
        let mut read = Ok(());
        while let Some(fetched) = fetched.next().await {
            let bundle = match fetched {
                Ok(fetched) => tree.authenticate(fetched).await,
                Err(error) => Err(error),
            };
            let bundle = match bundle {
                Ok(bundle) => bundle,
                Err(error) => {
                    read = Err(error);
                    break;
                }
            };
            for (index, bytes) in bundle.leaves().filter(|(index, _)| *index >= from) {
                events.extend(self.event(index, bytes, watch));
                done = index + 1;
            }
            bundles += 1;
            if events.len() >= SAVE_AFTER_EVENTS || bundles % SAVE_AFTER_BUNDLES == 0 {
                self.note(std::mem::take(&mut events), |progress| progress.size = Some(done))?;
            }
        }
        self.note(events, |progress| progress.size = Some(done))?;
        read
    }

    fn event(&self, index: u64, bytes: &[u8], watch: &Watch) -> Option<Event> {
        // A leaf that is none breaks rule G, which an audit finds.
        let leaf = Leaf::parse(bytes).ok()?;
        let watched = subject(&leaf).is_none_or(|tag| watch.wants(&tag));
        if watched { Event::of_leaf(&self.settings.key, index, &leaf) } else { None }
    }

    /// Writes events down, and then, by `done`, that they were looked at.
    fn note(&mut self, mut events: Vec<Event>, done: impl FnOnce(&mut Progress)) -> Result<(), Error> {
        // Those that are in the journal already have to be checked as well: that is written down below.
        let first_sights = events.iter().filter(|event| self.has_to_be_checked(event));
        let mut pending: Vec<Pending> =
            first_sights.map(|first| Pending { first: first.clone(), tries: 0, not_before: 0 }).collect();
        let room = MAX_PENDING.saturating_sub(self.saved.progress.pending.len());
        for beyond in pending.split_off(room.min(pending.len())) {
            let why = format!("{MAX_PENDING} others wait for their registries");
            let (first, key) = (&beyond.first, &self.settings.key);
            events.push(Event::of_registry(first, key, EventKind::Unchecked, None, why));
        }
        events.retain(|event| !self.written.contains(&event.id));
        self.journal.append(events)?;
        done(&mut self.saved.progress);
        self.saved.progress.pending.extend(pending);
        self.saved.save()
    }

    fn has_to_be_checked(&self, event: &Event) -> bool {
        let tag = event.reference.as_deref().and_then(registry::tag_of);
        let registry = self.settings.registry.as_ref();
        event.kind == EventKind::FirstSeen
            && registry.zip(tag).is_some_and(|(registry, tag)| registry.watch.wants(&tag))
    }

    fn write_feed(&mut self) -> Result<(), Error> {
        if let Some(path) = &self.settings.feed
            && self.fed != Some(self.journal.len())
        {
            let feed = feed::atom(&self.settings.key, self.journal.recent().rev());
            replace(path, feed.as_bytes())?;
            self.fed = Some(self.journal.len());
        }
        Ok(())
    }

    /// Each receiver by itself: one that cannot be reached holds up nobody else.
    async fn send(&mut self) -> Result<Vec<Undelivered>, Error> {
        let mut undelivered = Vec::new();
        for receiver in &mut self.receivers {
            undelivered.extend(receiver.send_all(&self.journal).await?);
        }
        Ok(undelivered)
    }
}

/// From which leaf on there may be events in the journal that progress does not know of.
fn unseen_from(follow: &Follow, saved: &Saved) -> u64 {
    match follow {
        Follow::Leaves(_) => saved.progress.size.unwrap_or(0),
        Follow::Repositories(names) => {
            let sizes = names.iter().map(|name| saved.progress.repositories.get(name.as_str()).copied());
            sizes.map(|size| size.unwrap_or(0)).min().unwrap_or(0)
        }
    }
}

/// Where a monitor of a log keeps its journal, below the directory of all memory.
///
/// # Errors
///
/// [`Error::File`].
pub fn journal_of(state: &Path, log: &VerifierKey) -> Result<PathBuf, Error> {
    Ok(LogState::open(state, log)?.directory().join("monitor").join("events.jsonl"))
}
