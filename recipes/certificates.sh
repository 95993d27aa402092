#!/bin/bash
# The certificates that are shipped with the prior photo, from the calibration photographs: certificates.sh VERISCALE
set -eu
: "${VERISCALE_DATA:?set it to the root of the data}"
priors=$(dirname "$0")/../src/veriscale/priors
for loss in area sup; do
    for dial in 0 0.5; do
        "$1" calibrate "$VERISCALE_DATA/natural/calibration" --prior "$priors/photo.safetensors" --scale 4 \
            --dial "$dial" --unit 320x320 --loss "$loss" --output "$priors/photo_x4_dial-${dial}_$loss.json" --force
    done
done
