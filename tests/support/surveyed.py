"""Devices as a survey may find them."""

from foxnas.device.provisioning.survey import Python, Survey


def a_python(minor: str = "3.11", machine: str = "aarch64", libc: str = "2.36", **more) -> Python:
    version = tuple(int(n) for n in minor.split("."))
    told = {"venv": True, "ensurepip": False, "numpy": None, **more}
    return Python(f"/usr/bin/python{minor}", (*version, 2), machine, ("glibc", libc), **told)


def a_device(*pythons: Python, **more) -> Survey:
    told = {
        "system": "Linux", "machine": "aarch64", "os": "Debian", "codename": "bookworm", "user": "pi",
        "groups": ("pi",), "root": False, "apt": True, "memory_mb": 4000, "free_mb": 9000, "writable": True,
    }  # fmt: skip
    return Survey(**{**told, "pythons": pythons, **more})
