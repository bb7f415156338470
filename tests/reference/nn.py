#!/usr/bin/env python3
"""Numbers of networks, losses and optimisers from PyTorch, in double precision: writes nn.safetensors beside this file.

Needs torch and numpy. Tensors are stored as float32; images and activations as [N, H, W, C].
Weights of networks and images come from a formula (`noise`) that the test repeats, so they are not stored.
"""
import json
import math
import pathlib
import struct

import numpy
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
out = {}


def put(name, value):
    assert name not in out
    out[name] = numpy.ascontiguousarray(torch.as_tensor(value).detach().numpy(), dtype=numpy.float32)


def noise(name, shape):
    """Numbers in [0, 1), fixed by name and position."""
    seed = sum((i + 1) * byte for i, byte in enumerate(name.encode())) % 1000
    k = torch.arange(math.prod(shape))
    return (torch.sin(k * 12.9898 + seed * 78.233) * 43758.5453 % 1.0).reshape(shape)


def centred(name, shape):
    return (noise(name, shape) - 0.5) * 2


def channels_last(x):
    return x.permute(0, 2, 3, 1)


def weight(name, shape):
    """What a parameter or buffer of a network is set to."""
    u = noise(name, shape)
    if len(shape) > 1:
        return (u - 0.5) * 2 * math.sqrt(6 / math.prod(shape[1:]))
    return 0.5 + u if name.endswith(("weight", "running_var")) else (u - 0.5) * 0.4


