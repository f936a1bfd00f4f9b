//! Panics of one thread, those included that a supervisor has caught.

use std::{
    backtrace::Backtrace,
    cell::RefCell,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::Once,
};

thread_local! {
    /// What panicked on this thread; `None` while nobody collects.
    static SEEN: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Runs `run`; whatever panics on this thread meanwhile is the error.
pub(super) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !note(info) {
                usual(info);
            }
        }));
    });
    SEEN.set(Some(Vec::new()));
    let ended = panic::catch_unwind(AssertUnwindSafe(run));
    let seen = SEEN.take().unwrap_or_default();
    match ended {
        Ok(value) if seen.is_empty() => Ok(value),
        // The first is the cause, or nearer to it than what came of it.
        _ => Err(seen.into_iter().next().unwrap_or_else(|| "it panicked".to_owned())),
    }
}

/// Whether somebody collects.
fn note(info: &PanicHookInfo<'_>) -> bool {
    SEEN.with_borrow_mut(|seen| {
        let Some(seen) = seen else { return false };
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let told = merx_platform::tasks::panic_text(info.payload());
        let stack = Backtrace::capture();
        let stack = match stack.status() {
            std::backtrace::BacktraceStatus::Captured => format!("\n{stack}"),
            _ => String::new(),
        };
        seen.push(format!("{told} ({place}){stack}"));
        true
    })
}
