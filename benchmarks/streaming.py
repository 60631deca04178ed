"""Training on more data than memory: the most memory that a run held, and how long steps waited.

    python benchmarks/streaming.py [--gigabytes 3] [--images 20000] [--folder DIR]

Makes synthetic data in a temporary folder: so many gigabytes of 32×32 pixels as .npy, as IDX and as
Parquet, which is unpacked into another file of that size, and a folder of so many PNG files of
32×32 pixels in colour, which processes decode ahead of the steps. Each is trained for one epoch in
a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

RUN = """
import json, re, sys
from allbps.train import TrainOptions, run
data, model, batch, out = sys.argv[1:]
report = run(TrainOptions(data=data, model=model, epochs=1, batch_size=int(batch), stream=True,
                          out=out))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
waited = next((text for text in report.remarks if "waited" in text), "nothing was streamed")
print(json.dumps([int(peak) // 1024, waited, round(report.examples_per_second)]))
"""
AT_ONCE = 20_000


def pixels(count, rng):
    return rng.integers(0, 256, (count, 32, 32), np.uint8)


def as_npy(folder, count, rng):
    images = np.lib.format.open_memmap(folder / "x.npy", "w+", np.uint8, (count, 32, 32))
    for start in range(0, count, AT_ONCE):
        images[start : start + AT_ONCE] = pixels(min(AT_ONCE, count - start), rng)
    np.save(folder / "y.npy", np.arange(count) % 10)
    return folder


def as_idx(folder, count, rng):
    with (folder / "train-images-idx3-ubyte").open("wb") as file:
        file.write(np.array([2051, count, 32, 32], ">i4").tobytes())
        for start in range(0, count, AT_ONCE):
            file.write(pixels(min(AT_ONCE, count - start), rng).tobytes())
    labels = (np.arange(count) % 10).astype(np.uint8)
    head = np.array([2049, count], ">i4").tobytes()
    (folder / "train-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    return folder


def as_parquet(folder, count, rng):
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([("image", pa.list_(pa.uint8(), 1024)), ("label", pa.int64())])
    with parquet.ParquetWriter(folder / "train.parquet", schema) as writer:
        for start in range(0, count, AT_ONCE):
            flat = pa.array(pixels(min(AT_ONCE, count - start), rng).reshape(-1))
            rows = pa.FixedSizeListArray.from_arrays(flat, 1024)
            writer.write_table(pa.table([rows, np.arange(len(rows)) % 10], schema=schema))
    return folder / "train.parquet"


def as_files(folder, count, rng):
    from PIL import Image

    for k in range(count):
        place = folder / f"class{k % 10}"
        place.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(place / f"{k}.png")
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--folder", help="where there is room for the data")
    options = parser.parse_args()
    rows = int(options.gigabytes * 1e9 / 1024)
    kinds = [
        (f"{rows:,} images in .npy", as_npy, rows, "mlp", 256),
        (f"{rows:,} images in IDX", as_idx, rows, "mlp", 256),
        (f"{rows:,} images in Parquet", as_parquet, rows, "mlp", 256),
        (f"{options.images:,} PNG files, ResNet-20", as_files, options.images, "resnet20", 64),
    ]
    print("| data | most memory, MB | steps | examples/s |\n|---|--:|---|--:|")
    for name, make, count, model, batch in kinds:
        with tempfile.TemporaryDirectory(dir=options.folder) as place:
            (Path(place) / "data").mkdir()
            source = make(Path(place) / "data", count, np.random.default_rng(0))
            command = [sys.executable, "-c", RUN, str(source), model, str(batch), f"{place}/out"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            peak, waited, rate = json.loads(done.stdout)
        print(f"| {name} | {peak} | {waited} | {rate:,} |", flush=True)


if __name__ == "__main__":
    main()
