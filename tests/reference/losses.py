#!/usr/bin/env python3
"""Contrastive losses and their gradients, from the formulas of the papers: writes losses.json beside this file.

Needs torch. Double precision, one loop over the rows and no vectorised form, so that each line is one of the paper's.
Rows i, i + B, i + 2B … of z are the views of one image, each a positive of the others. w[a][b] is how much images a and b count as negatives: 1, but for
images of one label 0 (hard mask) or 1 - confidence_a confidence_b (weighted).
"""
import json
import math
import pathlib

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def noise(name, count):
    """Numbers in [0, 1) that float32 can hold, fixed by name and position; the test repeats them."""
    seed = sum((i + 1) * byte for i, byte in enumerate(name.encode())) % 1000
    return (torch.sin(torch.arange(count) * 12.9898 + seed * 78.233) * 43758.5453 % 1.0).float().double()


def rows(z, t, w):
    """For each row and each of its positives: s_ip, the similarities to the row's negatives over t, and their weights."""
    z = z / z.norm(dim=1, keepdim=True)
    n, images = len(z), len(w)
    for i in range(n):
        s = (z @ z[i]) / t
        others = [j for j in range(n) if j % images != i % images]
        weights = torch.tensor([w[i % images][j % images] for j in others])
        for p in range(n):
            if p != i and p % images == i % images:
                yield s[p], s[others], weights


def mean(losses):
    return torch.stack(list(losses)).mean()


def nt_xent(z, t, w):
    """Chen et al. 2020, equation 1."""
    return mean(-torch.log(p.exp() / (p.exp() + (v * s.exp()).sum())) for p, s, v in rows(z, t, w))


def dcl(z, t, w):
    """Yeh et al. 2022, equation 6; rows without negatives are left out."""
    return mean(-p + torch.log((v * s.exp()).sum()) for p, s, v in rows(z, t, w) if v.sum() > 0)


def debiased(z, t, w, prior=0.1):
    """Chuang et al. 2020, equations 7 and 8."""
    def loss(p, s, v):
        count = v.sum()
        g = ((v * s.exp()).sum() - prior * count * p.exp()) / (1 - prior)
        g = torch.maximum(g, count * math.exp(-1 / t))
        return -torch.log(p.exp() / (p.exp() + g))
    return mean(loss(*row) for row in rows(z, t, w))


def hard(z, t, w, prior=0.1, concentration=1.0):
    """Robinson et al. 2021, section 3: importance weights e^(b s) over their mean, then debiased."""
    def loss(p, s, v):
        count = v.sum()
        if count == 0:
            return p * 0
        importance = (concentration * s).exp()
        importance = importance / ((v * importance).sum() / count)
        g = ((v * importance * s.exp()).sum() - prior * count * p.exp()) / (1 - prior)
        g = torch.maximum(g, count * math.exp(-1 / t))
        return -torch.log(p.exp() / (p.exp() + g))
    return mean(loss(*row) for row in rows(z, t, w))


def supcon(z, t, labels):
    """Khosla et al. 2020, equation 2 (L_out)."""
    z = z / z.norm(dim=1, keepdim=True)
    n = len(z)
    losses = []
    for i in range(n):
        others = [a for a in range(n) if a != i]
        denominator = sum((z[i] @ z[a] / t).exp() for a in others)
        positives = [p for p in others if labels[p % len(labels)] == labels[i % len(labels)]]
        losses.append(-sum(torch.log((z[i] @ z[p] / t).exp() / denominator) for p in positives) / len(positives))
    return mean(losses)


cases = []
for images, width, views in ((2, 3, 2), (5, 3, 2), (12, 4, 2), (4, 3, 3), (5, 4, 4)):
    z0 = (noise(f"z{images}", views * images * width) - 0.5).float().double().reshape(views * images, width)
    # The last image of the larger batches is alone with its label; of the smallest, both have one label.
    labels = [int(v * 3) for v in noise(f"labels{images}", images - 1)] + [5] if images > 2 else [0, 0]
    confidence = noise(f"confidence{images}", images).tolist()
    same = [[a == b for b in labels] for a in labels]
    tables = {
        "all": [[1.0] * images for _ in range(images)],
        "mask": [[0.0 if same[a][b] else 1.0 for b in range(images)] for a in range(images)],
        "weighted": [[1 - confidence[a] * confidence[b] if same[a][b] else 1.0 for b in range(images)] for a in range(images)],
    }
    for t in (0.1, 0.5, 1.0) if views == 2 else (0.2,):
        runs = []
        for negatives, w in tables.items():
            runs += [(name, negatives, {}, lambda z, f=f, w=w: f(z, t, w)) for name, f in (("nt_xent", nt_xent), ("dcl", dcl))]
            for prior in (0.02, 0.4):
                runs.append(("debiased", negatives, {"prior": prior}, lambda z, w=w, q=prior: debiased(z, t, w, q)))
                for b in (0.5, 2.0):
                    runs.append(("hard", negatives, {"prior": prior, "concentration": b}, lambda z, w=w, q=prior, b=b: hard(z, t, w, q, b)))
        runs.append(("supcon", "mask", {}, lambda z: supcon(z, t, labels)))
        runs.append(("supcon", "all", {}, lambda z: supcon(z, t, list(range(images)))))
        for name, negatives, params, f in runs:
            if name == "dcl" and negatives == "mask" and images == 2:
                continue  # no row has a negative: there is no mean
            z = z0.clone().requires_grad_()
            value = f(z)
            value.backward()
            gradient = [float(f"{g:.7g}") for g in z.grad.flatten().tolist()]
            cases.append({"loss": name, "negatives": negatives, "images": images, "views": views, "width": width, "temperature": t,
                          **params, "value": float(f"{value.item():.9g}"), "gradient": gradient})
    for case in cases:
        if (case["images"], case["views"]) == (images, views):
            case.update(labels=labels, confidence=[float(f"{c:.9g}") for c in confidence])

path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps({"torch": torch.__version__, "cases": cases}, separators=(",", ":")) + "\n")
print(path.name, path.stat().st_size, "bytes,", len(cases), "cases")
