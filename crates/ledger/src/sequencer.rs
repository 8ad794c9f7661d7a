//! The one writer: gathers submissions into batches, commits each in one transaction, writes the rollback guard, and
//! only then lets anything of the batch be seen. It must not know what a submission means (`batch`).

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use taglog::SupersedeRule;
use tokio::sync::oneshot;

use crate::batch::{Draft, Drafted, Terms, Tip, Work};
use crate::budgets::{Budgets, Spent};
use crate::clock::Clock;
use crate::disk::FreeSpace;
use crate::error::{AppendError, Doing, Error, ReadOnly};
use crate::fault::{Fault, Faults, Point};
use crate::guard::{Guard, Mark};
use crate::options::OnFatal;
use crate::published::Signed;
use crate::shared::Shared;
use crate::signer::Signer;
use crate::store;
use crate::submission::Appended;

/// Most submissions of one batch.
const BATCH: usize = 1024;
/// How long a batch waits for submissions that are known to be on their way.
const LINGER: Duration = Duration::from_millis(2);

/// What a piece of work is answered with.
pub(crate) type Answer = Result<Appended, AppendError>;

/// A piece of work and whoever waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) reply: oneshot::Sender<Answer>,
    pub(crate) _on_its_way: OnItsWay,
}

/// Counts a submission from the moment its caller begins until it is answered.
#[derive(Debug)]
pub(crate) struct OnItsWay(Arc<AtomicUsize>);

impl OnItsWay {
    pub(crate) fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Everything the writer's thread owns.
pub(crate) struct Sequencer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Connection,
    pub(crate) guard: Guard,
    pub(crate) signer: Signer,
    pub(crate) tip: Tip,
    pub(crate) supersede: SupersedeRule,
    pub(crate) limits: Budgets,
    pub(crate) clock: Clock,
    pub(crate) free_space: FreeSpace,
    pub(crate) on_fatal: OnFatal,
    pub(crate) faults: Faults,
    pub(crate) spent: Spent,
    /// Committed, but not yet in the guard: nothing of it has left the process.
    pub(crate) unguarded: Option<Arc<Signed>>,
    /// A transaction failed since the head was last read.
    pub(crate) doubtful: bool,
    /// A COMMIT whose outcome is unknown has ended this sequencer.
    pub(crate) dead: bool,
}

/// A batch that was not committed.
enum Failed {
    /// Nothing was written; the next batch may do better.
    Batch(Error),
    /// Nobody knows what was written.
    Unknown(Error),
}

