#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| rlnet::fuzz::run("suite", data));
