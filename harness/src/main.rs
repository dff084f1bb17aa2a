//! The `rlnet` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rlnet::cli::main()
}
