"""Build the native kernels: one library that holds a version for each instruction set.

It needs a compiler with vector types (GCC or Clang) and neither torch nor Python headers. Where that fails
the package installs without it, and `make setup`, `bhasa doctor` and `bhasa check` say so.
"""

import platform
import runpy
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDER = Path("src/bhasa/ops/native")
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-g0",
    "-Wall",
    "-Wextra",
]
# OpenMP's functions are those of the library that torch has loaded, so that both use the same threads:
# compiled in, never linked. Elsewhere (Apple's clang has none) one thread computes.
FLAGS.append("-fopenmp" if sys.platform == "linux" else "-Wno-unknown-pragmas")
SOURCES = runpy.run_path(str(FOLDER / "sources.py"))["digest"]()
VERSIONS = {"portable": []}
if platform.machine() in ("x86_64", "AMD64"):
    FLAGS.append("-DBHASA_X86")
    VERSIONS |= {
        "avx2": ["-mavx2", "-mfma"],
        "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"],
    }


class BuildKernels(build_ext):
    """Compile the kernels once for each instruction set, then link everything."""

    def build_extension(self, extension):
        objects = self._compile("library.cpp", [f'-DBHASA_SOURCES="{SOURCES}"'])
        for version, flags in VERSIONS.items():
            objects += self._compile("kernels.cpp", [*flags, f"-DBHASA_ISA={version}"], version)
        target = Path(self.get_ext_fullpath(extension.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        self.compiler.link_shared_object(objects, str(target), target_lang="c++")

    def _compile(self, source, flags, version="."):
        folder = str(Path(self.build_temp, version))
        return self.compiler.compile([str(FOLDER / source)], folder, extra_postargs=[*FLAGS, *flags])


setup(
    ext_modules=[
        Extension(
            "bhasa.ops.native._kernels",
            [str(FOLDER / "library.cpp"), str(FOLDER / "kernels.cpp")],
            depends=[str(header) for header in sorted(FOLDER.glob("*.h"))],
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildKernels},
)
