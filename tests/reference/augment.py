"""Views of one image by the formulas of torchvision.transforms.v2.functional on float tensors, in float64.

usage: python3 augment.py > augment.json        (needs torch)

resized_crop: crop, then torch's bilinear interpolation (align_corners=False, antialias=True); adjust_brightness,
adjust_contrast, adjust_saturation: _blend and clamp; adjust_hue: _rgb_to_hsv, turn, _hsv_to_rgb; gaussian_blur: kernel
from linspace, reflected padding, depthwise convolution. The one change: luma is 0.299 R + 0.587 G + 0.114 B.
"""
import json

import torch
import torch.nn.functional as F

SIZE = (20, 24)


def gray(x):
    r, g, b = x.unbind(0)
    return (0.299 * r + 0.587 * g + 0.114 * b).unsqueeze(0)


def blend(a, b, ratio):
    return (ratio * a + (1.0 - ratio) * b).clamp(0, 1)


def rgb_to_hsv(img):
    r, g, b = img.unbind(0)
    maxc, minc = img.max(0).values, img.min(0).values
    eqc = maxc == minc
    range_ = maxc - minc
    ones = torch.ones_like(maxc)
    s = range_ / torch.where(eqc, ones, maxc)
    divisor = torch.where(eqc, ones, range_)
    rc, gc, bc = (maxc - r) / divisor, (maxc - g) / divisor, (maxc - b) / divisor
    hr = (maxc == r) * (bc - gc)
    hg = ((maxc == g) & (maxc != r)) * (2.0 + rc - bc)
    hb = ((maxc != g) & (maxc != r)) * (4.0 + gc - rc)
    return torch.stack([torch.fmod((hr + hg + hb) / 6.0 + 1.0, 1.0), s, maxc])


def hsv_to_rgb(img):
    h, s, v = img.unbind(0)
    i = torch.floor(h * 6)
    f = h * 6 - i
    i = i.to(torch.int64) % 6
    p, q, t = (v * (1 - s)).clamp(0, 1), (v * (1 - s * f)).clamp(0, 1), (v * (1 - s * (1 - f))).clamp(0, 1)
    table = torch.stack([torch.stack([v, q, p, p, t, v]), torch.stack([t, v, v, q, p, p]), torch.stack([p, p, t, v, v, q])])
    return torch.stack([table[c].gather(0, i.unsqueeze(0))[0] for c in range(3)])


def adjust_hue(x, turns):
    h, s, v = rgb_to_hsv(x).unbind(0)
    return hsv_to_rgb(torch.stack([(h + turns) % 1.0, s, v]))


def gaussian_blur(x, kernel_size, sigma):
    half = (kernel_size - 1) * 0.5
    k = torch.exp(-0.5 * (torch.linspace(-half, half, kernel_size, dtype=x.dtype) / sigma).pow(2))
    k = k / k.sum()
    pad = kernel_size // 2
    weight = torch.outer(k, k).expand(3, 1, kernel_size, kernel_size)
    return F.conv2d(F.pad(x.unsqueeze(0), [pad] * 4, mode="reflect"), weight, groups=3)[0]


def view(x, top=0, left=0, height=SIZE[0], width=SIZE[1], flip=False, jitter=None, grey=False, blur=None):
    x = x[:, top : top + height, left : left + width].unsqueeze(0)
    x = F.interpolate(x, SIZE, mode="bilinear", align_corners=False, antialias=True)[0]
    if flip:
        x = x.flip(-1)
    if jitter:
        for op in jitter["order"]:
            if op == 0:
                x = blend(x, torch.zeros_like(x), jitter["brightness"])
            elif op == 1:
                x = blend(x, gray(x).mean(), jitter["contrast"])
            elif op == 2:
                x = blend(x, gray(x), jitter["saturation"])
            else:
                x = adjust_hue(x, jitter["hue"])
    if grey:
        x = gray(x).expand(3, -1, -1)
    if blur:
        x = gaussian_blur(x, 3, blur)
    return x


def main():
    torch.manual_seed(0)
    # Smooth colours with some grey, black and white pixels.
    coarse = torch.rand(1, 3, 7, 8, dtype=torch.float64)
    image = (F.interpolate(coarse, SIZE, mode="bilinear")[0] * 300 - 20).clamp(0, 255).round()
    image[:, 3, 5], image[:, 4, 6], image[:, 9, 2] = 0, 255, 77
    jitter = lambda order, b, c, s, h: dict(order=order, brightness=b, contrast=c, saturation=s, hue=h)
    cases = [
        dict(),
        dict(flip=True),
        dict(top=3, left=5, height=9, width=13),
        dict(top=0, left=20, height=20, width=4, flip=True),
        dict(top=19, left=0, height=1, width=1),
        dict(jitter=jitter([0, 1, 2, 3], 1.4, 1.0, 1.0, 0.0)),
        dict(jitter=jitter([0, 1, 2, 3], 1.0, 0.6, 1.0, 0.0)),
        dict(jitter=jitter([0, 1, 2, 3], 1.0, 1.0, 1.4, 0.0)),
        dict(jitter=jitter([0, 1, 2, 3], 1.0, 1.0, 1.0, 0.1)),
        dict(jitter=jitter([0, 1, 2, 3], 1.0, 1.0, 1.0, -0.5)),
        dict(jitter=jitter([3, 1, 0, 2], 0.7, 1.3, 0.6, -0.08)),
        dict(top=2, left=1, height=15, width=15, flip=True, jitter=jitter([2, 3, 1, 0], 1.3, 0.8, 1.35, 0.45), grey=True),
        dict(grey=True),
        dict(blur=0.8),
        dict(top=2, left=4, height=16, width=12, jitter=jitter([1, 0, 3, 2], 0.9, 1.1, 1.2, 0.05), blur=1.7),
    ]
    full = lambda c: dict(dict(top=0, left=0, height=SIZE[0], width=SIZE[1], flip=False, jitter=None, grey=False, blur=None), **c)
    pixels = [int(v) for v in image.flatten()]
    out = [
        dict(view=full(c), mean=float(y.mean()), values=[round(float(v), 6) for v in y.permute(1, 2, 0).flatten()[k::7]])
        for k, c in enumerate(cases)
        for k, y in [(k % 7, view(image / 255, **c))]
    ]
    print(json.dumps(dict(program="tests/reference/augment.py", torch=torch.__version__, size=SIZE, image=pixels, cases=out)))


main()
