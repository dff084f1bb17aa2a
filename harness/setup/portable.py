#!/usr/bin/env python3
"""Takes rlnet to a machine that has Python with PyTorch 2.11 and a GPU, but no cargo and no network.

  pack OUT [--data DIR] [--checks]      here: the stripped binary (and data files), packed into parts; with
                                        --checks the tests of a GPU as well (--oracles DIR: their reference data)
  unpack FOLDER [--to DIR]              there: joins the parts, checks them, unpacks
  run [--minutes N] -- ARGS             there: rlnet ARGS on that Python's libtorch, for N minutes at most
  check                                 there: the tests that were packed, on the GPU; exit code 1 when one fails
  dist OUT                              here: the release archive, program, licences and SBOM; the same files give the same bytes
  split FILE [--size 15M]               a large file (a checkpoint, say) into FILE.000, FILE.001, ... and FILE.sha256
  join FILE                             and back, checked

`run` starts the program with the time limit it knows itself (`rlnet run --minutes`): it saves after
the step in flight, and the same command goes on from there. Python 3.8+, standard library only.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TORCH = "2.11."
BLOCK = 1 << 20
ARCHIVE = "rlnet.tar.xz"
# What a release holds beside the program and this script.
RELEASED = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "NOTICE", "README.md", "SECURITY.md"]
# The tests that compare a GPU with the CPU, and what of the reference data they read.
CHECKS = ["cuda", "cuda_torchscript"]
REFERENCE = ["*.pt", "*.json", "*_logits.npy"]


def fail(text):
    print(f"portable: error: {text}", file=sys.stderr)
    sys.exit(2)


def size(text):
    """15M and the like, in bytes."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1)
    if not number.isdigit() or int(number) * unit < 1:
        fail(f"--size {text}: write a number of bytes such as 15M")
    return int(number) * unit


def blocks(file):
    while block := file.read(BLOCK):
        yield block


def checksum(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in blocks(file):
            digest.update(block)
    return digest.hexdigest()


def parts_of(path):
    return sorted(path.parent.glob(f"{path.name}.[0-9][0-9][0-9]"))


def split(path, most):
    if not path.is_file():
        fail(f"{path}: there is no such file to split")
    for old in parts_of(path):
        old.unlink()
    names = []
    with open(path, "rb") as file:
        while block := file.read(most):
            part = path.with_name(f"{path.name}.{len(names):03}")
            if len(names) > 999:
                fail(f"{path}: more than 1,000 parts; choose a larger --size")
            part.write_bytes(block)
            names.append(part)
    lines = [f"{checksum(part)}  {part.name}\n" for part in [path, *names]]
    path.with_name(f"{path.name}.sha256").write_text("".join(lines))
    print(f"{path.name}: {len(names)} parts")


def join(path):
    listed = path.with_name(f"{path.name}.sha256")
    if not listed.is_file():
        fail(f"{listed}: not found; it is written by `split` and must travel with the parts")
    lines = [line.split("  ", 1) for line in listed.read_text().splitlines() if line]
    if any(len(line) != 2 for line in lines):
        fail(f"{listed}: not as `split` wrote it, a checksum and a name a line; copy it again")
    sums = {name: digest for digest, name in lines}
    whole = sums.pop(path.name, None)
    if whole is None:
        fail(f"{listed}: has no line for {path.name}; copy it again")
    made = path.with_name(f"{path.name}.joining")
    with open(made, "wb") as out:
        for name in sorted(sums):
            part = path.with_name(name)
            if not part.is_file() or checksum(part) != sums[name]:
                made.unlink()
                fail(f"{part}: missing or damaged; copy it again")
            with open(part, "rb") as file:
                shutil.copyfileobj(file, out)
    if checksum(made) != whole:
        made.unlink()
        fail(f"{path}: the joined file has another checksum; copy {listed.name} and all parts again")
    made.replace(path)
    print(f"{path.name}: joined, {path.stat().st_size} bytes")


def tests():
    """The test programs of a GPU, built and found."""
    names = [word for name in CHECKS for word in ("--test", name)]
    command = ["cargo", "test", "--no-run", "--message-format=json", "-p", "rlnet", *names]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if built.returncode:
        fail("building the tests failed; what cargo said is above")
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith(b"{")]
    return {
        message["target"]["name"]: message["executable"]
        for message in messages
        if message.get("executable") and message["target"]["name"] in CHECKS
    }


def built(named):
    binary = named or ROOT / "target/debug/rlnet"
    if not binary.is_file():
        fail(f"{binary}: not built; run `cargo build -p rlnet` first, or name the program with --binary")
    return binary


