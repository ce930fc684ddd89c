#!/bin/sh
# Resolves runtime.lock and dev.lock from pyproject.toml. Usage: sh requirements/lock.sh path/to/pip-compile
# torch is pinned without hash or local version, so that each platform gets its own build of it.
set -eu
compile() {
    "$1" --quiet --strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-options \
        --upgrade-package torch==2.13.0 --output-file "$2" $3 pyproject.toml
    sed -i -e 's/^\(torch==[0-9.]*\)+.*/\1/' -e '/^# /d' -e '/^$/d' "$2"
}
compile "$1" requirements/runtime.lock "--extra bundled-model --extra onnx"
compile "$1" requirements/dev.lock "--extra bundled-model --extra onnx --extra dev"
