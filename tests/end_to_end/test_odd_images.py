"""A user's own folder of images, with unusual and broken files."""

import csv
import shutil

import numpy as np
from PIL import Image
from workspace import attempt, do, edit, errors, own_copy, read


def odd_images(folder):
    """Write 120 plain images, some unusual but usable ones, and some unusable files; return the names of the last."""
    rng = np.random.default_rng(0)
    plain = [Image.fromarray(rng.integers(0, 256, (40, 30 + i % 9, 3), np.uint8)) for i in range(130)]
    for i, image in enumerate(plain[:120]):
        path = folder / ("cats" if i % 2 else "größere Hunde") / f"{i}.{('png', 'jpg', 'webp', 'bmp')[i % 4]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    odd = folder / "cats"
    faded = plain[120].convert("RGBA")
    faded.putalpha(90)
    faded.save(odd / "faded.png")
    plain[121].convert("CMYK").save(odd / "print.jpg")
    plain[122].quantize(16).save(odd / "palette.png", transparency=0)
    Image.fromarray(rng.integers(0, 65536, (40, 40), np.uint16)).save(odd / "deep.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    plain[123].save(odd / "turned.jpg", exif=turned)
    plain[124].save(odd / "moving.gif", save_all=True, append_images=plain[125:128])
    shutil.copyfile(odd / "1.jpg", odd / "the same again.jpg")
    whole = (odd / "1.jpg").read_bytes()
    bad = {
        "cats/empty.png": b"",
        "cats/half.jpg": whole[: len(whole) // 2],
        "größere Hunde/words.png": b"no image at all",
        "größere Hunde/notes.txt": b"no image at all",
        "größere Hunde/bits.png": b"\x89PNG\r\n\x1a\n" + bytes(range(200)),
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    Image.new("1", (20_000, 10_000)).save(folder / "cats/bomb.png")
    return [*bad, "cats/bomb.png"]


def test_folder_of_odd_images_is_prepared_and_the_bad_ones_listed(fresh, store, tmp_path):
    copy = own_copy(fresh, store, tmp_path)
    bad = odd_images(tmp_path / "my images")
    edit(copy, {"prepare.source": str(tmp_path / "my images"), "image.channels": 3, "image.side": 32})
    refused = attempt(copy, "dvc", "repro", "prepare")
    assert refused.returncode != 0
    (error,) = errors(refused.stderr)
    assert "6 of 133 files" in error
    assert "cats/bomb.png" in error
    assert "prepare.max_rejected" in error
    edit(copy, {"prepare.max_rejected": 0.1})
    do(copy, "dvc", "repro", "prepare")
    with (copy / "reports/prepare/rejected.csv").open(newline="") as file:
        rejected = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    assert sorted(rejected) == sorted(bad)
    assert all(rejected.values())
    about = read(copy / "data/prepared/dataset.json")
    assert about["classes"] == ["cats", "größere Hunde"]
    assert (sum(about["counts"].values()), about["rejected"], about["duplicates"]) == (126, 6, 1)
    with (copy / "reports/prepare/duplicates.csv").open(newline="") as file:
        (again,) = csv.DictReader(file)
    assert again["item"] != again["repeats"]
    assert np.load(copy / "data/prepared/train.npy").shape == (about["counts"]["train"], 3, 32, 32)
    with Image.open(copy / "reports/prepare/examples.png") as picture:
        assert picture.width > 32
