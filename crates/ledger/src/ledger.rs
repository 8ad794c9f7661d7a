//! The handle on an open ledger: everything a server or a command asks of it.
//! It must not know HTTP, registries or configuration files.

use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering::Acquire;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use taglog::SupersedeRule;
use tlog::{Policy, VerifierKey};
use tokio::sync::{oneshot, watch};

use crate::backup;
use crate::batch::Work;
use crate::budgets::Spent;
use crate::creation;
use crate::error::{AppendError, CreateError, Error, OpenError, ReadOnly};
use crate::health::Health;
use crate::lock::DirectoryLock;
use crate::lookup::RecordCache;
use crate::manifests::Manifests;
use crate::options::Options;
use crate::published::Published;
use crate::readers::Readers;
use crate::recovery::{Reached, Recovered, recover};
use crate::rotation;
use crate::schema::{self, Access};
use crate::sequencer::{Job, OnItsWay, Sequencer};
use crate::shared::Shared;
use crate::statistics::{Counters, Statistics};
use crate::submission::{Appended, Submission};
use crate::view::View;

/// What to tell callers when the queue is full; several batches fit into it.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// An open log. Clones are cheap and share everything; the data directory stays locked until the last one is gone.
///
/// Reading methods may block for the time of a small read from disk; `lookup` of a cached record does not.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    /// Taken away when the ledger closes; absent in a read-only ledger.
    queue: RwLock<Option<SyncSender<Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    finished: watch::Receiver<bool>,
}

impl Ledger {
    /// Makes a new log: key, guard, database. Returns its verifier key.
    ///
    /// # Errors
    /// Refuses if any of the three exists, or without an origin.
    pub fn init(options: &Options) -> Result<VerifierKey, CreateError> {
        creation::create(options)
    }

    /// Makes the log that continues `closed`: its leaf 0 names the end of that one, and every record that is current
    /// there is recorded again, with its manifests. Returns its verifier key. `progress` is told how many of how many
    /// records are done.
    ///
    /// # Errors
    /// As [`Ledger::init`]; a log that is not closed is not continued.
    pub fn init_successor(
        options: &Options,
        closed: &Self,
        progress: impl FnMut(u64, u64),
    ) -> Result<VerifierKey, CreateError> {
        rotation::succeed(options, closed, progress)
    }

