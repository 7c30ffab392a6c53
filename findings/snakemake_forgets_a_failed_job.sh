#!/usr/bin/env bash
# Where older results lie, Snakemake forgets a job that failed: the next run has nothing to do, with the old results.
# Fails if that is no longer so. Needs Linux, Python 3.11 or newer, 0.3 GB of disk.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check snakemake==9.27.1
cd "$folder"
cat >Snakefile <<'SNAKEFILE'
rule page:
    input: "measured.txt"
    output: "page.txt"
    shell: "cp {input} {output}"
rule measure:
    output: "measured.txt"
    params: sessions=config["sessions"]
    shell: "test ! -e unplugged; echo {params.sessions} sessions > {output}"
SNAKEFILE
run() { venv/bin/snakemake --cores 1 --config "sessions=$1" 2>&1; }
echo "snakemake $(venv/bin/snakemake --version)"
run 5 >first.txt
touch unplugged # the device is away while it is measured with other settings
if run 10 >second.txt; then
    echo "the second run should have failed"
    exit 1
fi
rm unplugged
echo "guess: the same command again measures with 10 sessions, and writes the page"
run 10 >third.txt
echo "seen:"
tail -n 1 third.txt
echo "page.txt: $(cat page.txt); measured.txt is $([ -e measured.txt ] && echo there || echo gone)"
# A job's files are deleted when it starts, its new params are recorded also when it fails, and a missing file counts
# only where it is a target or a running job reads it.
grep -q "Nothing to be done" third.txt && [ "$(cat page.txt)" = "5 sessions" ] && [ ! -e measured.txt ] || {
    echo "this has changed"
    exit 1
}
