//! Compiles the C++ files against the headers of the libtorch that `torch-sys` links.

use std::path::Path;

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where its libtorch is");
    let include = Path::new(&lib).with_file_name("include");
    // The second one has loops over memory.
    for (name, level) in [("libtorch", 1), ("masked_relu", 3)] {
        let file = format!("src/{name}.cpp");
        println!("cargo:rerun-if-changed={file}");
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .pic(true)
            .warnings(false)
            .opt_level(level)
            .define("_GLIBCXX_USE_CXX11_ABI", "1")
            // As libtorch is built: its headers check in debug builds what only a debug build of it prepares.
            .define("NDEBUG", None)
            .include(&include)
            .include(include.join("torch/csrc/api/include"))
            .file(file)
            .compile(&format!("rlnet_{name}"));
    }
}