impl Sequencer {
    /// Works until every sender of `queue` is gone and the queue is empty.
    pub(crate) fn run(mut self, queue: &Receiver<Job>) {
        let mut before = 0;
        while let Ok(first) = queue.recv() {
            let jobs = self.gather(queue, first, before);
            before = jobs.len();
            self.process(jobs);
        }
        self.shared.stopped.store(true, Release);
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "cannot fold the write-ahead log into the database; the next start will");
        }
    }

    /// Takes what is queued. It waits only while callers are known to be about to submit: those that have begun,
    /// and the writers of the last batch, who have just been answered and are likely to come again.
    fn gather(&self, queue: &Receiver<Job>, first: Job, before: usize) -> Vec<Job> {
        let mut jobs = vec![first];
        jobs.extend(queue.try_iter().take(BATCH - 1));
        let deadline = Instant::now() + LINGER;
        while jobs.len() < self.shared.on_their_way.load(Relaxed).max(before).min(BATCH) {
            match queue.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(job) => {
                    jobs.push(job);
                    let room = BATCH.saturating_sub(jobs.len());
                    jobs.extend(queue.try_iter().take(room));
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        jobs
    }

    fn process(&mut self, jobs: Vec<Job>) {
        if self.dead {
            return answer_all(jobs, &AppendError::Stopped);
        }
        let jobs = self.refuse_if_read_only(jobs);
        if jobs.is_empty() {
            return;
        }
        if let Err(failed) = self.settle() {
            return self.fail(jobs, failed);
        }
        match self.commit(&jobs) {
            Err(failed) => self.fail(jobs, failed),
            Ok((answers, committed)) => {
                if let Err(error) = self.guard_and_publish(committed) {
                    return self.fail(jobs, Failed::Batch(error));
                }
                if self.dead {
                    return answer_all(jobs, &AppendError::Stopped);
                }
                self.shared.failing(None);
                for (job, answer) in jobs.into_iter().zip(answers) {
                    // A caller that hung up has still been recorded.
                    drop(job.reply.send(answer));
                }
            }
        }
    }

    /// What was found out while the jobs waited in the queue; the last checkpoint of a closed log may still be cosigned.
    fn refuse_if_read_only(&self, jobs: Vec<Job>) -> Vec<Job> {
        let Some(read_only) = self.shared.read_only() else { return jobs };
        let suits = |work: &Work| match work {
            Work::Submission(submission) => submission.suits_a_closed_log(),
            Work::Cosignatures { .. } => true,
            #[cfg(feature = "rawlog")]
            Work::Raw(_) => false,
        };
        let closed = *read_only == ReadOnly::Closed;
        let (work, refused) = jobs.into_iter().partition(|job| closed && suits(&job.work));
        answer_all(refused, &read_only.clone().into());
        work
    }

    /// After a failure: what is really on disk, and what still has to be guarded.
    fn settle(&mut self) -> Result<(), Failed> {
        if self.doubtful {
            let head = store::head(&self.connection).map_err(Failed::Batch)?;
            let (size, root) = (self.tip.frontier.size(), self.tip.frontier.root());
            if (head.size, head.root) != (size, root) {
                return Err(Failed::Unknown(store::corrupt("the head")));
            }
            self.doubtful = false;
        }
        if let Some(head) = self.unguarded.take() {
            self.guard_and_publish(Some(head)).map_err(Failed::Batch)?;
        }
        Ok(())
    }

    /// One transaction. Returns the answers, and what to publish if leaves were appended.
    fn commit(&mut self, jobs: &[Job]) -> Result<(Vec<Answer>, Option<Arc<Signed>>), Failed> {
        let begun = match self.faults.at(Point::Begin) {
            Some(fault) => Err(fault.sqlite()),
            None => self.connection.execute_batch("BEGIN IMMEDIATE"),
        };
        begun.doing("begin a batch").map_err(|error| self.roll_back(error))?;
        let (answers, drafted) = self.draft(jobs).map_err(|error| self.roll_back(error))?;
        if drafted.leaves == 0 && drafted.kept == 0 {
            // Nothing came of it: no empty index leaf, no write.
            self.connection.execute_batch("ROLLBACK").doing("end a batch").map_err(Failed::Unknown)?;
            self.note(&drafted);
            return Ok((answers, None));
        }
        let head = match self.sign(&drafted) {
            Ok(head) => head,
            Err(error) => {
                self.refund(&drafted);
                return Err(self.roll_back(error));
            }
        };
        if let Err(error) = self.faulty_commit() {
            self.refund(&drafted);
            let clean = is_full_or_busy(&error);
            let error = Error::Store { doing: "commit a batch", source: error };
            return Err(if clean { self.roll_back(error) } else { Failed::Unknown(error) });
        }
        self.note(&drafted);
        for record in drafted.fresh.into_values() {
            self.shared.records.insert(record);
        }
        self.tip = drafted.tip;
        Ok((answers, head))
    }

    fn draft(&mut self, jobs: &[Job]) -> Result<(Vec<Answer>, Drafted), Error> {
        let doing = "write a batch";
        let terms = Terms {
            connection: &self.connection,
            cache: &self.shared.records,
            signer: &self.signer,
            cosigned_from: self.shared.cosigned_from(),
            supersede: self.supersede,
            limits: &self.limits,
            now: self.clock.now(),
            free: self.free_space.of(&self.shared.data_dir).unwrap_or(u64::MAX),
        };
        let mut draft = Draft::new(terms, self.tip.clone(), &mut self.spent);
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            match draft.take(&job.work) {
                Ok(answer) => answers.push(answer),
                Err(source) => {
                    draft.abandon();
                    return Err(Error::Store { doing, source });
                }
            }
        }
        if let Some(fault) = self.faults.at(Point::Write) {
            draft.abandon();
            return Err(Error::Store { doing, source: fault.sqlite() });
        }
        let drafted = draft.finish().doing(doing)?;
        Ok((answers, drafted))
    }

    /// Signs the checkpoint of `drafted` and moves the head row to it; `None` when no leaf was appended.
    fn sign(&self, drafted: &Drafted) -> Result<Option<Arc<Signed>>, Error> {
        if drafted.leaves == 0 {
            return Ok(None);
        }
        let (size, root) = (drafted.tip.frontier.size(), drafted.tip.frontier.root());
        let note = self.signer.note(size, root)?;
        let moved = store::advance_head(&self.connection, self.tip.frontier.size(), size, &root, &note);
        if !moved.doing("move the head")? {
            return Err(store::corrupt("the head"));
        }
        Ok(Some(Arc::new(Signed {
            note: note.into(),
            size,
            root,
            map: drafted.tip.map.clone(),
            before: drafted.before.clone(),
            time: drafted.tip.last_time,
            edge: drafted.tip.edge.clone(),
        })))
    }

    fn faulty_commit(&self) -> rusqlite::Result<()> {
        match self.faults.at(Point::Commit) {
            None => self.connection.execute_batch("COMMIT"),
            Some(fault) => {
                let done = if fault == Fault::Persisted { "COMMIT" } else { "ROLLBACK" };
                self.connection.execute_batch(done)?;
                Err(fault.sqlite())
            }
        }
    }

    /// Writes the guard for `head` and shows it to readers. On error the head is kept for the next batch.
    fn guard_and_publish(&mut self, head: Option<Arc<Signed>>) -> Result<(), Error> {
        let Some(head) = head else { return Ok(()) };
        let mark = Mark { size: head.size, root: head.root };
        let fault = self.faults.at(Point::Guard);
        let written = match fault {
            Some(Fault::Full | Fault::Lost) => Ok(()),
            Some(Fault::Persisted) | None => self.guard.write(mark),
        };
        let written = written.map_err(Error::Guard).and_then(|()| match fault {
            None => Ok(()),
            Some(fault) => {
                Err(Error::File { doing: "write", path: self.shared.guard_path.clone(), source: fault.io() })
            }
        });
        if let Err(error) = written {
            self.unguarded = Some(head);
            return Err(error);
        }
        if let Some(fault) = self.faults.at(Point::Publish) {
            let error = Error::Store { doing: "publish a batch", source: fault.sqlite() };
            self.end(&error);
            return Ok(());
        }
        self.shared.show(head);
        if self.tip.closed {
            let _known_before = self.shared.read_only.set(ReadOnly::Closed);
        }
        Ok(())
    }

    /// Ends the open transaction, which has failed.
    fn roll_back(&mut self, error: Error) -> Failed {
        self.doubtful = true;
        if self.connection.is_autocommit() {
            return Failed::Batch(error);
        }
        match self.connection.execute_batch("ROLLBACK") {
            Ok(()) => Failed::Batch(error),
            Err(_) => Failed::Unknown(error),
        }
    }

    fn fail(&mut self, jobs: Vec<Job>, failed: Failed) {
        match failed {
            Failed::Batch(error) => {
                tracing::error!(error = %Chain(&error), waiting = jobs.len(), "a batch was not recorded");
                self.shared.counters.failed_batches.fetch_add(1, Relaxed);
                let error = Arc::new(error);
                self.shared.failing(Some(Arc::clone(&error)));
                answer_all(jobs, &AppendError::Store(error));
            }
            Failed::Unknown(error) => {
                self.end(&error);
                answer_all(jobs, &AppendError::Stopped);
            }
        }
    }

    fn end(&mut self, error: &Error) {
        tracing::error!(error = %Chain(error), "the outcome of a COMMIT is unknown; the process must end");
        self.dead = true;
        self.shared.stopped.store(true, Release);
        self.on_fatal.call(&Chain(error).to_string());
    }

    fn refund(&mut self, drafted: &Drafted) {
        for charge in &drafted.charges {
            self.spent.refund(charge);
        }
    }

    fn note(&self, drafted: &Drafted) {
        let counters = &self.shared.counters;
        if drafted.leaves > 0 {
            counters.batches.fetch_add(1, Relaxed);
        }
        counters.leaves.fetch_add(drafted.leaves, Relaxed);
        counters.unrecorded_moves.fetch_add(drafted.unrecorded_moves, Relaxed);
        if let Some(agrees) = drafted.clock_agrees {
            self.shared.clock_agrees.store(agrees, Release);
        }
    }
}

fn answer_all(jobs: Vec<Job>, error: &AppendError) {
    for job in jobs {
        drop(job.reply.send(Err(error.clone())));
    }
}

fn is_full_or_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy))
}

/// An error with its causes, for the log.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
