"""The compiled parts of the package, in C; all else is in pyproject.toml."""

from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDER = "src/ernn/golden/c"
LOOPS = "src/ernn/nn/c"


class Whole(build_ext):
    """A library takes the old one's place at once: a process that starts meanwhile loads one or the
    other.
    """

    def copy_file(self, infile: Any, outfile: Any, *args: Any, **options: Any) -> Any:
        done = super().copy_file(infile, f"{outfile}.new", *args, **options)
        Path(f"{outfile}.new").replace(outfile)
        return done


setup(
    cmdclass={"build_ext": Whole},
    ext_modules=[
        Extension(
            "ernn.golden._play",
            [f"{FOLDER}/{name}.c" for name in ("module", "wide", "narrow", "avx2", "avx512")],
            depends=[
                f"{FOLDER}/{name}"
                for name in ("play.c", "play.h", "library.h", "variants.h", "x86.h")
            ],
            extra_compile_args=["-O3"],
            optional=True,  # without a compiler NumPy executes golden, slowly, and says so
        ),
        Extension(
            "ernn.nn._loops",
            [f"{LOOPS}/{name}.c" for name in ("module", "plain", "avx2", "avx512")],
            depends=[f"{LOOPS}/{name}" for name in ("loops.c", "loops.h", "both.h")],
            extra_compile_args=["-O3", "-fno-trapping-math", "-fno-math-errno", "-pthread"],
            optional=True,  # without a compiler torch trains, slowly, and ernn says so
        ),
    ],
)
