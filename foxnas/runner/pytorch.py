"""PyTorch in float32, on a GPU where there is one: many images at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from foxnas.runner.backend import Backend, Loaded, by_wall_clock
from foxnas.runner.nvidia import NvidiaGpu

#: What makes a run faster, as a row names it.
_OPTIONS = (
    ("compile", "compiled"),
    ("cuda_graphs", "CUDA graph"),
    ("tf32", "TF32"),
    ("channels_last", "channels last"),
)


class TorchBackend(Backend):
    """Whatever PyTorch is installed, on its first CUDA device, else on the CPU."""

    def __init__(self) -> None:
        try:
            import torch
        except ImportError:
            raise RuntimeError("PyTorch is not installed in this Python") from None
        self._torch = torch
        self.runtime, self.version = "torch", str(torch.__version__)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self._device.type == "cuda":
            versions = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
            self.accelerator = f"{torch.cuda.get_device_name(0)}, {versions}"
            uuid = getattr(torch.cuda.get_device_properties(0), "uuid", None)  # since PyTorch 2.4
            self._gpu = NvidiaGpu(None if uuid is None else f"GPU-{uuid}")

    def load(self, model: bytes, settings: dict[str, Any]) -> Loaded:
        """Return a network with random weights and images that is ready to run."""
        from foxnas.runner.network import Network

        torch, options, on_gpu = self._torch, settings["torch"], self._device.type == "cuda"
        if options["cuda_graphs"] and not on_gpu:
            raise RuntimeError("cuda_graphs is set, but PyTorch finds no CUDA device here")
        torch.set_num_threads(settings["threads"])
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options["tf32"]
        layout = torch.channels_last if options["channels_last"] else torch.contiguous_format
        torch.manual_seed(settings["seed"])
        program = json.loads(model)
        network = Network(program).to(self._device).to(memory_format=layout)
        images = torch.rand(options["batch"], *program["image"]).to(self._device).contiguous(memory_format=layout)
        if options["compile"]:
            torch._dynamo.reset()  # else the compiled code of every earlier network stays
        run = torch.compile(network) if options["compile"] else network

        def infer() -> Any:
            with torch.inference_mode():
                return run(images)

        infer()
        invoke = captured(torch, infer) if options["cuda_graphs"] else infer
        facts = {
            "batch": options["batch"],
            "dtype": "float32",
            "signedness": "signed",
            "io_dtype": "float32",
            "executor": ", ".join([self._device.type, *(text for name, text in _OPTIONS if options[name])]),
            "fallback_operators": None,
        }
        return Loaded(by_cuda_events(torch.cuda, invoke) if on_gpu else by_wall_clock(invoke), facts)

    def sample(self) -> dict[str, Any]:
        """Return clock, temperature and slowdowns of the GPU, where there is one, in place of the CPU's."""
        return {} if self._device.type != "cuda" else self._gpu.sample()

    def state(self) -> dict[str, Any]:
        """Return the GPU's clocks, temperature, power and ECC, where there is one."""
        return {} if self._device.type != "cuda" else {"gpu": self._gpu.state()}

    def reset_peak_memory(self) -> bool:
        """Begin a new high-water mark of the GPU's memory, without one of the process's."""
        if self._device.type != "cuda":
            return super().reset_peak_memory()
        self._torch.cuda.empty_cache()
        self._torch.cuda.reset_peak_memory_stats()
        return True

    def peak_memory_mb(self) -> float:
        """Return the most memory since then, in MiB: the GPU's, without one the process's."""
        if self._device.type != "cuda":
            return super().peak_memory_mb()
        return float(self._torch.cuda.max_memory_allocated() / 2**20)


def by_cuda_events(cuda: Any, invoke: Callable[[], Any]) -> Callable[[], int]:
    """Return what runs `invoke` and returns the ns that the GPU spent on it, waiting until it has finished."""
    start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)

    def timed() -> int:
        start.record()
        invoke()
        end.record()
        end.synchronize()
        return int(start.elapsed_time(end) * 1e6)

    return timed


def captured(torch: Any, infer: Callable[[], Any]) -> Callable[[], Any]:
    """Return what replays `infer` as one CUDA graph; as PyTorch's notes have it, warmed up on a stream aside."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            infer()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        infer()
    replay: Callable[[], Any] = graph.replay
    return replay
