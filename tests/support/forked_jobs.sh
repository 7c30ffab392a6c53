# What `python` and `snakemake` are in the shells of a run whose jobs are forks: see forked_jobs.py.
python() { "$FORKED_PYTHON" -I -S "$FORKED_JOB" "$@"; }
snakemake() { "$FORKED_PYTHON" -I -S "$FORKED_JOB" -m snakemake "$@"; }
