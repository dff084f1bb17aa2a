//! Writes the good files that fuzzing starts from, into `fuzz/corpus/TARGET`.

#[path = "../harness/tests/strangers/seeds.rs"]
mod seeds;

fn main() -> std::io::Result<()> {
    for (name, _) in rlnet::fuzz::TARGETS {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in seeds::seeds(name).iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    for (number, (name, file)) in seeds::claims().iter().enumerate() {
        std::fs::write(format!("{}/corpus/{name}/claim-{number}", env!("CARGO_MANIFEST_DIR")), file)?;
    }
    Ok(())
}
