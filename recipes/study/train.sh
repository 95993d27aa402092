#!/bin/bash
# The parents of the study of few subjects, benchmarks/few_shot.py: train.sh VERISCALE FOLDER. What FOLDER holds goes on.
set -eu
here=$(dirname "$0")
cp "$here/../splits.toml" "$here"/*.toml "$2"
"$1" train "$2/source.toml" -o "$2/study-source.safetensors" --resume --force
# `domain` and `rate` begin with the stage of `source`, and go on from its state.
for name in domain rate; do
  test -e "$2/study-$name.training.safetensors" ||
    cp "$2/study-source.training.safetensors" "$2/study-$name.training.safetensors"
done
for name in domain long rate; do
  "$1" train "$2/$name.toml" -o "$2/study-$name.safetensors" --resume --force
done
