"""BBOB: the 24 noiseless functions of the black-box optimization benchmark, equal to COCO's, bbob/f1 to bbob/f24.

Each has a dimension, from 2, and an instance, from 1: the same function shifted, rotated and offset at random. The
random numbers are traced data, so that all instances of a dimension share one compiled program.
"""

from gdbench.problems.bbob.multimodal import f3, f4, f15, f16, f17, f18, f19
from gdbench.problems.bbob.unimodal import f1, f2, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14
from gdbench.problems.bbob.weakly_structured import f20, f21, f22, f23, f24

__all__ = [
    "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12",
    "f13", "f14", "f15", "f16", "f17", "f18", "f19", "f20", "f21", "f22", "f23", "f24",
]  # fmt: skip