# Losses: z [2B, D], views i and i + B are positives.
def nt_xent(z, t, keep=None):
    z = F.normalize(z, dim=1)
    n = len(z)
    s = z @ z.T / t
    positive = (torch.arange(n) + n // 2) % n
    hidden = torch.eye(n, dtype=torch.bool)
    if keep is not None:
        hidden |= ~keep
        hidden[torch.arange(n), positive] = False
    return F.cross_entropy(s.masked_fill(hidden, -math.inf), positive)


def dcl(z, t):
    z = F.normalize(z, dim=1)
    n = len(z)
    s = z @ z.T / t
    positive = (torch.arange(n) + n // 2) % n
    hidden = torch.eye(n, dtype=torch.bool)
    hidden[torch.arange(n), positive] = True
    return (torch.logsumexp(s.masked_fill(hidden, -math.inf), 1) - s[torch.arange(n), positive]).mean()


def debiased(z, t, prior):
    z = F.normalize(z, dim=1)
    n = len(z)
    e = torch.exp(z @ z.T / t)
    positive = (torch.arange(n) + n // 2) % n
    pos = e[torch.arange(n), positive]
    neg = e.sum(1) - e.diagonal() - pos
    count = n - 2
    g = torch.clamp((neg - prior * count * pos) / (1 - prior), min=count * math.exp(-1 / t))
    return -torch.log(pos / (pos + g)).mean()


labels = torch.tensor([0, 1, 0, 2, 2, 3, 0, 1])
views = torch.cat([labels, labels])
keep = views[:, None] != views[None, :]
put("loss/z", centred("z", (16, 6)))
for name, loss in {
    "nt_xent_0.1": lambda z: nt_xent(z, 0.1),
    "nt_xent_0.5": lambda z: nt_xent(z, 0.5),
    "masked": lambda z: nt_xent(z, 0.5, keep),
    "dcl": lambda z: dcl(z, 0.2),
    "debiased_floor": lambda z: debiased(z, 0.5, 0.4),
    "debiased": lambda z: debiased(z, 0.5, 0.05),
}.items():
    z = centred("z", (16, 6)).requires_grad_()
    value = loss(z)
    value.backward()
    put(f"loss/{name}", value.reshape(1))
    put(f"loss/{name}/gradient", z.grad)
x, y = F.normalize(centred("z", (16, 6)), dim=1).chunk(2)
put("loss/alignment", (x - y).norm(dim=1).pow(2).mean().reshape(1))
put("loss/uniformity", sum(torch.pdist(v).pow(2).mul(-2).exp().mean().log() for v in (x, y)).reshape(1) / 2)

# Batch normalisation: two training batches, then evaluation.
bn = torch.nn.BatchNorm2d(3, eps=1e-3, momentum=0.1)
with torch.no_grad():
    bn.weight.copy_(0.5 + noise("gamma", (3,)))
    bn.bias.copy_(centred("beta", (3,)))
for step in range(2):
    x = (centred(f"bn{step}", (4, 3, 5, 2)) * 3 + 1).requires_grad_()
    up = centred(f"up{step}", (4, 3, 5, 2))
    bn.zero_grad()
    y = bn(x)
    (y * up).sum().backward()
    for key, value in {"x": x, "up": up, "y": y, "x_gradient": x.grad}.items():
        put(f"bn/{step}/{key}", channels_last(value))
    put(f"bn/{step}/gamma_gradient", bn.weight.grad)
    put(f"bn/{step}/beta_gradient", bn.bias.grad)
    put(f"bn/{step}/mean", bn.running_mean)
    put(f"bn/{step}/var", bn.running_var)
bn.eval()
put("bn/eval", channels_last(bn(centred("bn0", (4, 3, 5, 2)) * 3 + 1)))

# Convolution and pooling: kernel, stride, (top, bottom, left, right), height, width.
for index, (k, s, (top, bottom, left, right), h, w) in enumerate(
    [
        (3, 2, (0, 1, 0, 1), 8, 6),
        (3, 1, (1, 1, 1, 1), 5, 7),
        (3, 2, (1, 1, 1, 1), 7, 8),
        (5, 1, (2, 2, 2, 2), 6, 4),
        (7, 2, (3, 3, 3, 3), 9, 11),
        (1, 2, (0, 0, 0, 0), 5, 6),
        (1, 1, (0, 0, 0, 0), 3, 4),
        (3, 2, (2, 0, 1, 2), 5, 5),
    ]
):
    x = centred(f"x{index}", (2, 3, h, w)).requires_grad_()
    f = centred(f"w{index}", (4, 3, k, k)).requires_grad_()
    b = centred(f"b{index}", (4,)).requires_grad_()
    y = F.conv2d(F.pad(x, (left, right, top, bottom)), f, b, stride=s)
    up = centred(f"u{index}", y.shape)
    (y * up).sum().backward()
    put(f"conv/{index}/geometry", torch.tensor([k, s, top, bottom, left, right]))
    for key, value in {"x": x, "up": up, "y": y, "x_gradient": x.grad}.items():
        put(f"conv/{index}/{key}", channels_last(value))
    for key, value in {"w": f, "b": b, "w_gradient": f.grad, "b_gradient": b.grad}.items():
        put(f"conv/{index}/{key}", value)
for index, (k, s, p) in enumerate([(2, 2, 0), (3, 2, 1)]):
    x = F.relu(centred(f"pool{index}", (2, 3, 7, 8))).requires_grad_()
    y = F.max_pool2d(x, k, s, p)
    up = centred(f"poolup{index}", y.shape)
    (y * up).sum().backward()
    put(f"pool/{index}/geometry", torch.tensor([k, s, p]))
    for key, value in {"x": x, "up": up, "y": y, "x_gradient": x.grad}.items():
        put(f"pool/{index}/{key}", channels_last(value))

# Optimisers: five steps of two parameters, the gradient of step i being noise.
for name, make in {
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "sgd_momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=5e-2),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=5e-2, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adam_decay": lambda p: torch.optim.Adam(p, 0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=5e-2),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.5),
}.items():
    a, b = centred("a", (3, 4)).requires_grad_(), centred("b", (4,)).requires_grad_()
    optimizer = make([a, b])
    for step in range(5):
        a.grad, b.grad = centred(f"ga{step}", (3, 4)), centred(f"gb{step}", (4,))
        optimizer.step()
    put(f"optim/{name}/a", a)
    put(f"optim/{name}/b", b)

# Schedules: the factor at each step.
p = torch.zeros(1, requires_grad=True)


def factors(make, steps):
    optimizer = torch.optim.SGD([p], 1.0)
    schedule = make(optimizer)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return torch.tensor(values)


put("schedule/cosine", factors(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40, eta_min=0.1), 40))
put("schedule/restarts", factors(lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 7, 2), 60))


