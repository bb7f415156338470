#!/usr/bin/env bash
# Builds the wheel, installs it in a fresh virtual environment, and tests it there. Arguments go to `maturin build`, such as
# `--release`. What needs PyTorch takes it from the Python STRATA_TORCH_PYTHON, if that names one. With STRATA_REQUIRE_ALL=1
# such tests must pass, and PyTorch is installed if none is named; otherwise they are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/tools"
"$work/tools/bin/python" -m pip install -q 'maturin>=1.9.4,<2' 'ruff==0.17.*'
"$work/tools/bin/ruff" format --check python
"$work/tools/bin/ruff" check python
# The commands of the environment must be on PATH: maturin looks for its Python there.
PATH="$work/tools/bin:$PATH" maturin build --locked --out "$work/wheels" "$@"

torch=${STRATA_TORCH_PYTHON:-}
"${torch:-python3}" -m venv "$work/venv"
python="$work/venv/bin/python"
needed=('pytest>=8' 'mypy>=1.11' 'pandas>=1.5')
if [ -n "$torch" ]; then
    # Its torch, and the version of NumPy that it was built for.
    needed+=("numpy==$("$torch" -c 'import numpy; print(numpy.__version__)')")
    folder=$("$torch" -c 'import os, torch; print(os.path.dirname(os.path.dirname(torch.__file__)))')
    echo "$folder" >"$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch.pth"
fi
"$python" -m pip install -q "$work"/wheels/*.whl "${needed[@]}"
if [ -z "$torch" ] && [ "${STRATA_REQUIRE_ALL:-}" = 1 ]; then
    "$python" -m pip install -q 'torch>=2.1'
fi
"$python" -m pytest -p no:cacheprovider
