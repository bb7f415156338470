#!/usr/bin/env python3
"""k-means by scikit-learn, and files to run it on.

    kmeans.py make FOLDER                        features.bin, noise.bin, blobs.bin: 50,000 rows of 128 float32
    kmeans.py FILE [COLUMNS] [CLUSTERS] [SEEDS]  KMeans(CLUSTERS, n_init=1) on two threads, once for each seed
"""
import sys
import time
from pathlib import Path

import numpy as np


def make(folder: Path) -> None:
    from sklearn.datasets import make_blobs

    random = np.random.default_rng(0)
    # Like features of a network: rectified mixtures of a few hidden numbers.
    hidden, mixing = random.standard_normal((50000, 20)), random.standard_normal((20, 128))
    features = np.maximum(hidden @ mixing * 0.3, 0) + 0.1 * random.standard_normal((50000, 128))
    blobs, _ = make_blobs(50000, 128, centers=64, cluster_std=3.0, random_state=0)
    for name, rows in [("features", features), ("noise", random.standard_normal((50000, 128))), ("blobs", blobs)]:
        rows.astype(np.float32).tofile(folder / f"{name}.bin")


def measure(file: str, columns: int = 128, clusters: int = 64, seeds: int = 1) -> None:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    rows = np.fromfile(file, dtype=np.float32).reshape(-1, columns)
    with threadpool_limits(2):
        for seed in range(seeds):
            begun = time.perf_counter()
            found = KMeans(clusters, n_init=1, random_state=seed).fit(rows)
            seconds = time.perf_counter() - begun
            print(f"peer {seconds:8.3f} s, {found.n_iter_} iterations, inertia {found.inertia_:.6e}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        measure(sys.argv[1], *map(int, sys.argv[2:]))
