//! What there is a new one of after every restart.

use std::{
    ops::Deref,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The most there can be.
const MOST: usize = 64;

/// The latest of several; earlier ones are kept until all of them go, so that whoever holds a reference may keep it.
pub struct Latest<T> {
    all: [OnceLock<Box<T>>; MOST],
    count: AtomicUsize,
}

impl<T> Latest<T> {
    /// The first.
    pub fn new(first: T) -> Self {
        let latest = Self { all: [const { OnceLock::new() }; MOST], count: AtomicUsize::new(0) };
        latest.push(first);
        latest
    }
    /// One more, which is the latest from now on.
    pub fn push(&self, next: T) {
        let count = self.count.load(Ordering::Acquire);
        assert!(self.all[count].set(Box::new(next)).is_ok(), "two made a new one at once");
        self.count.store(count + 1, Ordering::Release);
    }
    /// How many there were.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

impl<T> Deref for Latest<T> {
    type Target = T;
    fn deref(&self) -> &T {
        let latest = self.count() - 1;
        self.all[latest].get().unwrap_or_else(|| panic!("the latest is there from the beginning"))
    }
}
