#!/bin/sh
# What a cluster's jobs start as Python where jobs are forks: see forked_jobs.py.
exec "$FORKED_PYTHON" -I -S "$FORKED_JOB" "$@"