def anonymous(entry):
    """Of a file in an archive only its name, bytes and right to run: neither times nor owners."""
    entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def write_archive(archive, programs, files, level):
    """Stripped programs and files by their names inside, always in the same order and the same bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, path) in enumerate(sorted(programs.items())):
            stripped = Path(scratch) / str(number)
            subprocess.run(["strip", "-o", stripped, path], check=True)
            files = {**files, name: stripped}
        with tarfile.open(archive, "w:xz", preset=level, format=tarfile.PAX_FORMAT) as tar:
            for name, path in sorted(files.items()):
                tar.add(path, name, filter=anonymous)


def dist(options):
    binary = built(options.binary)
    options.out.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([binary, "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()[1]
    name = f"rlnet-{version}-{os.uname().sysname.lower()}-{os.uname().machine}"
    with tempfile.TemporaryDirectory() as scratch:
        bom = Path(scratch) / "sbom.json"
        subprocess.run([sys.executable, HERE / "supply_chain.py", "sbom", bom], check=True, stdout=subprocess.DEVNULL)
        files = {f"{name}/{file}": ROOT / file for file in RELEASED}
        files.update({f"{name}/portable.py": Path(__file__), f"{name}/sbom.json": bom})
        archive = options.out / f"{name}.tar.xz"
        write_archive(archive, {f"{name}/rlnet": binary}, files, options.level)
    print(f"{checksum(archive)}  {archive}")


def pack(options):
    binary = built(options.binary)
    if options.oracles and not (options.oracles / "attacks").is_dir():
        fail(f"--oracles {options.oracles}: has no folder attacks/; name the folder that holds it")
    programs = {"rlnet": binary}
    if options.checks:
        programs.update({f"checks/{name}": path for name, path in tests().items()})
    options.out.mkdir(parents=True, exist_ok=True)
    archive = options.out / ARCHIVE
    files = {"portable.py": Path(__file__)}
    files.update({f"data/{path.name}": path for path in (options.data.iterdir() if options.data else [])})
    for pattern in REFERENCE if options.oracles else []:
        files.update({f"oracles/attacks/{path.name}": path for path in options.oracles.glob(f"attacks/{pattern}")})
    write_archive(archive, programs, files, options.level)
    split(archive, options.size)
    archive.unlink()


def unpack(folder, to):
    archive = folder / ARCHIVE
    join(archive)
    with tarfile.open(archive) as tar:
        tar.extractall(to, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(to)
    archive.unlink()
    print(f"unpacked in {to}; go on with: python3 {to}/portable.py run -- doctor")


def libraries():
    """The folders of this Python's libtorch and of the CUDA libraries beside it."""
    try:
        import torch
    except ImportError:
        fail(f"{sys.executable} has no torch; use a Python that has torch {TORCH}x")
    if not torch.__version__.startswith(TORCH):
        fail(f"{sys.executable} has torch {torch.__version__}; this program is built for {TORCH}x")
    here = Path(torch.__file__).parent
    nvidia = sorted(here.parent.glob("nvidia/**/lib"))
    return [str(path) for path in [here / "lib", *nvidia]]


def environment():
    """This one, with that Python's libtorch and what was packed."""
    known = os.environ.get("LD_LIBRARY_PATH")
    made = {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries() + ([known] if known else []))}
    if (HERE / "data").is_dir():
        made.setdefault("RLNET_DATA", str(HERE / "data"))
    if (HERE / "oracles").is_dir():
        made.setdefault("RLNET_SHARED", str(HERE))
    return made


def run(minutes, arguments):
    beside = HERE / "rlnet"
    binary = beside if beside.is_file() else ROOT / "target/debug/rlnet"
    if not binary.is_file():
        fail(f"{beside}: the program is not beside this script; `unpack` it first")
    limit = [] if minutes is None else ["--minutes", str(minutes)]
    made = environment()
    sys.stdout.flush()
    os.execve(binary, [str(binary), *arguments, *limit], made)


def check():
    programs = sorted((HERE / "checks").glob("*"))
    if not programs:
        fail(f"{HERE / 'checks'}: no tests were packed; pack with --checks")
    made = environment()
    # Built where there is no GPU, these tests are ignored unless they are asked for.
    options = ["--nocapture", "--include-ignored"]
    if "RLNET_SHARED" not in made:
        options += ["--skip", "logits_and_verdicts_are_the_references"]
        print("not compared: the reference's TorchScript models, which were not packed (pack --oracles DIR)")
    failed = []
    for program in programs:
        print(f"{program.name}:", flush=True)
        if subprocess.run([program, *options], env=made, check=False).returncode:
            failed.append(program.name)
    print(f"failed: {', '.join(failed)}" if failed else f"{len(programs)} test programs passed")
    sys.exit(1 if failed else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("pack")
    command.add_argument("out", type=Path)
    command.add_argument("--data", type=Path)
    command.add_argument("--checks", action="store_true")
    command.add_argument("--oracles", type=Path)
    command.add_argument("--binary", type=Path)
    command.add_argument("--level", type=int, choices=range(10), default=6)
    command.add_argument("--size", type=size, default=size("15M"))
    command = commands.add_parser("dist")
    command.add_argument("out", type=Path)
    command.add_argument("--binary", type=Path)
    command.add_argument("--level", type=int, choices=range(10), default=6)
    command = commands.add_parser("unpack")
    command.add_argument("folder", type=Path)
    command.add_argument("--to", type=Path, default=Path("rlnet-portable"))
    command = commands.add_parser("run")
    command.add_argument("--minutes", type=float)
    command.add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("check")
    for name in ("split", "join"):
        command = commands.add_parser(name)
        command.add_argument("file", type=Path)
        if name == "split":
            command.add_argument("--size", type=size, default=size("15M"))
    options = parser.parse_args()
    if options.command == "pack":
        pack(options)
    elif options.command == "dist":
        dist(options)
    elif options.command == "unpack":
        unpack(options.folder, options.to)
    elif options.command == "run":
        arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
        run(options.minutes, arguments)
    elif options.command == "check":
        check()
    elif options.command == "split":
        split(options.file, options.size)
    else:
        join(options.file)


if __name__ == "__main__":
    main()
