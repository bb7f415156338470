"""Small files of tensors in every layout that `ml::files` reads: `python3 tensor_files.py` writes tensor_files/ beside it.

Needs torch, numpy and safetensors. Every file holds tensors whose numbers are those of `numbers`; expected.json has for each
file and tensor its type, its shape and its numbers.
"""
import json
import sys
from pathlib import Path

# `statistics.py` in this folder is not Python's.
HERE = Path(__file__).resolve().parent
sys.path = [path for path in sys.path if Path(path).resolve() != HERE]

import numpy as np
import torch
from safetensors.torch import save_file

OUT = HERE / "tensor_files"
expected = {}


def note(file, name, values):
    values = np.asarray(values)
    expected.setdefault(file, {})[name] = [values.dtype.name, list(values.shape), values.astype(float).flatten().tolist()]


def numbers(shape, dtype):
    """Whole numbers, negative too where the type has them; halves where it has those."""
    count = int(np.prod(shape, dtype=int))
    dtype = np.dtype(dtype)
    values = np.arange(count) % 2 if dtype == bool else np.arange(count) * 3 % 101
    if dtype.kind in "if":
        values = values - 40
    if dtype.kind == "f":
        values = values / 2
    return values.astype(dtype).reshape(shape)


def npy(file, values):
    np.save(OUT / file, values)
    note(file, "array", values)


OUT.mkdir(exist_ok=True)
npy("rows.npy", numbers((3, 4), "<f4"))
npy("columns.npy", np.asfortranarray(numbers((2, 3, 4), "<f8")))
npy("big.npy", numbers((2, 3), ">i4"))
npy("scalar.npy", numbers((), "<i8"))
npy("empty.npy", numbers((0, 3), "<f4"))

arrays = {kind: numbers((2, 5), kind) for kind in ["b1", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"]}
arrays = {values.dtype.name: values for values in arrays.values()}
np.savez(OUT / "arrays.npz", **arrays)
np.savez_compressed(OUT / "packed.npz", **arrays)
for file in ["arrays.npz", "packed.npz"]:
    for name, values in arrays.items():
        note(file, name, values)

base = torch.from_numpy(numbers((4, 6), "f4"))
tensors = {
    "plain": base,
    "turned": base.t(),
    "part": base[1:3, ::2],
    "filter": torch.from_numpy(numbers((2, 3, 2, 2), "f4")).to(memory_format=torch.channels_last),
    "one": torch.tensor(7),
    "half": base[0].half(),
    "bf16": base[0].bfloat16(),
    "double": base[0].double(),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "flags": torch.tensor([True, False, True]),
    "ints": torch.arange(4, dtype=torch.int32),
}


def note_torch(file, named):
    for name, tensor in named.items():
        tensor = tensor.detach()
        values = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy()
        note(file, name, values)
        if tensor.dtype == torch.bfloat16:
            expected[file][name][0] = "bfloat16"


torch.save(tensors, OUT / "plain.pth")
note_torch("plain.pth", tensors)
model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
with torch.no_grad():
    for at, tensor in enumerate(model.state_dict().values()):
        tensor.copy_(torch.from_numpy(numbers(tuple(tensor.shape), "f4")) + at)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
torch.save({"epoch": 3, "arch": "mlp", "state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}, OUT / "checkpoint.pth")
note_torch("checkpoint.pth", model.state_dict())
torch.save(dict(model.named_parameters()), OUT / "parameters.pt")
note_torch("parameters.pt", dict(model.named_parameters()))
save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, OUT / "plain.safetensors", metadata={"format": "pt"})
note_torch("plain.safetensors", tensors)
torch.save(tensors, OUT / "old.pth", _use_new_zipfile_serialization=False)
torch.save(model, OUT / "model.pth")
(OUT / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
