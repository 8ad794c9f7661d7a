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
    Bar(ProgressBar),
    Lines { ui: Ui, last: Instant },
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
        let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{msg:24} {bar:32} {human_pos}/{human_len} {eta}");
        // The template is a constant; a bar without style would do as well.
        Self(Shown::Bar(match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }))
    }

    /// `done` of `total` of `what` is done.
    pub(crate) fn at(&mut self, what: &'static str, done: u64, total: u64) {
        match &mut self.0 {
            Shown::Bar(bar) => {
                if bar.message() != what {
                    bar.reset();
                    bar.set_message(what);
                }
                bar.set_length(total);
                bar.set_position(done);
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
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
