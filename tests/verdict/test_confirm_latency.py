"""The confirmation of several budgets on a scripted device: common sessions, journals, kills, jobs of one budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from foxnas.device.protocol import MeasurementProtocol
from foxnas.device.transport import Device
from foxnas.files.tables import read_json, write_json
from tests.support.fake_device import MODEL, FakeTransport
from tests.support.scripts import made_by, main_of

#: Who is candidate of which budget, best first, and what each takes; the budgets are 1 ms and 2 ms.
CANDIDATES = {"p25": ["slow", "fast"], "p50": ["middle"]}
BUDGETS_MS = {"p25": 1.0, "p50": 2.0}
USUAL_MS = {"slow": 1.5, "fast": 0.5, "middle": 1.6}
#: Five sessions of slow and middle, then five of fast.
SESSIONS = 10


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two budgets whose candidates are ranked, and that are to be confirmed."""
    for budget, names in CANDIDATES.items():
        rows = [{"id": name, "arch": name, "source": "test", "batch": "round-1"} for name in names]
        write_json(
            tmp_path / budget / "ranking.json",
            {"budget_ms": BUDGETS_MS[budget], "ranked": rows, "candidates": rows},
        )
        (tmp_path / budget / "round-1" / "exported").mkdir(parents=True)
        for name in names:
            (tmp_path / budget / "round-1" / "exported" / f"{name}.tflite").write_bytes(MODEL + name.encode())
        (tmp_path / f"{budget}.jsonl").touch()
    return tmp_path


def latency_ms(identifier: str, now: int) -> float:
    """What the n-th timing takes: each a little longer than the one before."""
    return USUAL_MS.get(identifier.partition("-")[0], 1.0) * (1 + 1e-5 * now)


@pytest.fixture
def confirm(results: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeTransport]:
    """Confirms budgets: together, or else the only one for itself."""
    fake_kind = SimpleNamespace(
        prepared=Path.read_bytes, reference=lambda *words: (MODEL, ""), comparison_probes=lambda *words: {}
    )

    main = main_of("confirm_latency")

    def confirmed(*budgets: str, together: bool = False, begin: int = 0, dies_at: int | None = None) -> FakeTransport:
        def timed(identifier: str, now: int) -> float:
            if now == dies_at:
                raise KeyboardInterrupt
            return latency_ms(identifier, begin + now)

        fake = FakeTransport(timed)
        monkeypatch.setitem(main.__globals__, "kind_of", lambda kind: fake_kind)
        monkeypatch.setitem(
            main.__globals__, "build_device", lambda *words: (Device("bench", fake), MeasurementProtocol())
        )
        main(
            made_by=made_by("confirm_latency", sessions=5),
            device=SimpleNamespace(kind="fake", name="bench"),
            access=None,
            provisioning=[],
            space=None,
            sessions=5,
            most_sessions=20,
            spread_s=0.0,
            most_candidates=None,
            sampled=[],
            budgets=list(budgets),
            rankings=[results / budget / "ranking.json" for budget in budgets],
            models=[results / budget / "round-1" / "exported" for budget in budgets],
            journals=[results / f"{budget}.jsonl" for budget in budgets],
            confirms="all" if together else "one",
            latencies=results / ("-".join(budgets) + ".json"),
        )
        return fake

    return confirmed


def tried(results: Path, budget: str) -> list[tuple[str, str, int]]:
    trials = read_json(results / f"{budget}.json")["tried"]
    return [(one["id"], one["decision"]["state"], len(one["sessions"])) for one in trials]


def medians_ms(results: Path, budget: str) -> list[float]:
    return read_json(results / f"{budget}.json")["tried"][0]["latency"]["session_medians_ms"]


def test_what_was_timed_together_is_timed_by_no_budget_again(
    results: Path, confirm: Callable[..., FakeTransport]
) -> None:
    together = confirm("p25", "p50", together=True)
    assert read_json(results / "p25-p50.json")["sessions"] == SESSIONS
    # Four references a session, and three timings of each model: two in each of the first five sessions.
    assert len(together.log) == SESSIONS * 4 + 5 * 6 + 5 * 3
    assert not confirm("p25").log
    assert not confirm("p50").log
    assert tried(results, "p25") == [("slow", "not kept", 5), ("fast", "kept", 5)]
    assert tried(results, "p50") == [("middle", "kept", 5)]
    shared = read_json(results / "p50.json")["tried"][0]["sessions"]
    assert [one["models"] for one in shared] == [2] * 5
    assert shared == read_json(results / "p25.json")["tried"][0]["sessions"]


def test_a_budget_alone_times_what_is_missing(results: Path, confirm: Callable[..., FakeTransport]) -> None:
    """One without a journal is confirmed, or not to be: it takes no part, and has sessions of its own when forced."""
    (results / "p25.jsonl").unlink()
    together = confirm("p25", "p50", together=True)
    assert set(together.log) == {"reference", *(one for one in together.log if one.startswith("middle"))}
    assert not confirm("p50").log
    assert len(confirm("p25").log) == 2 * 5 * 7
    assert tried(results, "p25") == [("slow", "not kept", 5), ("fast", "kept", 5)]
    (results / "p25.jsonl").unlink()
    (results / "p50.jsonl").unlink()
    assert not confirm("p25", "p50", together=True).log
    assert read_json(results / "p25-p50.json")["budgets"] == []


@pytest.mark.parametrize("dies_at", [3, 10, 34, 77])
def test_a_killed_job_goes_on_after_its_last_session_alone_or_together(
    results: Path, confirm: Callable[..., FakeTransport], dies_at: int
) -> None:
    """Ten timings a session of slow and middle, seven of fast: what is half done is done again, nothing else."""
    with pytest.raises(KeyboardInterrupt):
        confirm("p25", "p50", together=True, dies_at=dies_at)
    whole = dies_at // 10 if dies_at < 50 else 5 + (dies_at - 50) // 7
    alone = confirm("p50", begin=1000)
    assert len(alone.log) == max(5 - whole, 0) * 7
    after = confirm("p25", "p50", together=True, begin=2000)
    assert len(after.log) == max(5 - whole, 0) * 7 + min(SESSIONS - whole, 5) * 7
    confirm("p25")
    confirm("p50")
    starts = [int(1e5 * (ms / USUAL_MS["middle"] - 1) + 0.5) // 1000 for ms in medians_ms(results, "p50")]
    assert starts == [0] * min(whole, 5) + [1] * max(5 - whole, 0)
    starts = [int(1e5 * (ms / USUAL_MS["slow"] - 1) + 0.5) // 1000 for ms in medians_ms(results, "p25")]
    assert starts == [0] * min(whole, 5) + [2] * max(5 - whole, 0)


def test_another_budget_in_the_config_makes_no_session_of_an_interrupted_one_again(
    results: Path, confirm: Callable[..., FakeTransport]
) -> None:
    """The same files under another budget: the sessions that its candidates had are believed."""
    confirm("p25", "p50", together=True)
    ranking = read_json(results / "p50" / "ranking.json")
    write_json(results / "p50" / "ranking.json", ranking | {"budget_ms": 1.55})
    assert not confirm("p50").log
    assert tried(results, "p50") == [("middle", "not kept", 5)]
