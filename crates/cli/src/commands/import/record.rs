//! The work itself: reads ahead in the list, keeps so many references under way, prints and notes what became of each.
//! It must not know how an answer is read, nor how long to wait for one.

use std::time::Instant;

use tokio::task::JoinSet;

use super::list::{self, List};
use super::outcome::{Counts, Line, Outcome};
use super::queue::{Next, Queue, Rate, Task};
use super::service::{Asked, Service, plain};
use super::state::State;
use crate::commands::signals::Signals;
use crate::error::{CommandError, Kind};
use crate::ui::{Progress, Ui};

/// What there is to do, and how fast.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) list: List,
    /// Lines in it, where that is known.
    pub(super) total: Option<u64>,
    pub(super) service: Service,
    pub(super) rate: Rate,
    /// References at one time.
    pub(super) jobs: usize,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Ended {
    Done,
    /// By a signal, or because nobody answers any more; another run may do the rest.
    Early(CommandError),
}

/// Where results go.
struct Results<'a> {
    ui: &'a Ui,
    progress: Progress,
    list: String,
    state: &'a mut State,
    counts: &'a mut Counts,
    total: Option<u64>,
    /// Lines read, which is as much of the total as is known without one.
    read: u64,
}

/// Has every reference of the list recorded that is not in `state`.
///
/// # Errors
/// No service answers, the list cannot be read, or a result cannot be written.
pub(super) async fn all(
    ui: &Ui,
    work: Work,
    state: &mut State,
    counts: &mut Counts,
) -> Result<Ended, CommandError> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        ended = each(ui, work, state, counts) => ended,
        _ = signals.next() => {
            Ok(Ended::Early(CommandError::new(anyhow::anyhow!("interrupted"))))
        }
    }
}

async fn each(ui: &Ui, work: Work, state: &mut State, counts: &mut Counts) -> Result<Ended, CommandError> {
    let Work { list, total, service, rate, jobs } = work;
    service.ping().await?;
    let name = plain(list.name());
    let mut results = Results { ui, progress: ui.progress(), list: name, state, counts, total, read: 0 };
    let mut lines = list.lines()?;
    let mut queue = Queue::new(rate);
    let mut under_way: JoinSet<(Task, Asked)> = JoinSet::new();
    let mut is_read = false;
    loop {
        let mut wake = None;
        while under_way.len() < jobs {
            match queue.next(Instant::now()) {
                Next::Start(task) => {
                    let service = service.clone();
                    under_way.spawn(async move {
                        let asked = service.ask(&task.tag, task.tries).await;
                        (task, asked)
                    });
                }
                Next::At(time) => {
                    wake = Some(time);
                    break;
                }
                Next::Nothing => break,
            }
        }
        if is_read && queue.is_empty() && under_way.is_empty() {
            return Ok(Ended::Done);
        }
        tokio::select! {
            line = lines.recv(), if !is_read && queue.has_room() => match line {
                Some(line) => {
                    if let Some(task) = results.take(line?)? {
                        queue.push(task);
                    }
                }
                None => is_read = true,
            },
            Some(ended) = under_way.join_next() => {
                let (task, asked) = ended.map_err(CommandError::new)?;
                match asked {
                    Asked::Done(outcome) => {
                        queue.ended(&task.tag);
                        results.put(task.line, Some(&task.tag.to_string()), &outcome)?;
                    }
                    Asked::Again(wait) => queue.again(task, Instant::now(), wait),
                    Asked::Unreachable(error) => return Ok(Ended::Early(error)),
                }
            }
            () = sleep_until(wake), if wake.is_some() => {}
        }
    }
}

async fn sleep_until(time: Option<Instant>) {
    if let Some(time) = time {
        tokio::time::sleep_until(time.into()).await;
    }
}

impl Results<'_> {
    /// What is left to do of a line.
    fn take(&mut self, line: list::Line) -> Result<Option<Task>, CommandError> {
        self.read += 1;
        match line.tag {
            Ok(tag) if self.state.is_new(&tag) => {
                self.show();
                Ok(Some(Task { line: line.number, tag, tries: 0 }))
            }
            Ok(_) => {
                self.counts.skipped += 1;
                self.show();
                Ok(None)
            }
            Err(reason) => {
                self.put(line.number, None, &Outcome::Failed { reason: plain(reason) })?;
                Ok(None)
            }
        }
    }

    /// Prints and counts a result, and notes it if nothing is left to do.
    fn put(&mut self, line: u64, reference: Option<&str>, outcome: &Outcome) -> Result<(), CommandError> {
        let line = Line { line, reference, list: &self.list, outcome };
        let printed = self.progress.aside(|| self.ui.print(&line, &line));
        // References that nobody hears of are not done.
        printed.map_err(|error| CommandError { kind: Kind::CouldNotRun, ..error })?;
        if outcome.is_recorded() {
            self.state.note(&line.to_string())?;
        }
        self.counts.add(outcome);
        self.show();
        Ok(())
    }

    fn show(&mut self) {
        let total = self.total.unwrap_or_default().max(self.read);
        self.progress.at("references", self.counts.sum(), total);
    }
}
