"""The images of CIFAR-10's test batch, for comparisons with a peer."""

# Bytes of an image with its label.
RECORD = 1 + 3 * 32 * 32


def first(folder, count):
    """Images `[count, 3, 32, 32]` in [0, 1] and labels `[count]`, as tensors, of the binary version in a folder."""
    import numpy as np
    import torch

    records = np.frombuffer((folder / "test_batch.bin").read_bytes(), np.uint8).reshape(-1, RECORD)[:count]
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255)
    return images, torch.from_numpy(records[:, 0].astype(np.int64))
