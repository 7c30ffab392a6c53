"""Further targets: tables of one's own."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foxnas.errors import FoxnasError
from foxnas.predictor.targets import read_target
from tests.support.published import CPU_SPACE, PUBLISHED_ACCURACY


def test_own_measurements_are_read_and_their_faults_named(tmp_path: Path):
    archs = list(islice(CPU_SPACE.sample(192, np.random.default_rng(0)), 60))
    energy = PUBLISHED_ACCURACY.predict(archs).mean
    path = tmp_path / "energy.csv"
    rows = pd.DataFrame({"arch": [a.text for a in archs], "energy_mj": energy})
    path.write_text("# my power meter\n" + rows.to_csv(index=False))
    texts, values = read_target(path, "energy_mj", own=True)
    assert texts == [a.text for a in archs]
    np.testing.assert_allclose(values, energy)
    with pytest.raises(FoxnasError, match=r"energy.csv: has no column 'energy_uj' \(it has arch, energy_mj\)"):
        read_target(path, "energy_uj", own=True)
    rows.astype(object).replace({"energy_mj": {energy[4]: "n/a?"}}).to_csv(path, index=False)
    with pytest.raises(FoxnasError, match=r"row 5 \(r192_.* has 'n/a\?' for energy_mj"):
        read_target(path, "energy_mj", own=True)
    rows.replace({"energy_mj": {energy[4]: np.inf}}).to_csv(path, index=False)
    with pytest.raises(FoxnasError, match=r"energy.csv: row 5 \(r192_.* has inf for energy_mj"):
        read_target(path, "energy_mj", own=True)
    for given, said in (("", "''"), ("resnet50", "'resnet50'")):
        rows.replace({"arch": {archs[4].text: given}}).to_csv(path, index=False)
        with pytest.raises(FoxnasError, match=rf"energy.csv: row 5: {said} is not an architecture: .*remove the row"):
            read_target(path, "energy_mj", own=True)
    path.write_bytes(bytes(range(256)) * 9)
    with pytest.raises(FoxnasError, match=r"energy.csv: has no column 'arch'") as refusal:
        read_target(path, "energy_mj", own=True)
    assert str(refusal.value).isprintable()
    with pytest.raises(FoxnasError, match="cannot be read as CSV"):
        read_target(tmp_path / "missing.csv", "energy_mj", own=True)
