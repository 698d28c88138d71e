"""ckmap: moves model weights between frameworks, by rules that are proved to fit before a tensor is read.

    import ckmap
    report = ckmap.load_into(net, "model.safetensors", "torch2ms.ckmap")      # a live MindSpore Cell or torch Module
    migration = ckmap.migrate("model.pth", "torch2ms.ckmap", "net.yaml")      # proved to fit; nothing read
    migration.save("model.ckpt")
    ckmap.open("model.safetensors")["fc.weight"]                              # a numpy view

``rules`` is a .ckmap, a .ckplan, the name of a pack, or text that begins with ``ckmap 1;``. Importing this imports neither torch
nor mindspore. Nothing prints; ``progress`` is a callback ``(done, total)`` in bytes, or True for tqdm.
"""

from ._core import (Checkpoint, Difference, LoadVerdict, Migration, Plan, Report, Spec, Target, TensorInfo, Verdict, compile, diff, inspect, load_check,
                    migrate, open, plan, verify)
from ._errors import CompileError, Error, InputOutputError, Issue, LimitError, MalformedError, MisfitError, StoppedError, UsageError
from ._nets import load_into, spec_of

__version__ = "0.1.0"
__all__ = [
    "Checkpoint", "CompileError", "Difference", "Error", "InputOutputError", "Issue", "LimitError", "LoadVerdict", "MalformedError", "Migration",
    "MisfitError", "Plan", "Report", "Spec", "StoppedError", "Target", "TensorInfo", "UsageError", "Verdict", "compile", "diff", "inspect",
    "load_check", "load_into", "migrate", "open", "plan", "spec_of", "verify",
]
