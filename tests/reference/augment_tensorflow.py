"""Views of one image by the formulas of TensorFlow 2's image operations, in float64.

usage: python3 augment_tensorflow.py > augment_tensorflow.json        (needs numpy)

flip, then the colour jitter of the SimCLR code for TensorFlow: adjust_brightness adds; adjust_contrast scales about the mean
of each channel; adjust_saturation and adjust_hue go through HSV (the kernels adjust_saturation_op.cc and adjust_hue_op.cc, on
values that may lie outside [0, 1]); one clip_by_value at the end; then grey. Luma is 0.299 R + 0.587 G + 0.114 B.
"""
import json

import numpy as np

SIZE = (12, 10)


def rgb_to_hsv(r, g, b):
    v = max(r, g, b)
    span = v - min(r, g, b)
    s = span / v if v > 0 else 0.0
    if span <= 0:
        return 0.0, s, v
    norm = 1.0 / (6.0 * span)
    h = norm * (g - b) if r == v else norm * (b - r) + 2 / 6 if g == v else norm * (r - g) + 4 / 6
    return h % 1.0, s, v


def hsv_to_rgb(h, s, v):
    c = s * v
    m = v - c
    x = c * (1 - abs((6 * h) % 2 - 1))
    table = [(c, x, 0), (x, c, 0), (0, c, x), (0, x, c), (x, 0, c), (c, 0, x)]
    return [m + part for part in table[int(6 * h) % 6]]


def saturation(pixel, factor):
    h, s, v = rgb_to_hsv(*pixel)
    return hsv_to_rgb(h, min(1.0, max(0.0, s * factor)), v)


def hue(pixel, turns):
    """Hue with the smallest and the largest channel kept, as adjust_hue_op.cc has it."""
    h, _, v = rgb_to_hsv(*pixel)
    low = min(pixel)
    x = 1 - abs((6 * ((h + turns) % 1.0)) % 2 - 1)
    table = [(1, x, 0), (x, 1, 0), (0, 1, x), (0, x, 1), (x, 0, 1), (1, 0, x)]
    return [low + part * (v - low) for part in table[int(6 * ((h + turns) % 1.0)) % 6]]


def view(image, flip, brightness, contrast, saturate, turns, grey):
    x = image[:, ::-1] if flip else image
    x = x + brightness
    mean = x.mean(axis=(0, 1), keepdims=True)
    x = (x - mean) * contrast + mean
    x = np.apply_along_axis(saturation, 2, x, saturate)
    x = np.apply_along_axis(hue, 2, x, turns)
    x = np.clip(x, 0, 1)
    if grey:
        x = np.repeat((x @ [0.299, 0.587, 0.114])[..., None], 3, axis=2)
    return x


def main():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*SIZE, 3))
    image[3, 5], image[4, 6], image[9, 2] = 0, 255, 77
    cases = [
        dict(flip=False, brightness=0.0, contrast=1.0, saturate=1.0, turns=0.0, grey=False),
        dict(flip=False, brightness=0.16, contrast=1.0, saturate=1.0, turns=0.0, grey=False),
        dict(flip=False, brightness=0.0, contrast=0.84, saturate=1.0, turns=0.0, grey=False),
        dict(flip=False, brightness=0.0, contrast=1.0, saturate=1.16, turns=0.0, grey=False),
        dict(flip=True, brightness=-0.1, contrast=1.1, saturate=0.9, turns=0.04, grey=False),
        dict(flip=True, brightness=0.7, contrast=1.7, saturate=1.6, turns=-0.2, grey=False),
        dict(flip=False, brightness=-0.6, contrast=0.3, saturate=0.2, turns=0.15, grey=True),
    ]
    out = [dict(view=c, values=[round(float(v), 6) for v in view(image / 255, **c).flatten()]) for c in cases]
    pixels = [int(v) for v in image.transpose(2, 0, 1).flatten()]
    print(json.dumps(dict(program="tests/reference/augment_tensorflow.py", numpy=np.__version__, size=SIZE, image=pixels, cases=out)))


main()
