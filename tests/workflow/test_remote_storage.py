"""Results in a remote storage: the whole smallest run on an S3 server on loopback, then the same command again."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from tests.support.examples import ROOT, example, run, smallest, write_project

BUCKET, KEY, SECRET = "lab", "a-key-for-tests", "a-secret-for-tests"


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """An S3 server, and the environment that the page says to set for it."""
    from moto.server import ThreadedMotoServer  # which every worker would import, and one needs

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # which names every request
    server.start()
    host, port = server.get_host_and_port()
    text = example("Results in remote storage", "ENDPOINT_URL")
    for name, value in {"HOST": host, "PORT": str(port), "=KEY": f"={KEY}", "=SECRET": f"={SECRET}"}.items():
        text = text.replace(name, value)
    yield dict(re.findall(r"^export (\w+)=(.*)$", text, re.MULTILINE))
    server.stop()


@pytest.fixture(scope="module")
def store(environment: dict[str, str]) -> Any:
    return boto3.resource(
        "s3", endpoint_url=environment["SNAKEMAKE_STORAGE_S3_ENDPOINT_URL"], region_name="us-east-1",
        aws_access_key_id=KEY, aws_secret_access_key=SECRET,
    ).Bucket(BUCKET)  # fmt: skip


@pytest.fixture(scope="module")
def command() -> str:
    text = example("Results in remote storage", "--default-storage-provider").strip().replace("BUCKET", BUCKET)
    return f"{text} --snakefile {ROOT}/Snakefile"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], command: str) -> tuple[Path, str]:
    """A project whose results are in the store, and what was said on the way."""
    folder = tmp_path_factory.mktemp("project")
    write_project(folder, smallest())
    return folder, run(folder, command, **environment)


def read(store: Any, key: str) -> bytes:
    return bytes(store.Object(f"nas/results/{key}").get()["Body"].read())


def models(store: Any, folder: str) -> set[str]:
    return {one.key for one in store.objects.filter(Prefix=f"nas/{folder}/") if one.key.endswith(".tflite")}


def test_everything_but_journals_is_in_the_store(finished: tuple[Path, str], store: Any) -> None:
    verdict = json.loads(read(store, "mini/deploy/local/2ms/validation.json"))
    assert verdict["test_images"] == 200
    winner = json.loads(read(store, "mini/search/local/2ms/winner.json"))["winner"]
    exported = "results/mini/search/local/2ms/round-1/exported"
    assert f"nas/{exported}/{winner['id']}.tflite" in models(store, exported)
    deployed = read(store, "mini/deploy/local/2ms/model.tflite")
    assert deployed == read(store, f"mini/search/local/2ms/round-1/exported/{winner['id']}.tflite")
    assert verdict["arch"].split("_")[0].encode() in read(store, "report.html")
    assert b"start-up" in read(store, "logs/write_report.log")
    local = {path.relative_to(finished[0]) for path in (finished[0] / "results").rglob("*") if path.is_file()}
    assert {str(path) for path in local if "journals" not in path.parts} <= {
        "results/logs/summary.txt",
        "results/config.yaml",
    }
    assert not [one.key for one in store.objects.all() if "journal" in one.key]


def test_the_same_command_again_has_nothing_to_do(
    finished: tuple[Path, str], command: str, environment: dict[str, str]
) -> None:
    assert "Nothing to be done" in run(finished[0], command, **environment)


def test_a_changed_line_reruns_what_depends_on_it_from_the_store(
    finished: tuple[Path, str], command: str, environment: dict[str, str], store: Any
) -> None:
    """Fewer candidates: the folder of exported models loses the files that are no longer in it."""
    folder, _ = finished
    config = smallest()
    config["search"]["incumbents"] = 0
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    exported = "results/mini/search/local/2ms/round-1/exported"
    before = models(store, exported)
    said = run(folder, f"{command} {exported}", **environment)
    assert "evaluate_subnets" not in said
    after = models(store, exported)
    assert len(after) == 1
    assert after < before


def test_no_secret_is_written_down(finished: tuple[Path, str], store: Any) -> None:
    folder, said = finished
    texts = [said.encode(), *(path.read_bytes() for path in folder.rglob("*") if path.is_file())]
    texts += [one.get()["Body"].read() for one in store.objects.all() if one.key.endswith((".log", ".json", ".html"))]
    assert not any(word.encode() in text for text in texts for word in (KEY, SECRET))
