#!/usr/bin/env python3
"""What the program is built from: checked against deny.toml, and written as a list (SBOM).

  check          licences, banned crates and sources of every crate in Cargo.lock; exit code 1 and every violation
  sbom FILE      the crates that `rlnet` is built from and libtorch, as CycloneDX 1.5 JSON; the same bytes each time

`check` applies the rules of deny.toml as `cargo deny check bans licenses sources` does, without a program to install;
it refuses a rule that it does not know. Python 3.11+, standard library only.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
# The rules of deny.toml that `check` applies; with another one it would pass without having looked.
KNOWN = {
    "licenses": {"allow", "private"},
    "bans": {"multiple-versions", "wildcards", "deny"},
    "sources": {"unknown-registry", "unknown-git"},
}


def fail(text):
    print(f"supply_chain: error: {text}", file=sys.stderr)
    sys.exit(2)


def metadata(root):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    found = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=False)
    if found.returncode:
        fail("cargo metadata failed; what cargo said is above")
    return json.loads(found.stdout)


def rules(path):
    found = tomllib.loads(path.read_text())
    for section, keys in found.items():
        unknown = set(keys) - KNOWN.get(section, set())
        if unknown:
            fail(f"{path}: [{section}] has a rule that this script does not know: {', '.join(sorted(unknown))}")
    return found


def allowed(expression, allow):
    """Whether an SPDX expression is met by licences of `allow`; those that were needed for it, or None."""
    words = re.findall(r"\(|\)|[^\s()/]+|/", expression.replace("/", " OR "))
    place = 0

    def word():
        return words[place] if place < len(words) else ""

    def take():
        nonlocal place
        place += 1
        return words[place - 1] if place <= len(words) else fail(f"a licence that cannot be read: {expression!r}")

    def either():
        choices = [both()]
        while word().upper() == "OR":
            take()
            choices.append(both())
        return next((choice for choice in choices if choice is not None), None)

    def both():
        parts = [one()]
        while word().upper() == "AND":
            take()
            parts.append(one())
        return None if None in parts else set().union(*parts)

    def one():
        name = take()
        if name == "(":
            inner = either()
            if take() != ")":
                fail(f"a licence that cannot be read: {expression!r}")
            return inner
        if word().upper() == "WITH":
            name = f"{name} {take()} {take()}"
        return {name} if name in allow else None

    found = either()
    return found if place == len(words) else fail(f"a licence that cannot be read: {expression!r}")


def violations(packages, deny):
    """Every breach of the rules, and the licences that are allowed and not needed."""
    allow, needed, found = set(deny["licenses"]["allow"]), set(), []
    banned = {ban["crate"]: ban.get("reason", "banned") for ban in deny["bans"].get("deny", [])}
    # Nothing else is implemented, so nothing else may be asked for.
    for section, key, value in [
        ("bans", "multiple-versions", "allow"),
        ("bans", "wildcards", "allow"),
        ("sources", "unknown-registry", "deny"),
        ("sources", "unknown-git", "deny"),
    ]:
        if deny[section].get(key) != value:
            fail(f"deny.toml: [{section}] {key} must be {value!r} for this script")
    for package in packages:
        name, source = f"{package['name']} {package['version']}", package["source"]
        if package["name"] in banned:
            found.append(f"{name} is banned: {banned[package['name']]}")
        if source not in (None, CRATES_IO):
            found.append(f"{name} comes from {source}, not from crates.io")
        private = source is None and package["publish"] == []
        if private and deny["licenses"].get("private", {}).get("ignore"):
            continue
        if not package["license"]:
            found.append(f"{name} names no licence")
            continue
        because = allowed(package["license"], allow)
        if because is None:
            found.append(f"{name}: {package['license']} is not among the allowed licences")
        needed |= because or set()
    return found, sorted(allow - needed)


def check(root, path):
    packages = metadata(root)["packages"]
    found, unneeded = violations(packages, rules(path))
    for violation in found:
        print(violation)
    if unneeded:
        print(f"allowed, and needed by no crate: {', '.join(unneeded)}")
    print(f"{len(packages)} crates: " + (f"{len(found)} violations" if found else "licences, bans and sources are right"))
    return 1 if found else 0


def checksums(root):
    lock = tomllib.loads((root / "Cargo.lock").read_text())
    return {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}


def built_from(resolve, start):
    """The ids that a crate is built from: no tests' crates."""
    edges = {
        node["id"]: [
            dep["pkg"] for dep in node["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])
        ]
        for node in resolve["nodes"]
    }
    reached, todo = {start}, [start]
    while todo:
        new = [dep for dep in edges[todo.pop()] if dep not in reached]
        reached.update(new)
        todo += new
    return {id: sorted(dep for dep in edges[id] if dep in reached) for id in reached}


def libtorch(root):
    pinned = re.search(r'TORCH = "torch==([\d.]+)"', (root / "harness/setup/libtorch.py").read_text())
    version = pinned.group(1) if pinned else fail("harness/setup/libtorch.py names no version of torch")
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/torch@{version}",
        "name": "torch",
        "version": version,
        "description": "libtorch, loaded at run time",
        "licenses": [{"license": {"id": "BSD-3-Clause"}}],
        "purl": f"pkg:pypi/torch@{version}",
    }


def sbom(root):
    found, sums = metadata(root), checksums(root)
    packages = {package["id"]: package for package in found["packages"]}
    program = next(id for id, package in packages.items() if package["name"] == "rlnet" and not package["source"])
    graph = built_from(found["resolve"], program)

    def ref(id):
        return f"pkg:cargo/{packages[id]['name']}@{packages[id]['version']}"

    def component(id, kind="library"):
        package = packages[id]
        checksum = sums.get((package["name"], package["version"]))
        made = {"type": kind, "bom-ref": ref(id), "name": package["name"], "version": package["version"]}
        if checksum:
            made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        if package["license"]:
            made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        return {**made, "purl": ref(id)}

    torch = libtorch(root)
    order = sorted(graph, key=ref)
    depends = [{"ref": ref(id), "dependsOn": [ref(dep) for dep in graph[id]]} for id in order]
    next(entry for entry in depends if entry["ref"] == ref(program))["dependsOn"].append(torch["bom-ref"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(program, "application")},
        "components": [component(id) for id in order if id != program] + [torch],
        "dependencies": [{**entry, "dependsOn": sorted(entry["dependsOn"])} for entry in depends],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("check")
    command.add_argument("--rules", type=Path)
    command = commands.add_parser("sbom")
    command.add_argument("file", type=Path)
    options = parser.parse_args()
    if options.command == "check":
        sys.exit(check(options.root, options.rules or options.root / "deny.toml"))
    options.file.parent.mkdir(parents=True, exist_ok=True)
    options.file.write_text(json.dumps(sbom(options.root), indent=1) + "\n")
    print(f"{options.file}: what rlnet is built from")


if __name__ == "__main__":
    main()