# Encoders, as functions of named weights.
class Net:
    def __init__(self, kind, n, width, stem, same, training):
        self.kind, self.n, self.width, self.stem, self.same = kind, n, width, stem, same
        self.training, self.weights, self.final_norm = training, {}, False

    def get(self, name, shape, trained=True):
        if name not in self.weights:
            self.weights[name] = weight(name, shape).requires_grad_(trained)
        return self.weights[name]

    def conv(self, x, name, o, k, s, bias):
        f = self.get(f"{name}.weight", (o, x.shape[1], k, k))
        b = self.get(f"{name}.bias", (o,)) if bias else None
        pads = [k // 2] * 4
        if self.same:
            pads = []
            for size in (x.shape[3], x.shape[2]):
                total = max((-(-size // s) - 1) * s + k - size, 0)
                pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), f, b, stride=s)

    def conv_bn(self, x, scope, suffix, o, k, s):
        y = self.conv(x, f"{scope}.conv{suffix}", o, k, s, self.kind in ("resnet", "resnet50_keras"))
        name = f"{scope}.bn{suffix}"
        gamma, beta = self.get(f"{name}.weight", (o,)), self.get(f"{name}.bias", (o,))
        mean, var = (self.get(f"{name}.{key}", (o,), False) for key in ("running_mean", "running_var"))
        return F.batch_norm(y, mean, var, gamma, beta, self.training, 0.1, 1e-3)

    def encode(self, x):
        groups = {
            "resnet": [(16, 64, 1, self.n), (64, 128, 2, self.n), (128, 256, 2, self.n)],
            "resnet18": [(64, 64, 1, 2), (128, 128, 2, 2), (256, 256, 2, 2), (512, 512, 2, 2)],
            "resnet50": [(64, 256, 1, 3), (128, 512, 2, 4), (256, 1024, 2, 6), (512, 2048, 2, 3)],
        }[self.kind.removesuffix("_keras")]
        scaled = lambda c: max(1, math.floor(c * self.width + 0.5))
        large = self.stem == "7x7"
        first = scaled(16 if self.kind == "resnet" else 64)
        x = F.relu(self.conv_bn(x, "encoder.stem", "", first, 7 if large else 3, 2 if large else 1))
        if large:
            x = F.max_pool2d(x, 3, 2, 1)
        for g, (middle, outputs, stride, count) in enumerate(groups):
            middle, outputs = scaled(middle), scaled(outputs)
            for b in range(count):
                scope, s = f"encoder.group{g + 1}.block{b}", stride if b == 0 else 1
                if self.kind == "resnet18":
                    y = F.relu(self.conv_bn(x, scope, 1, outputs, 3, s))
                    y = self.conv_bn(y, scope, 2, outputs, 3, 1)
                else:
                    first, second = (s, 1) if self.kind == "resnet50_keras" else (1, s)
                    y = F.relu(self.conv_bn(x, scope, 1, middle, 1, first))
                    y = F.relu(self.conv_bn(y, scope, 2, middle, 3, second))
                    y = self.conv_bn(y, scope, 3, outputs, 1, 1)
                if b == 0 and self.kind == "resnet":
                    x = self.conv(x, f"{scope}.shortcut", outputs, 1, s, True)
                elif b == 0 and (s != 1 or x.shape[1] != outputs):
                    x = self.conv_bn(x, f"{scope}.shortcut", "", outputs, 1, s)
                x = F.relu(x + y)
        if self.final_norm:
            c, name = x.shape[1], "encoder.final_bn"
            gamma, beta = self.get(f"{name}.weight", (c,)), self.get(f"{name}.bias", (c,))
            mean, var = (self.get(f"{name}.{key}", (c,), False) for key in ("running_mean", "running_var"))
            x = F.relu(F.batch_norm(x, mean, var, gamma, beta, self.training, 0.1, 1e-3))
        return x.mean((2, 3))

    def project(self, x, sizes):
        for i, o in enumerate(sizes):
            x = F.linear(x, self.get(f"head.{i}.weight", (o, x.shape[1])), self.get(f"head.{i}.bias", (o,)))
            if i + 1 < len(sizes):
                x = F.relu(x)
        return x


for name, (kind, n, width, stem, same, size) in {
    "symmetric": ("resnet", 2, 0.25, "3x3", False, 12),
    "same": ("resnet", 1, 0.25, "3x3", True, 12),
    "resnet18_small": ("resnet18", 1, 0.125, "3x3", False, 16),
    "resnet18_large": ("resnet18", 1, 0.125, "7x7", False, 45),
    "resnet50": ("resnet50", 1, 0.0625, "3x3", False, 16),
    # The stride on the first 1x1 convolution, biases, as in keras.applications.
    "resnet50_keras": ("resnet50_keras", 1, 0.0625, "7x7", False, 64),
    # The reference's supervised model.
    "final_norm": ("resnet", 1, 0.25, "3x3", False, 12),
}.items():
    net = Net(kind, n, width, stem, same, False)
    net.final_norm = name == "final_norm"
    put(f"encoder/{name}", net.encode(noise("images", (3, 3, size, size))))

# One step of SimCLR with the reference encoder: loss, and every weight and running statistic behind it.
net = Net("resnet", 1, 0.25, "3x3", False, True)
z = net.project(net.encode(noise("images", (16, 3, 12, 12))), [32, 16, 8])
loss = nt_xent(z, 0.5)
loss.backward()
trained = [value for value in net.weights.values() if value.requires_grad]
torch.optim.SGD(trained, 0.1, momentum=0.9, weight_decay=5e-4).step()
put("step/loss", loss.reshape(1))
put("step/z", z)
for name, value in net.weights.items():
    put(f"step/after/{name}", value)

# The autoencoder: reconstruction in training mode, its loss and the gradient of the first and last weights.
shapes, cin = {}, 3
for scope, c in [("down1", 4), ("down2", 6), ("up1", 6), ("up2", 4)]:
    shapes[scope] = (c, cin)
    cin = c
ae = Net("resnet", 1, 1, "3x3", False, True)
x = noise("images", (4, 3, 8, 8))
y = x
for scope, (c, _) in shapes.items():
    if scope.startswith("up"):
        y = F.interpolate(y, scale_factor=2, mode="nearest")
    y = F.relu(ae.conv_bn(y, scope, "", c, 3, 1))
    if scope.startswith("down"):
        y = F.max_pool2d(y, 2)
y = torch.sigmoid(ae.conv(y, "out", 3, 3, 1, True))
loss = F.mse_loss(y, x)
loss.backward()
put("autoencoder/output", channels_last(y))
put("autoencoder/loss", loss.reshape(1))
put("autoencoder/first", ae.weights["down1.conv.weight"].grad)
put("autoencoder/last", ae.weights["out.weight"].grad)

header, data = {"__metadata__": {"torch": torch.__version__, "numpy": numpy.__version__, "program": "nn.py"}}, b""
for name, value in sorted(out.items()):
    header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + value.nbytes]}
    data += value.tobytes()
head = json.dumps(header).encode()
head += b" " * (-len(head) % 8)
path = pathlib.Path(__file__).with_suffix(".safetensors")
path.write_bytes(struct.pack("<Q", len(head)) + head + data)
print(f"torch {torch.__version__}: {len(out)} tensors, {path.stat().st_size} bytes in {path.name}")
