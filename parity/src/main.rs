//! The command line of `parity`.

fn main() -> std::process::ExitCode {
    parity::cli::main()
}
