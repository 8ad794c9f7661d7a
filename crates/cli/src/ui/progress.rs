//! How far something is that a person waits for: a bar on a terminal, now and then a line elsewhere.
//! It must not know what is being done.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Ui;

/// Between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);
/// Redraws of a bar in a second.
const REDRAWS: u8 = 10;

/// Shown until dropped.
#[derive(Debug)]
pub(crate) struct Progress(Shown);

#[derive(Debug)]
enum Shown {
    /// One bar for each thing that is done, the last one of which is there.
    Bar(Option<(&'static str, ProgressBar)>),
    Lines {
        ui: Ui,
        last: Instant,
    },
    Hidden,
}

impl Progress {
    pub(super) fn hidden() -> Self {
        Self(Shown::Hidden)
    }

    pub(super) fn lines(ui: Ui) -> Self {
        Self(Shown::Lines { ui, last: Instant::now() })
    }

    pub(super) fn bar() -> Self {
        Self(Shown::Bar(None))
    }

    /// `done` of `total` of `what` is done.
    pub(crate) fn at(&mut self, what: &'static str, done: u64, total: u64) {
        match &mut self.0 {
            Shown::Bar(Some((shown, bar))) if *shown == what => {
                bar.set_length(total);
                bar.set_position(done);
            }
            Shown::Bar(last) => {
                clear(last);
                let bar = bar(what, total);
                bar.set_position(done);
                *last = Some((what, bar));
            }
            Shown::Lines { ui, last } => {
                if last.elapsed() >= PAUSE {
                    *last = Instant::now();
                    ui.note(format_args!("{what}: {done} of {total}"));
                }
            }
            Shown::Hidden => {}
        }
    }

    /// Takes the bar away while something else is printed.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Shown::Bar(Some((_, bar))) => bar.suspend(print),
            _ => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(last) = &mut self.0 {
            clear(last);
        }
    }
}

fn bar(what: &'static str, total: u64) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
    let bar = ProgressBar::with_draw_target(Some(total), target).with_message(what);
    match ProgressStyle::with_template("{msg:24} {bar:32} {human_pos}/{human_len} {eta}") {
        Ok(style) => bar.with_style(style),
        // The template is a constant; another look would do as well.
        Err(_never) => bar,
    }
}

fn clear(last: &mut Option<(&'static str, ProgressBar)>) {
    if let Some((_, bar)) = last.take() {
        bar.finish_and_clear();
    }
}
