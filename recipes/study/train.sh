#!/bin/bash
# The parents of the study of few subjects, benchmarks/few_shot.py: train.sh VERISCALE FOLDER. What FOLDER holds goes on.
set -eu
here=$(dirname "$0")
cp "$here/../splits.toml" "$here"/*.toml "$2"
"$1" train "$2/source.toml" -o "$2/study-source.safetensors" --resume --force
# `domain` begins with the stage of `source`, and goes on from its state.
test -e "$2/study-domain.training.safetensors" ||
  cp "$2/study-source.training.safetensors" "$2/study-domain.training.safetensors"
"$1" train "$2/domain.toml" -o "$2/study-domain.safetensors" --resume --force
"$1" train "$2/long.toml" -o "$2/study-long.safetensors" --resume --force
