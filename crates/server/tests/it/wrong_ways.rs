//! wrong_ways