    /// Opens the log and checks it (design §4, start-up). A log that lacks its key or guard, was rolled back or is
    /// closed is opened read-only; see [`Ledger::read_only`].
    ///
    /// # Errors
    /// A data directory in use, no database, or a check that failed.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let lock = match DirectoryLock::acquire(&options.data_dir) {
            Ok(lock) => lock,
            // A directory that cannot be locked because it is not there says nothing of what should be in it.
            Err(_) if !options.data_dir.exists() => return Err(creation::absent(&options)),
            Err(error) => return Err(error.into()),
        };
        let publication = &options.publication;
        let cosigners = publication.cosigners()?;
        let recovered = recover(&options, &cosigners)?;
        let Recovered { connection, keys, supersede, tip, newest, writable, read_only, .. } = recovered;
        if supersede != options.supersede {
            tracing::warn!(
                "leaf 0 of this log decides about `supersede`; the configuration differs and is ignored"
            );
        }
        if let Some(why) = &read_only {
            tracing::error!(%why, "the ledger is read-only");
        }
        let show = |(signed, lines): &Reached| {
            Arc::new(Published::new(Arc::clone(signed), lines, &options.randomness))
        };
        let (cosigned, audited) =
            (recovered.cosigned.as_ref().map(show), recovered.audited.as_ref().map(show));
        let published = if publication.is_immediate() { Some(show(&newest)) } else { cosigned.clone() };
        let (newest, _) = newest;
        let view = |policy: &Option<Policy>, current| {
            policy.clone().map(|policy| View::new(policy, current, Arc::clone(&newest)))
        };
        let shared = Arc::new(Shared {
            data_dir: options.data_dir.clone(),
            guard_path: options.guard_path(),
            keys,
            supersede,
            read_only: read_only.map(OnceLock::from).unwrap_or_default(),
            rolled_back: OnceLock::new(),
            held: options.hold_until_released.into(),
            published_size: watch::Sender::new(published.as_ref().map_or(0, |published| published.size)),
            published: ArcSwapOption::new(published),
            immediate: publication.is_immediate(),
            cosigned: view(&publication.witnesses, cosigned),
            audited: view(&publication.auditors, audited),
            cosigners,
            publishing: Mutex::default(),
            considering: Mutex::default(),
            signed: watch::Sender::new(Arc::clone(&newest)),
            newest: ArcSwap::new(newest),
            randomness: options.randomness.clone(),
            records: RecordCache::new(),
            manifests: Manifests::new(options.manifest_cache),
            readers: Readers::new(options.database_path()),
            clock: options.clock.clone(),
            free_space: options.free_space.clone(),
            min_free: options.limits.min_free,
            on_their_way: Arc::default(),
            counters: Counters::default(),
            clock_agrees: true.into(),
            stopped: false.into(),
            failing: Mutex::default(),
            _lock: lock,
        });
        let (done, finished) = watch::channel(false);
        let (mut queue, mut writer) = (None, None);
        match writable {
            None => {
                // Nothing is left to finish, and readers need no writer.
                done.send_replace(true);
            }
            Some((signer, guard)) => {
                let sequencer = Sequencer {
                    shared: Arc::clone(&shared),
                    connection,
                    guard,
                    signer,
                    tip,
                    supersede,
                    limits: options.limits,
                    clock: options.clock,
                    free_space: options.free_space,
                    on_fatal: options.on_fatal,
                    faults: options.faults,
                    spent: Spent::default(),
                    unguarded: None,
                    doubtful: false,
                    dead: false,
                };
                let (sender, receiver) = sync_channel(options.queue);
                let run = move || {
                    let _done = Done(done);
                    sequencer.run(&receiver);
                };
                let thread = std::thread::Builder::new().name("sequencer".to_owned()).spawn(run);
                (queue, writer) = (Some(sender), Some(thread.map_err(OpenError::Thread)?));
            }
        }
        let inner = Inner { shared, queue: RwLock::new(queue), writer: Mutex::new(writer), finished };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Why nothing is recorded and signed; `None` for a ledger in order.
    pub fn read_only(&self) -> Option<&ReadOnly> {
        self.inner.shared.read_only()
    }

    /// The log's key, by which anybody can check what it publishes. During a planned change it is the older one.
    pub fn verifier_key(&self) -> &VerifierKey {
        self.inner.shared.keys.own()
    }

    /// Every key that the log signs or has signed with, the one that it goes by first.
    pub fn verifier_keys(&self) -> Vec<VerifierKey> {
        self.inner.shared.keys.all().cloned().collect()
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.inner.shared.keys.own().name()
    }

    /// What leaf 0 says about `supersede` and `thaw`.
    pub fn supersede_rule(&self) -> SupersedeRule {
        self.inner.shared.supersede
    }

    /// Records `submission`. Returns once the outcome is durable, signed, guarded and, unless cosignatures are demanded,
    /// published. Dropping the future after it was first polled does not take the submission back.
    ///
    /// # Errors
    /// Nothing was recorded, or ([`AppendError::Store`], [`AppendError::Stopped`]) nobody knows yet: submit it again,
    /// which finds what was recorded.
    pub async fn append(&self, submission: Submission) -> Result<Appended, AppendError> {
        let shared = &self.inner.shared;
        match shared.read_only() {
            Some(ReadOnly::Closed) if submission.suits_a_closed_log() => {}
            Some(read_only) => return Err(read_only.clone().into()),
            None => {}
        }
        if shared.held.load(Acquire) {
            return Err(AppendError::Held { retry_after: RETRY_AFTER });
        }
        self.submit(Work::Submission(submission)).await
    }

    /// Appends `leaf` as it is and returns its index once it is published; a log with such leaves obeys no rules and cannot
    /// be opened again.
    ///
    /// # Errors
    /// As [`Ledger::append`]; nothing longer than a bundle can hold is taken.
    #[cfg(feature = "rawlog")]
    pub async fn append_raw(&self, leaf: bytes::Bytes) -> Result<u64, AppendError> {
        if leaf.len() > tlog::MAX_ENTRY {
            let (what, found) = ("a leaf", leaf.len());
            let error = tlog::Error::Length { what, found, expected: tlog::MAX_ENTRY };
            return Err(AppendError::Store(Arc::new(error.into())));
        }
        match self.submit(Work::Raw(leaf)).await? {
            Appended::Evidence { index } => Ok(index),
            _ => Err(AppendError::Stopped),
        }
    }

    /// Hands `work` to the sequencer and waits for its answer.
    pub(crate) async fn submit(&self, work: Work) -> Result<Appended, AppendError> {
        let shared = &self.inner.shared;
        let (reply, answer) = oneshot::channel();
        let job = Job { work, reply, _on_its_way: OnItsWay::begin(&shared.on_their_way) };
        let sent = match self.inner.queue.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(queue) => queue.try_send(job),
            None => {
                let read_only = shared.read_only().cloned();
                return Err(read_only.map_or(AppendError::Stopped, AppendError::ReadOnly));
            }
        };
        match sent {
            Ok(()) => answer.await.unwrap_or(Err(AppendError::Stopped)),
            Err(TrySendError::Full(_)) => Err(AppendError::Busy { retry_after: RETRY_AFTER }),
            Err(TrySendError::Disconnected(_)) => Err(AppendError::Stopped),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Copies the running store to the new file `path`, mode 0600, in one consistent state.
    ///
    /// # Errors
    /// Never overwrites a file.
    pub fn backup(&self, path: &Path) -> Result<(), Error> {
        let database = self.inner.shared.data_dir.join(schema::DATABASE_FILE);
        backup::copy(&schema::connect(&database, Access::Read)?, path)
    }

    /// Whether the ledger can do its work. Costs one signature check.
    pub fn health(&self) -> Health {
        self.inner.shared.health()
    }

    /// Counters since the ledger was opened.
    pub fn statistics(&self) -> Statistics {
        let shared = &self.inner.shared;
        shared.counters.read(shared.on_their_way.load(Acquire))
    }

    /// Takes no more submissions, finishes those that were taken, folds the write-ahead log into the database.
    /// Reading goes on; the data directory stays locked until the last handle is dropped.
    pub async fn close(&self) {
        self.inner.stop();
        let mut finished = self.inner.finished.clone();
        // The sender goes away only after it has said so.
        let _last = finished.wait_for(|done| *done).await;
    }
}

impl Inner {
    fn stop(&self) {
        self.queue.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!("the sequencer ended in a panic");
        }
        self.shared.readers.close();
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({})", self.origin())
    }
}

/// Says that the writer has ended, however it ended.
struct Done(watch::Sender<bool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}
