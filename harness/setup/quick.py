#!/usr/bin/env python3
"""Format, lints and tests of what changed: the answer to a small change, in a minute or so. `make test` tests everything.

Changed is what differs from the commit where this branch left `main` (RLNET_BASE=COMMIT chooses another), and what is not
committed. Of a changed crate the lints are run, and the unit tests of the changed modules: for src/attack/pgd.rs
those of `attack`, and the integration tests that are named so (tests/attack_properties). A changed test runs itself.
Of a manifest, a build script or src/lib.rs all unit tests are run. The crates that use a changed one are compiled.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Crates whose tests take seconds: always as a whole.
SMALL = {"rlnet-corruptions", "rlnet-suites", "rlnet-test-support"}
# Minutes of numbers, which `make test` compares: only when they are changed themselves.
SLOW = {"oracles"}


def output(*command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout


def changed():
    base = os.environ.get("RLNET_BASE")
    if not base:
        known = subprocess.run(["git", "merge-base", "HEAD", "main"], cwd=ROOT, capture_output=True, text=True, check=False)
        base = known.stdout.strip() or "HEAD"
    names = output("git", "diff", "--name-only", "--relative", base).splitlines()
    return sorted({*names, *output("git", "ls-files", "--others", "--exclude-standard").splitlines()})


def packages():
    """Crates by their folders, those inside others first."""
    found = json.loads(output("cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"))["packages"]
    places = {str(Path(package["manifest_path"]).parent.relative_to(ROOT)): package for package in found}
    return dict(sorted(places.items(), key=lambda item: -len(item[0])))


def targets(package):
    return {target["name"] for target in package["targets"] if "test" in target["kind"]}


def selected(package, inside):
    """What to test for a changed file of a crate: cargo's words for the targets, and the names that tests must contain."""
    parts = Path(inside).with_suffix("").parts
    if parts[0] == "tests" and len(parts) > 1:
        if parts[1] not in targets(package):
            # All integration tests of the crate are one target, and this is a module of it.
            parts = ("tests", *sorted(targets(package)), *parts[1:])
        whole = len(parts) < 3 or parts[2] in ("main", "mod", "support")
        return ("--test", parts[1]), None if whole else f"{parts[2]}::"
    if package["name"] in SMALL:
        return (), None
    whole = parts[0] != "src" or len(parts) < 2 or parts[1] in ("lib", "main")
    return ("--lib",), None if whole else f"{parts[1]}::"


def beside(package, module):
    """The integration tests of a module: targets whose names begin so, and modules of the same name."""
    folder = Path(package["manifest_path"]).parent / "tests"
    for target in sorted(targets(package) - SLOW):
        if target.startswith(module):
            yield target, None
        elif (folder / f"{module}.rs").exists() or (folder / target / f"{module}.rs").exists():
            yield target, f"{module}::"


def commands(files):
    """The commands for these files, in order, without a repetition."""
    places, lints, tests, touched = packages(), {}, {}, set()
    for file in files:
        folder = next((folder for folder in places if file.startswith(f"{folder}/")), None)
        inside = file[len(folder) + 1 :] if folder else ""
        if not folder or not inside.endswith((".rs", ".toml", ".html", ".css", ".js", ".txt", ".json")):
            continue
        package = places[folder]
        name = package["name"]
        lints[("cargo", "clippy", "--quiet", "-p", name, "--all-targets", "--", "-D", "warnings")] = None
        if not inside.startswith("tests/"):
            touched.add(name)
        words, filter = selected(package, inside)
        tests.setdefault((name, *words), set()).add(filter)
        if words == ("--lib",) and filter:
            for target, part in beside(package, filter.rstrip(":")):
                tests.setdefault((name, "--test", target), set()).add(part)
    users = [
        package["name"]
        for package in places.values()
        if package["name"] not in touched
        and any(dep["name"] in touched and dep["kind"] is None for dep in package["dependencies"])
    ]
    for name in users:
        lints[("cargo", "check", "--quiet", "-p", name)] = None
    if any(key[0] == "rlnet-tests" and "program" in key for key in tests):
        lints[("cargo", "build", "--quiet", "-p", "rlnet")] = None
    run = []
    for (name, *words), filters in sorted(tests.items()):
        names = [] if None in filters else sorted(filters)
        run.append(("cargo", "test", "--quiet", "-p", name, *words, "--", *names))
    return [("cargo", "fmt", "--all", "--check"), *lints, *run]


def main():
    started, files = time.monotonic(), changed()
    print(f"{len(files)} changed files", flush=True)
    for command in commands(files):
        print("==", " ".join(command), f"({time.monotonic() - started:.0f} s since start)", flush=True)
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            sys.exit(code)
    print(f"{time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
