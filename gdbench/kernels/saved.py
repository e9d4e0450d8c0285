"""Compiled programs, and what was learned from tracing, kept between processes.

A program is found by what it was made from, without being traced again: the code of gdbench, of the problem and the
optimizer, all that is static about the descent, versions, devices and compiler. Programs with code from elsewhere are
not kept, for what that leans on is not known.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import pickle
import platform
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from gdbench.identity import numerical_code

_lock = threading.Lock()
_thread = threading.local()
_folder: Path | None = None
_known: dict[str, Any] | None = None


def use(folder: Path | None) -> None:
    """Keep programs in this folder; None for nowhere."""
    global _folder, _known
    _folder, _known = folder, None


@cache
def _machine() -> str:
    """What a program is compiled by and for, beside its devices."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            cpu = sorted({line for line in file if line.startswith(("flags", "Features", "model name"))})
    except OSError:  # not Linux
        cpu = [platform.processor()]
    versions = [importlib.metadata.version(name) for name in ("jax", "jaxlib", "optax", "numpy")]
    return repr((sys.version, platform.machine(), cpu, versions, os.environ.get("XLA_FLAGS"), numerical_code()))


def key_of(*parts: Any) -> str:
    """The name of what is made from these, here."""
    return hashlib.sha256(repr((parts, _machine())).encode()).hexdigest()


def recall(key: str) -> Any:
    """What was remembered under this key, else None."""
    global _known
    if _folder is None:
        return None
    with _lock:
        if _known is None:
            _known = {}
            try:
                lines = (_folder / "facts.jsonl").read_text(encoding="utf-8").splitlines()
            except OSError:  # none yet
                lines = []
            for line in lines:
                try:
                    _known.update([json.loads(line)])
                except ValueError:  # cut short by a process that was killed
                    continue
        return _known.get(key)


def remember(key: str, value: Any) -> None:
    """Keep a value that JSON can hold."""
    if _folder is None:
        return
    with _lock:
        if _known is not None:
            _known[key] = value
        try:
            _folder.mkdir(parents=True, exist_ok=True)
            with open(_folder / "facts.jsonl", "a", encoding="utf-8") as file:
                file.write("\n" + json.dumps([key, value]))
        except OSError:  # a full disk, or one that is not ours: it is traced again the next time
            return


@cache
def ready_lapack() -> None:
    """Have JAX look up the functions of LAPACK: it does so only where it lowers a call of one, and a program that is
    read back would call nothing, which ends the process (jaxlib 0.10.2).
    """
    jax.jit(jnp.linalg.inv).lower(jax.ShapeDtypeStruct((2, 2), np.float32))


def load(key: str | None, devices: Sequence[Any]) -> tuple[Any, Any] | None:
    """A compiled program for these devices and what was kept with it, or None."""
    if _folder is None or key is None:
        return None
    try:
        payload, trees, extra = recall_code(key)
        return deserialize_and_load(payload, *trees, execution_devices=devices), extra
    except Exception:  # none yet, or whatever another build of XLA raises: it is compiled again, and replaced
        return None


def recall_code(key: str | None) -> Any:
    """What was kept under this key in a file of its own, else None."""
    if _folder is None or key is None:
        return None
    try:
        kept = (_folder / key).read_bytes()
        return pickle.loads(pa.decompress(kept[8:], int.from_bytes(kept[:8], "little"), "zstd"))
    except Exception:  # none yet, or whatever a broken file raises: it is made again, and replaced
        return None


def _heard(event: str, **_: Any) -> None:
    if event == "/jax/compilation_cache/cache_hits":
        _thread.hits = getattr(_thread, "hits", 0) + 1


jax.monitoring.register_event_listener(_heard)


def hits() -> int:
    """How often this thread has found a program in JAX's own cache."""
    return getattr(_thread, "hits", 0)


def save(key: str | None, compiled: Any, extra: Any, hits_before: int) -> None:
    """Keep a compiled program, with something beside it that can be pickled.

    One that JAX found in its own cache (``hits`` has grown) is not kept: serialized a second time it lacks its code
    (jaxlib 0.10.2: "Function not found" when it runs).
    """
    if _folder is None or key is None or hits() > hits_before:
        return
    try:
        payload, *trees = serialize(compiled)
    except (ValueError, NotImplementedError, jax.errors.JaxRuntimeError):
        return  # not every backend can
    remember_code(key, (payload, trees, extra))


def remember_code(key: str | None, value: Any) -> None:
    """Keep something that can be pickled in a file of its own."""
    if _folder is None or key is None:
        return
    whole = pickle.dumps(value)
    temporary = _folder / f".{key}.{os.getpid()}.{threading.get_ident()}"
    try:
        _folder.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(len(whole).to_bytes(8, "little") + pa.compress(whole, "zstd", asbytes=True))
        temporary.replace(_folder / key)
    except OSError:  # a full disk, or one that is not ours: it is compiled again the next time
        with contextlib.suppress(OSError):
            temporary.unlink()
