#!/usr/bin/env python3
"""t-SNE by scikit-learn, and files to run it on.

    tsne.py make FOLDER                               classes.bin, pixels.bin: 5,000 rows of 128 and of 784 float32
    tsne.py FILE [COLUMNS] [PERPLEXITY] [ITERATIONS]  PCA(50), then TSNE on two threads
"""
import sys
import time
from pathlib import Path

import numpy as np


def make(folder: Path) -> None:
    random = np.random.default_rng(0)
    # Like features of a network: rectified mixtures of a few hidden numbers, in ten classes that overlap.
    centres, labels = random.standard_normal((10, 20)) * 1.5, random.integers(0, 10, 5000)
    hidden = centres[labels] + random.standard_normal((5000, 20))
    for name, columns in [("classes", 128), ("pixels", 784)]:
        rows = np.maximum(hidden @ random.standard_normal((20, columns)) * 0.3, 0)
        rows += 0.1 * random.standard_normal(rows.shape)
        rows.astype(np.float32).tofile(folder / f"{name}.bin")


def measure(file: str, columns: int = 128, perplexity: int = 30, iterations: int = 1000) -> None:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness
    from threadpoolctl import threadpool_limits

    rows = np.fromfile(file, dtype=np.float32).reshape(-1, columns)
    with threadpool_limits(2):
        begun = time.perf_counter(), time.process_time()
        rows = PCA(50, random_state=0).fit_transform(rows)
        fitted = TSNE(perplexity=perplexity, max_iter=iterations, n_jobs=2, random_state=0)
        points = fitted.fit_transform(rows)
        seconds, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    trusted = trustworthiness(rows, points, n_neighbors=5)
    divergence = fitted.kl_divergence_
    print(f"peer {seconds:8.3f} s ({cpu:.3f} s of CPU), KL divergence {divergence:.4f}, trustworthiness {trusted:.4f}")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        measure(sys.argv[1], *map(int, sys.argv[2:]))
