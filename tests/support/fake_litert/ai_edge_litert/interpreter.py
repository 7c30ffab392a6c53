"""An interpreter that takes no CPU, so that many boards find room on one machine."""

import os
import time
from pathlib import Path

import numpy as np


class OpResolverType:
    AUTO, BUILTIN_WITHOUT_DEFAULT_DELEGATES = range(2)


class Interpreter:
    """Sleeps for the model's milliseconds, times what the file of FAKE_LITERT_SLOWNESS says."""

    def __init__(self, model_content, num_threads, experimental_op_resolver_type):
        slowness = float(Path(os.environ["FAKE_LITERT_SLOWNESS"]).read_text())
        self._sleep_s = float(model_content) / 1000 * slowness

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return [{"index": 0, "dtype": np.uint8, "shape": np.array([1, 1, 1, 1])}]

    def set_tensor(self, index, value):
        pass

    def invoke(self):
        time.sleep(self._sleep_s)
