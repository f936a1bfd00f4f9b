//! One subscription a file.

pub mod person_erased;
