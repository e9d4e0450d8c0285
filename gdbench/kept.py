"""What one process works out of the catalogues and the next may take over, for as long as nothing it came from changes.

An answer is kept under a fingerprint of everything it can depend on: the content of every file of gdbench, the files of
the packages that the catalogues read without importing them, the packages installed, Python itself. So there is nothing
to invalidate: after any change the next process finds no answer under its fingerprint, and works it out anew.

Only the standard library is imported here, and little of that: a list that is there already is shown at once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

READ = ("optax", "sif2jax", "sklearn")
"""Packages whose files the catalogues read, or look for, without importing them."""

MOST = 64
"""Answers that are kept; beyond, the oldest make room (those of another checkout, or from before a change)."""


def cache_folder() -> Path:
    """Where things are kept between processes: compiled programs, and lists."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("GDBENCH_CACHE") or Path(home) / "gdbench")


def recall(what: Any, make: Callable[[], Any]) -> Any:
    """The answer to ``what`` that an earlier process kept, else that of ``make``, which is kept if it is plain JSON.

    An answer that is kept is equal to what ``make`` would give in a new process.
    """
    begun, before = _catalogues_loaded(), fingerprint()
    place = _place(before, what)
    if place is None:
        return make()
    found = _read(place)
    if found is not None:
        return found[0]
    made = make()
    # Had they been loaded already, or had a file changed meanwhile, they might not be what the fingerprint stands for.
    if not begun and fingerprint() == before:
        _write(place, made)
    return made


def _catalogues_loaded() -> bool:
    return "gdbench.contracts" in sys.modules


def _place(state: str | None, what: Any) -> Path | None:
    """The file of an answer; None where there can be none."""
    try:
        return (
            None if state is None else cache_folder() / "lists" / f"{_digest(json.dumps([state, what]).encode())}.json"
        )
    except RuntimeError:  # no home folder
        return None


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=20).hexdigest()


def _read(place: Path) -> list[Any] | None:
    """What stands in a file, in a list of its own; None where that is not what was written, or nothing is."""
    try:
        told, _, body = place.read_bytes().partition(b"\n")
        return [json.loads(body)] if told.decode() == _digest(body) else None
    except (OSError, ValueError):  # none yet, or broken: it is worked out again, and replaced
        return None


def _write(place: Path, made: Any) -> None:
    """Keep an answer that JSON gives back as it is: whole or not at all."""
    try:
        body = json.dumps(made, allow_nan=False)
        if json.loads(body) != made:
            return
        whole = place.with_suffix(f".{os.getpid()}")
        place.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(_digest(body.encode()).encode() + b"\n" + body.encode())
        os.replace(whole, place)
        by_age = sorted(os.scandir(place.parent), key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
        for entry in by_age[MOST:]:
            os.unlink(entry.path)
    except (OSError, TypeError, ValueError):  # a full disk, or one that is not ours; what JSON cannot hold
        return


def fingerprint() -> str | None:
    """What the catalogues depend on, as a hash; None where gdbench does not stand in files of its own."""
    digest, known = hashlib.blake2b(digest_size=20), 0
    for path in _files(os.path.dirname(os.path.abspath(__file__))):
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:  # an editor's lock, or a file that went away meanwhile
            content = b""
        digest.update(f"\n{path} {len(content)}\n".encode(errors="surrogateescape"))
        digest.update(content)
        known += path.endswith(".py")
    for line in (sys.version, sys.platform, *_installed()):
        digest.update(f"\n{line}".encode(errors="surrogateescape"))
    return digest.hexdigest() if known else None


def _files(root: str) -> Iterator[str]:
    """Every file under a folder, but for what Python keeps of it; in the same order everywhere."""
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if name != "__pycache__")
        for name in sorted(names):
            yield os.path.join(folder, name)


def _installed() -> Iterator[str]:
    """The packages there are with their versions, by the names of their folders, and the files of those that are read.

    ``importlib.metadata`` would tell it too, and takes longer to import than all of this.
    """
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:  # no folder: an archive, or one that is not there
            continue
        told = sorted(name for name in names if name.endswith((".dist-info", ".egg-info")))
        if told:
            yield f"{folder} {told}"
    for package in READ:
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):  # half installed: those who read it will say so
            continue
        yield f"{package} {spec and spec.origin}"
        if package == "optax" and spec is not None:  # of the others it is enough to know the versions
            for path in (path for folder in spec.submodule_search_locations or () for path in _files(folder)):
                about = os.stat(path) if os.path.exists(path) else None
                yield f"{path} {about and (about.st_size, about.st_mtime_ns)}"
