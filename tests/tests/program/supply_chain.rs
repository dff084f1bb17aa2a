//! `harness/setup/supply_chain.py`: the rules of deny.toml, and the list of what the program is built from.

use crate::packaging::{python, script};
use crate::support::Sandbox;
use serde_json::Value;

const RULES: &str = include_str!("../../../deny.toml");

#[test]
fn the_dependencies_keep_the_rules_and_a_breach_of_each_is_found() {
    let sandbox = Sandbox::new();
    let check = |rules: &str| {
        sandbox.write("deny.toml", rules);
        python(
            &sandbox,
            &script("supply_chain.py"),
            None,
            &["check", "--rules", "deny.toml"],
        )
    };
    let kept = check(RULES);
    assert_eq!(kept.code, 0, "{}{}", kept.stdout, kept.stderr);
    let banned = "deny = [\n  { crate = \"serde\", reason = \"a test\" },";
    for (from, to, found) in [
        (
            "\"CDLA-Permissive-2.0\"",
            "\"Beerware\"",
            "CDLA-Permissive-2.0 is not among the allowed licences",
        ),
        ("deny = [", banned, "is banned: a test"),
    ] {
        let rules = RULES.replacen(from, to, 1);
        assert_ne!(rules, RULES, "{from}");
        let broken = check(&rules);
        assert_eq!(broken.code, 1, "{}", broken.stderr);
        assert!(broken.stdout.contains(found), "{found}: {}", broken.stdout);
    }
    // A rule that nothing applies would be a check that cannot fail.
    for (from, to) in [
        ("[bans]", "[bans]\nskip = []"),
        ("unknown-git = \"deny\"", "unknown-git = \"allow\""),
    ] {
        let refused = check(&RULES.replacen(from, to, 1));
        assert_eq!(refused.code, 2, "{to}: {}", refused.stdout);
    }
}

#[test]
fn the_sbom_names_every_crate_once_and_is_the_same_twice() {
    let sandbox = Sandbox::new();
    for file in ["one.json", "two.json"] {
        let written = python(&sandbox, &script("supply_chain.py"), None, &["sbom", file]);
        assert_eq!(written.code, 0, "{}", written.stderr);
    }
    let text = |name: &str| std::fs::read_to_string(sandbox.path(name)).expect("a list");
    assert_eq!(text("one.json"), text("two.json"));
    let list: Value = serde_json::from_str(&text("one.json")).expect("JSON");
    assert_eq!(list["bomFormat"], "CycloneDX");
    let components = list["components"].as_array().expect("components");
    let mut names: Vec<&str> = components
        .iter()
        .map(|component| component["bom-ref"].as_str().expect("a reference"))
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for part in [
        "pkg:cargo/tch@",
        "pkg:cargo/rlnet-suites@",
        "pkg:pypi/torch@2.11.0",
    ] {
        assert!(names.iter().any(|name| name.starts_with(part)), "{part}");
    }
    // Tests are no part of the program.
    for part in ["pkg:cargo/proptest@", "pkg:cargo/criterion@"] {
        assert!(!names.iter().any(|name| name.starts_with(part)), "{part}");
    }
    for component in components
        .iter()
        .filter(|component| component["hashes"].is_null())
    {
        let name = component["name"].as_str().expect("a name");
        assert!(
            name.starts_with("rlnet") || name == "torch",
            "{name} has no checksum"
        );
    }
}
