"""The one place that imports faiss, which is an extra: `cpu` and `gpu` both provide the module, and cannot coexist."""

import sys
from typing import Any

from raycollapse.errors import RequestError


def load_faiss() -> Any:
    """Return the faiss module, its threads set to torch's, which the process chose for its share of the machine."""
    try:
        import faiss
    except ImportError as error:
        raise RequestError(
            "faiss, which finds nearest neighbours, is not installed. "
            'Use pip install "raycollapse[cpu]", or "raycollapse[gpu]" on a machine with a CUDA GPU.'
        ) from error
    torch = sys.modules.get("torch")
    faiss.omp_set_num_threads(int(torch.get_num_threads()) if torch is not None else 1)
    return faiss
