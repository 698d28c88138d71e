"""Every public name of the package, which loads them when the first one is used."""

from ._checkpoint import Checkpoint, Spec, Tensor, TensorInfo, inspect, open
from ._checks import Difference, LoadVerdict, Verdict, diff, load_check, verify
from ._devices import Placement, place
from ._errors import CompileError, Error, InputOutputError, Issue, LimitError, MalformedError, MisfitError, StoppedError, UsageError
from ._load import load_into
from ._migration import Migration, Report, Target, migrate
from ._nets import spec_of
from ._parity import ModuleParity, Parity, parity
from ._plan import Draft, Plan, compile, plan, suggest

__all__ = [
    "Checkpoint", "CompileError", "Difference", "Draft", "Error", "InputOutputError", "Issue", "LimitError", "LoadVerdict", "MalformedError", "Migration",
    "MisfitError", "ModuleParity", "Parity", "Placement", "Plan", "Report", "Spec", "StoppedError", "Target", "Tensor", "TensorInfo", "UsageError",
    "Verdict", "compile", "diff", "inspect", "load_check", "load_into", "migrate", "open", "parity", "place", "plan", "spec_of", "suggest", "verify",
]
