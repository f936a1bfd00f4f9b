//! Read models. The order's own row and lines are written with its events, so a reader is never behind.

pub mod orders;
