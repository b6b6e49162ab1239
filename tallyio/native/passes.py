"""What numba does to a hot function on its way to LLVM: what its own pipeline does, less what cannot apply.

Layer: native. numba's pipeline also looks for functions within, `with` blocks, loops over literals, what is
to be inlined as Python, and expressions of arrays. Hot code has none of them, and does not compile with one;
looking for them takes a tenth of the time.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

from typing import Any, Final

from numba.core.compiler_machinery import PassManager
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NoPythonSupportedFeatureValidation,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import (
    DeadBranchPrune,
    FixupArgs,
    GenericRewrites,
    IRProcessing,
    ReconstructSSA,
    RewriteSemanticConstants,
    TranslateByteCode,
)

_PASSES: Final = (
    (TranslateByteCode, "analyzing bytecode"),
    (FixupArgs, "fix up args"),
    (IRProcessing, "processing IR"),
    (RewriteSemanticConstants, "rewrite semantic constants"),
    (DeadBranchPrune, "dead branch pruning"),
    (GenericRewrites, "nopython rewrites"),
    (ReconstructSSA, "ssa"),
    (NopythonTypeInference, "nopython frontend"),
    (PreLowerStripPhis, "remove phis nodes"),
    (NoPythonSupportedFeatureValidation, "ensure features that are in use are in a valid form"),
    (IRLegalization, "ensure IR is legal prior to lowering"),
    (NativeLowering, "native lowering"),
    (NoPythonBackend, "nopython mode backend"),
)
"""In their order, with the names that numba has for them in messages."""


def pipeline() -> Any:
    """Return a fresh manager of the passes."""
    manager = PassManager("nopython")
    for each, name in _PASSES:
        manager.add_pass(each, name)
    manager.finalize()
    return manager
