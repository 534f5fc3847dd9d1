//! The command line of `parity`.

fn main() {}
