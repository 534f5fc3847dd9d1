//! `scenarios/survivors.toml`: which mutants nobody notices, how many they are, and why that is right.
