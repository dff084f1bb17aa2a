//! What a file of PyTorch holds where it is not the TorchScript that was hoped for, and what to type instead.

use super::archive;
use super::file::TorchFile;
use std::path::Path;

/// What a file holds that PyTorch wrote and this process cannot run, with the way to evaluate it; nothing for
/// TorchScript and for what PyTorch did not write.
pub fn instead_of_torchscript(path: &Path) -> Option<String> {
    let file = path.display();
    let factory =
        format!("rlnet eval {file} --factory FILE.py:make, where make() returns the module without weights");
    if TorchFile::open(path).is_ok() {
        return Some(format!(
            "it holds weights (a state_dict), not a model that can be run: {factory}"
        ));
    }
    let records = archive::records(&std::fs::read(path).ok()?).ok()?;
    let has = |ends: &[&str]| {
        records
            .keys()
            .any(|name| ends.iter().any(|end| name.ends_with(end)))
    };
    if has(&["archive_format", "serialized_exported_program.json"]) {
        return Some(format!(
            "it was written by torch.export: give it the ending .pt2 (rlnet eval {})",
            path.with_extension("pt2").display()
        ));
    }
    let is_script = records.keys().any(|name| name.contains("/code/"));
    (has(&["data.pkl"]) && !is_script).then(|| {
        format!(
            "it holds a pickled object, perhaps a whole module, which only the code that saved it can read: there, \
             torch.save(module.state_dict(), \"{}\"), then {factory}",
            path.with_extension("pth").display()
        )
    })
}
