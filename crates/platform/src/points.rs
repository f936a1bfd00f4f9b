//! Named points that a process passes, where a test may kill it.
//!
//! The steps of the database are points by their labels; the others (a delivery of the bus, a call to the provider, a
//! reply) say their name here. In an ordinary build [`pass`] is nothing. Built with `--cfg merx_mutants`, each point is
//! told to whoever watches.

/// On which side of what it names a point lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// It has not happened yet.
    Before,
    /// It has happened, and nobody knows yet.
    After,
}

impl Side {
    /// As a test writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// Passes a point; `name` is made only when somebody watches.
#[cfg(not(merx_mutants))]
#[inline(always)]
pub fn pass(_name: impl FnOnce() -> String, _side: Side) {}

/// Passes a point; `name` is made only when somebody watches.
#[cfg(merx_mutants)]
pub fn pass(name: impl FnOnce() -> String, side: Side) {
    if let Some(watcher) = WATCHER.get() {
        watcher(&name(), side);
    }
}

#[cfg(merx_mutants)]
type Watcher = Box<dyn Fn(&str, Side) + Send + Sync>;

#[cfg(merx_mutants)]
static WATCHER: std::sync::OnceLock<Watcher> = std::sync::OnceLock::new();

/// Has every point told to `watcher`; the first one stays.
#[cfg(merx_mutants)]
pub fn watch(watcher: Watcher) {
    drop(WATCHER.set(watcher));
}
