"""ckmap: moves model weights between frameworks, by rules that are proved to fit before a tensor is read.

    import ckmap
    report = ckmap.load_into(net, "model.safetensors", "torch2ms.ckmap")      # a live MindSpore Cell or torch Module
    migration = ckmap.migrate("model.pth", "torch2ms.ckmap", "net.yaml")      # proved to fit; nothing read
    migration.save("model.ckpt")
    ckmap.open("model.safetensors")["fc.weight"]                              # a numpy view

``rules`` is a .ckmap, a .ckplan, the name of a pack, or text that begins with ``ckmap 1;``. Importing this imports neither torch
nor mindspore. Nothing prints; ``progress`` is a callback ``(done, total)`` in bytes, or True for tqdm.
"""

from ._checkpoint import Checkpoint, Spec, Tensor, TensorInfo, inspect, open
from ._checks import Difference, LoadVerdict, Verdict, diff, load_check, verify
from ._devices import Placement, place
from ._errors import CompileError, Error, InputOutputError, Issue, LimitError, MalformedError, MisfitError, StoppedError, UsageError
from ._load import load_into
from ._migration import Migration, Report, Target, migrate
from ._nets import spec_of
from ._parity import ModuleParity, Parity, parity
from ._plan import Draft, Plan, compile, plan, suggest

__version__ = "0.1.0"
__all__ = [
    "Checkpoint", "CompileError", "Difference", "Draft", "Error", "InputOutputError", "Issue", "LimitError", "LoadVerdict", "MalformedError", "Migration",
    "MisfitError", "ModuleParity", "Parity", "Placement", "Plan", "Report", "Spec", "StoppedError", "Target", "Tensor", "TensorInfo", "UsageError",
    "Verdict", "compile", "diff", "inspect", "load_check", "load_into", "migrate", "open", "parity", "place", "plan", "spec_of", "suggest", "verify",
]
