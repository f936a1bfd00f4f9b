//! How far long work is, on standard error: a bar on a terminal, now and then a plain line elsewhere.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use merx_kernel::{Clock as _, Timestamp};
use merx_platform::time::SystemClock;

/// Lines at least this far apart.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Some work under way.
pub struct Progress {
    what: String,
    bar: Option<ProgressBar>,
    told_at: Timestamp,
}

impl Progress {
    /// Work that begins now: `copying merx.db`.
    pub fn new(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0).with_message(what.clone());
            let style = ProgressStyle::with_template("{msg} [{wide_bar}] {pos}/{len}");
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        Self { what, bar, told_at: SystemClock.now() }
    }

    /// It has come so far.
    pub fn at(&mut self, done: u64, all: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(all);
            bar.set_position(done);
            return;
        }
        let now = SystemClock.now();
        if now.since(self.told_at) >= LINE_EVERY {
            self.told_at = now;
            tell(&format!("{}: {done} of {all}\n", self.what));
        }
    }

    /// It is another part of the work now.
    pub fn now(&mut self, what: impl Into<String>) {
        self.what = what.into();
        if let Some(bar) = &self.bar {
            bar.set_message(self.what.clone());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// To standard error: it is not what the command was asked for. With it closed there is nobody to tell.
fn tell(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(text.as_bytes());
}
