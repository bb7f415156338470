#!/usr/bin/env bash
# Builds the wheel, installs it in a fresh virtual environment, and tests it there. Arguments go to `maturin build`, such as
# `--release`. With STRATA_REQUIRE_ALL=1 PyTorch is installed too, and what needs it must pass; otherwise such tests are
# skipped unless PyTorch comes from the folder STRATA_TORCH (a `site-packages`).
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

python3 -m venv "$work/venv"
python="$work/venv/bin/python"
"$python" -m pip install -q "$work"/wheels/*.whl 'pytest>=8' 'mypy>=1.11' 'pandas>=1.5'
if [ -n "${STRATA_TORCH:-}" ]; then
    echo "$STRATA_TORCH" >"$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch.pth"
elif [ "${STRATA_REQUIRE_ALL:-}" = 1 ]; then
    "$python" -m pip install -q 'torch>=2.1'
fi
"$python" -m pytest -p no:cacheprovider
