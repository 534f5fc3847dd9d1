//! Runs a scenario against a target.
