"""Why operations that people use stay on the host, in words."""

_OWN = "divides by what it finds in each frame's own values, whose range no table covers at once"
_WHOLE = "needs more than one frame: the whole sequence, or frames that are still to come"
_LARGEST = "picks among values or frames by their size"
_INDEX = "looks rows up by an index"
_APART = "gives no frame for a frame, as with a stride in time"
_SPECTRUM = "transforms a window of samples into a spectrum"
_REASONS = {
    _OWN: (
        "layernorm", "layernormalization", "rmsnorm", "groupnorm", "instancenorm",
        "instancenormalization", "groupnormalization", "softmax", "logsoftmax", "softmin",
        "normalize", "norm", "linalgnorm", "linalgvectornorm", "lpnormalization", "reducel2",
        "var", "std", "logsumexp", "reducelogsumexp", "rmsnormalization",
    ),
    _WHOLE: (
        "mean", "reducemean", "sum", "reducesum", "cumsum", "avgpool1d", "adaptiveavgpool1d",
        "averagepool", "globalaveragepool", "interpolate", "resize", "scaleddotproductattention",
        "multiheadattention", "flip",
    ),
    _LARGEST: (
        "max", "min", "amax", "amin", "argmax", "argmin", "topk", "sort", "argsort", "reducemax",
        "reducemin", "maxpool1d", "adaptivemaxpool1d", "maxpool", "globalmaxpool", "maximum",
        "minimum", "where", "maskedfill", "gt", "lt", "ge", "le", "eq", "ne", "greater", "less",
    ),
    _INDEX: ("embedding", "embeddingbag", "gather", "onehot"),
    _APART: ("conv1d", "conv2d", "conv", "unfold", "convtranspose1d", "convtranspose"),
    _SPECTRUM: ("stft", "fftrfft", "fftfft", "rfft", "fft", "dft", "istft"),
}  # fmt: skip
_BY_NAME = {name: why for why, names in _REASONS.items() for name in names}


def reason(where: str) -> str:
    """Of an operation that is named first in `where`, as "layer_norm in module 'ln'"."""
    name = where.split()[0].replace("_", "").lower()
    return _BY_NAME.get(name, "is no operation of the accelerator, or not in this form")
