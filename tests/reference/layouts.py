"""Writes tests/reference/layouts: small datasets as their own tools write them, where Rust cannot write them as simply.

    python layouts.py        # pip install numpy pillow scipy datasets

Every image i of a part is filled with the value 10 i + part (0: train, 1: test, 2: val), so that tests know the pixels.
"""
import io, os
import numpy as np
import scipy.io
from PIL import Image

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'layouts')
os.makedirs(out, exist_ok=True)
place = lambda name: os.path.join(out, name)


def images(count, part, shape):
    return np.stack([np.full(shape, 10 * i + part, np.uint8) for i in range(count)])


# MedMNIST, compressed; labels N x 1
np.savez_compressed(place('med.npz'), train_images=images(5, 0, (6, 6, 3)), train_labels=np.array([[0], [1], [2], [1], [0]], np.uint8),
                    val_images=images(2, 2, (6, 6, 3)), val_labels=np.array([[2], [0]], np.uint8),
                    test_images=images(3, 1, (6, 6, 3)), test_labels=np.array([[0], [1], [2]], np.uint8))

# SVHN; 10 is the digit 0
for split, part, labels in (('train', 0, [10, 3, 9, 10]), ('test', 1, [1, 10]), ('extra', 2, [7])):
    x = images(len(labels), part, (32, 32, 3)).transpose(1, 2, 3, 0)
    scipy.io.savemat(place(f'{split}_32x32.mat'), {'X': x, 'y': np.array(labels, np.uint8)[:, None]}, do_compression=True)

# Hugging Face: the image of a file is {bytes, path}, the names of the classes are in the metadata of the file
import datasets
from datasets import ClassLabel, Dataset, Features
from datasets import Image as HfImage


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, 'PNG')
    return buffer.getvalue()


def table(name, part, labels, columns=('picture', 'kind')):
    pixels = images(len(labels), part, (8, 8, 3))
    rows = {columns[0]: [{'bytes': png(a), 'path': f'{i}.png'} for i, a in enumerate(pixels)]}
    features = {columns[0]: HfImage()}
    for column in columns[1:]:
        rows[column] = labels
        features[column] = ClassLabel(names=['ant', 'bee', 'cat'])
    Dataset.from_dict(rows, features=Features(features)).to_parquet(place(name))


table('train-00000-of-00002.parquet', 0, [0, 1, 2])
table('train-00001-of-00002.parquet', 0, [2, 1])
table('test-00000-of-00001.parquet', 1, [1, 0])
table('two_labels.parquet', 0, [0, 1], ('img', 'fine', 'coarse'))
