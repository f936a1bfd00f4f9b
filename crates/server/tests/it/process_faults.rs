//! process_faults
