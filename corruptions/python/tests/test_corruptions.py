"""The same bytes as the crate, and its refusals. Golden hashes: `corruptions/tests/keyed.rs`."""

import threading
import time

import numpy as np
import pytest

import rlnet_corruptions as rc

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("name", rc.CORRUPTIONS)
def test_an_image_does_not_depend_on_its_batch_and_is_not_changed(name):
    before = IMAGES.copy()
    whole = rc.corrupt(IMAGES, name, severity=4, seed=3)
    assert (IMAGES == before).all() and whole.shape == IMAGES.shape and (whole != IMAGES).any()
    backwards = rc.corrupt(IMAGES[::-1], name, severity=4, seed=3, indices=[5, 4, 3, 2, 1, 0])
    assert (backwards[::-1] == whole).all()
    assert (rc.corrupt(IMAGES[2], name, 4, 3, [2]) == whole[2]).all()


def test_what_cannot_be_done_is_refused_with_the_reason():
    for call, said in [
        (lambda: rc.corrupt(IMAGES, "fogg"), 'did you mean "fog"'),
        (lambda: rc.corrupt(IMAGES, "fog", severity=6), "severity 6"),
        (lambda: rc.corrupt(IMAGES[..., :1], "fog"), r"\[N, H, W, 3\]"),
        (lambda: rc.corrupt(IMAGES, "fog", indices=[1]), "do not agree"),
        (lambda: rc.corrupt(np.zeros((1, 48, 48, 3), np.uint8), "fog"), "48x48"),
        (lambda: rc.corrupt(IMAGES, "fog", stack="old"), "known: "),
        (lambda: rc.Corrupt("fogg"), "did you mean"),
    ]:
        with pytest.raises(ValueError, match=said):
            call()
    with pytest.raises(TypeError, match="uint8"):
        rc.corrupt(IMAGES.astype(np.float32), "fog")
    with pytest.raises(TypeError, match="ToTensor"):
        rc.Corrupt("fog")([1, 2])


def test_imagenet_c_bar_is_for_224_pixels():
    ten = rc.FAMILIES["imagenet-c-bar"]
    alone = [name for name in ten if name not in rc.CORRUPTIONS]
    assert (len(ten), len(alone)) == (10, 5)
    image = np.tile(IMAGES[0], (7, 7, 1))
    assert (rc.Corrupt(alone[0])(image) != image).any()
    with pytest.raises(ValueError, match="imagenet"):
        rc.corrupt(IMAGES, alone[0])


def test_other_threads_run_meanwhile():
    many = np.tile(IMAGES, (400, 1, 1, 1))
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(1)
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    rc.corrupt(many, "elastic_transform")
    done.set()
    thread.join()
    assert len(ticks) > 10


def test_a_transform_gives_an_image_the_same_draws_in_any_order():
    transform = rc.Corrupt("gaussian_noise", severity=2, seed=1)
    first, second = transform(IMAGES[0]), transform(IMAGES[1])
    assert (transform(IMAGES[1]) == second).all() and (transform(IMAGES[0]) == first).all()
    assert (first - IMAGES[0] != second - IMAGES[1]).any()
    Image = pytest.importorskip("PIL.Image")
    made = transform(Image.fromarray(IMAGES[0]))
    assert isinstance(made, Image.Image) and (np.asarray(made) == first).all()


def test_a_contact_sheet_has_a_column_a_corruption():
    one, two = (rc.contact_sheet(IMAGES[0], rc.CORRUPTIONS[:n]) for n in (1, 2))
    assert one.dtype == np.uint8 and two.shape[1] > one.shape[1] and two.shape[0] == one.shape[0]
