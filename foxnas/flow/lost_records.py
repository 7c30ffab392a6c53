"""Changed settings are seen also where Snakemake's records are lost: every artefact says what it was made with.

Like `snakemake_private`, which calls it, this uses what Snakemake (9.27.1) does not document, and
tests/flow/test_snakemake_private.py holds Snakemake to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from snakemake.persistence import ParamsChange, PersistenceBase

from foxnas.files.provenance import differing, leaf, recorded_settings

_has_metadata = PersistenceBase.has_metadata
_params_changed = PersistenceBase.params_changed


def go_by_the_outputs() -> None:
    """Have Snakemake compare params with what the outputs say where it has no record of them. Idempotent.

    A job without a record, after `rm -rf .snakemake` or where results were copied, is never run again by Snakemake
    itself, whatever changed: after a changed protocol, new measurements were joined with old ones.
    """
    PersistenceBase.has_metadata = _can_tell
    PersistenceBase.params_changed = _what_changed


def _can_tell(persistence: Any, job: Any) -> bool:
    """Whether Snakemake can tell if a job's params changed: by its records or, where those are lost, by the outputs."""
    return bool(_has_metadata(persistence, job)) or bool(_settings_of_outputs(persistence, job))


def _what_changed(persistence: Any, job: Any, file: Any = None) -> Any:
    """Return what Snakemake's records say has changed and, where there are none, what the outputs say."""
    changes = _params_changed(persistence, job, file)
    for output, recorded in _settings_of_outputs(persistence, job, file).items():
        wanted = json.loads(job.params.settings)
        if leaves := differing(recorded, wanted):
            before, now = ({f"{name}: {leaf(one, name)}" for name in leaves} for one in (recorded, wanted))
            changes |= ParamsChange(only_old=before, only_new=now, files={output})
    return changes


def _settings_of_outputs(persistence: Any, job: Any, file: Any = None) -> dict[Any, dict[str, Any]]:
    """Return the settings that those outputs say of which Snakemake has no record, of rules with the param."""
    if not hasattr(job.params, "settings"):
        return {}
    lost = [output for output in ([file] if file else job.output) if persistence.metadata(output) is None]
    read = {output: recorded_settings(Path(output)) for output in lost}
    return {output: settings for output, settings in read.items() if settings is not None}
