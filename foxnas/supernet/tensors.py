"""Read the tensors of a checkpoint file without running anything that is in it."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from foxnas.errors import FoxnasError
from foxnas.files.tables import MAKE_ANEW, replacing
from foxnas.settings.encoding import shown

_DIGEST = "tensors_sha256"

#: What DistributedDataParallel and AveragedModel, and torch.compile, put before the names of a network's tensors; and
#: how many networks an average is of.
_WRAPPERS = ("module.", "_orig_mod.")
_AVERAGED = "n_averaged"

#: Names of tensors that count.
_COUNTS = ("num_batches_tracked", _AVERAGED)

#: Characters of a file's own words that a message repeats: a damaged header may be one word of megabytes.
_NAME, _WORDS = 100, 300


@dataclass(frozen=True)
class TensorFile:
    """What a checkpoint file holds; `metadata` is that of safetensors, empty for other formats."""

    path: Path
    safetensors: bool
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file with the digest of its tensors in its header, whole or not at all.

    Equal contents are equal bytes: the library writes metadata in an order of its own, another one each time.
    """
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    content = memoryview(save(whole, {**metadata, _DIGEST: digest(whole)}))
    data = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(bytes(content[8:data])), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.write(content[data:])


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors on the CPU, with their names, types and shapes."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def read_tensors(path: Path) -> TensorFile:
    """Read a safetensors file, or one of `torch.save` that holds tensors and nothing else.

    The latter may be a state dict or a mapping with one under ``state_dict``.

    Raises FoxnasError when the file is missing, damaged or of another kind, or has pickled code in it.
    """
    if not path.is_file():
        raise FoxnasError(
            f"checkpoint {path} {'is a folder' if path.is_dir() else 'does not exist'}; set supernet.checkpoint to a "
            "file, or supernet.source to train"
        )
    with path.open("rb") as file:
        start = file.read(40)
    # A safetensors file begins with the length of its header, eight bytes, and the header is JSON.
    if start[8:9] == b"{":
        return _checked(_read_safetensors(path))
    # torch.save writes a zip archive; its older releases wrote pickles of protocol 2.
    if not start.startswith((b"PK", b"\x80")):
        found = f"begins with {start.decode(errors='replace')!r}" if start else "is empty"
        raise FoxnasError(
            f"checkpoint {path} is no checkpoint of safetensors or torch.save, it {found}; was its download whole?"
        )
    return _checked(_read_torch(path))


def _checked(file: TensorFile) -> TensorFile:
    """Return the file with plain names, or raise FoxnasError that names the first tensor that cannot be weights."""
    for name, tensor in file.tensors.items():
        if not isinstance(name, str):
            raise FoxnasError(
                f"checkpoint {file.path} holds no state dict: its names are not all text: {repr(name)[:_NAME]}"
            )
        if problem := _problem(name, tensor):
            raise FoxnasError(f"checkpoint {file.path}: {shown(name, _NAME)} {problem}")
    weights = [tensor for tensor in file.tensors.values() if tensor.ndim > 1]
    if weights and not any(tensor.any() for tensor in weights):
        raise FoxnasError(
            f"checkpoint {file.path}: all its weights are zero; it was saved before it was trained, or cut"
        )
    return replace(file, tensors=_plainly_named(file.tensors))


def _problem(name: str, tensor: Tensor) -> str:
    """Return why a tensor cannot be weights, nothing if it can."""
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_quantized:
        return f"is quantised ({kind}); save the weights as they were before that"
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_complex() or tensor.dtype == torch.bool:
        return "is no dense tensor of real numbers; save it as one"
    if not tensor.is_floating_point():
        return (
            ""
            if name.endswith(_COUNTS)
            else f"holds whole numbers ({kind}), which are weights only with a scale; save them as float32"
        )
    if tensor.element_size() < 2:
        return f"holds {kind}, which are weights only with a scale; save them as float32"
    if not torch.isfinite(tensor).all():
        return "holds values that are no numbers (NaN or infinite); take a checkpoint from before its training diverged"
    if not torch.isfinite(tensor.float()).all():
        return "holds values beyond float32; take a checkpoint from before its training diverged"
    return ""


def _plainly_named(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors without what wrapping a network puts before every name, and an average's count."""
    named = {name: tensor for name, tensor in tensors.items() if name != _AVERAGED}
    while prefix := next((one for one in _WRAPPERS if named and all(name.startswith(one) for name in named)), ""):
        named = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    return named


def _read_safetensors(path: Path) -> TensorFile:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            found = TensorFile(path, True, tensors, file.metadata() or {})
    except SafetensorError as error:
        raise FoxnasError(
            f"checkpoint {path} is a damaged safetensors file ({str(error)[:_WORDS]}); {MAKE_ANEW}"
        ) from error
    if found.metadata.get(_DIGEST) not in (None, digest(tensors)):
        raise FoxnasError(f"checkpoint {path}: was edited since it was written; {MAKE_ANEW}")
    return found


def _read_torch(path: Path) -> TensorFile:
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error):
            raise FoxnasError(
                f"checkpoint {path} holds pickled code besides tensors, which is not loaded, because it would be run; "
                "where you trust the file, save its tensors alone: "
                "safetensors.torch.save_file(model.state_dict(), 'supernet.safetensors')"
            ) from error
        raise FoxnasError(f"checkpoint {path} is neither a safetensors file nor one of torch.save") from error
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to say
        reason = (str(error).splitlines() or [""])[0]
        raise FoxnasError(
            f"checkpoint {path} is damaged, or of another kind: {type(error).__name__}: {reason[:_WORDS]}"
        ) from error
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    if not isinstance(value, dict) or not value or not all(isinstance(t, Tensor) for t in value.values()):
        keys = (
            f", found {', '.join(shown(str(key), _NAME) for key in list(value)[:3])}"
            if isinstance(value, dict) and value
            else ""
        )
        raise FoxnasError(
            f"checkpoint {path} holds no state dict: expected tensors by name, or those under state_dict{keys}"
        )
    return TensorFile(path, False, value, {})
