//! The `rlnet` program.

fn main() {
    rlnet::device::leave(rlnet::cli::main())
}
