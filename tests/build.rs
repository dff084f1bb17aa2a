//! Says which tests have what they need here: reference data, Slurm, a browser.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    rlnet_test_support::declare(&[
        "reference",
        "images",
        "slurm",
        "browser",
        "torch",
        "s3",
        "spu",
        "onnxruntime",
        "marabou",
        "mount",
    ]);
}
