"""The compiled parts of the package, in C; all else is in pyproject.toml."""

from setuptools import Extension, setup

FOLDER = "src/ernn/golden/c"
LOOPS = "src/ernn/nn/c"

setup(
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
    ]
)
