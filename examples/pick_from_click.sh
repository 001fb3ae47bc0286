#!/usr/bin/env bash
# Simulate a small tomogram, pick from the first particle of its truth, evaluate.
#
# examples/pick_from_click.sh [FOLDER]
set -euo pipefail
folder=${1:-picks_of_example}

cryosam simulate --out "$folder/simulated" --name TS_01 --shape 180,180,64 --count 15 \
    --membranes 0 --overwrite

# The first row of the truth, in place of a click in a viewer.
click=$(awk '/ribosome_like/ {print $1 "," $2 "," $3; exit}' "$folder/simulated/TS_01_truth.star")

cryosam pick "$folder/simulated/TS_01.mrc" --prompt "$click" --out "$folder" \
    --star relion5,warp --picture --overwrite

cryosam evaluate "$folder/TS_01_picks.star" "$folder/simulated/TS_01_truth.star" \
    --radius 100 --class ribosome_like
