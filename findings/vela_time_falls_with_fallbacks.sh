#!/usr/bin/env bash
# Vela's summary gives an inference time, and succeeds, also where operators fall back to the CPU: the time is then the
# NPU's alone, so the more of a model falls back, the faster it seems.
# Fails if that is no longer so. Needs Linux, Python 3.11 or newer, 0.1 GB of disk.
set -euo pipefail
model=$(realpath "$(dirname "$0")/../tests/data/tiny_int8.tflite")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ethos-u-vela==5.2.0 numpy==2.4.6 flatbuffers==25.12.19
compile() {
    "$folder/venv/bin/vela" --config Arm/vela.ini --accelerator-config ethos-u55-256 --memory-mode Shared_Sram \
        --system-config Ethos_U55_High_End_Embedded --output-dir "$folder/$1" "${@:2}" "$model" >"$folder/$1.txt"
    echo "$1: exit status $?, $(grep "CPU operators" "$folder/$1.txt" | tr -s ' '), inference_time $(time_of "$1") s"
}
time_of() {
    python3 -c 'import csv, sys; print(next(csv.DictReader(open(sys.argv[1])))["inference_time"])' "$folder/$1"/*.csv
}
echo "guess: a model of which convolutions are left to the CPU is estimated to be slower, or has no estimate"
echo "seen:"
compile whole
compile partly --ignore-ops CONV_2D
python3 -c 'import sys; sys.exit("this has changed" if float(sys.argv[2]) >= float(sys.argv[1]) else 0)' \
    "$(time_of whole)" "$(time_of partly)"
