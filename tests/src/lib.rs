//! Whole-program tests: `rlnet` as a user runs it. See `tests/program`.
