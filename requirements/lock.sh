#!/bin/sh
# Resolves runtime.lock and dev.lock from pyproject.toml, and takes container.lock out of the first.
# Usage: sh requirements/lock.sh path/to/pip-compile
# torch is pinned without hash or local version, so that each platform gets its own build of it.
set -eu
compile() {
    "$1" --quiet --strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-options \
        --upgrade-package torch==2.13.0 --output-file "$2" $3 pyproject.toml
    sed -i -e 's/^\(torch==[0-9.]*\)+.*/\1/' -e '/^# /d' -e '/^$/d' "$2"
}
runtime="--extra bundled-model --extra onnx --extra server --extra mcp --extra otel"
compile "$1" requirements/runtime.lock "$runtime"
compile "$1" requirements/dev.lock "$runtime --extra dev"

# The image brings the exported model, so what only exports one stays out of it. tqdm is usearch's.
only_to_export="torch|sentence-transformers|transformers|scikit-learn|scipy|joblib|threadpoolctl|sympy|mpmath|networkx"
only_to_export="$only_to_export|safetensors|huggingface-hub|hf-xet|fsspec|filelock|regex|narwhals|cloudpickle|onnx|ml-dtypes"
only_to_export="$only_to_export|trio|outcome|sortedcontainers|jinja2|markupsafe|setuptools"
grep -v -E "^(${only_to_export})==" requirements/runtime.lock > requirements/container.lock
