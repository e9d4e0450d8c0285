"""Lets the tests of the kernels import their own helpers, which lie beside them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
