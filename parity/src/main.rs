//! The command line of `parity`.

/// As the server has it: the engine runs in this process, too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    parity::cli::main()
}
