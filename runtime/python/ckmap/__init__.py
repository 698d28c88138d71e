"""ckmap: moves model weights between frameworks, by rules that are proved to fit before a tensor is read.

    import ckmap
    report = ckmap.load_into(net, "model.safetensors", "torch2ms.ckmap")      # a live MindSpore Cell or torch Module
    migration = ckmap.migrate("model.pth", "torch2ms.ckmap", "net.yaml")      # proved to fit; nothing read
    migration.save("model.ckpt")
    ckmap.open("model.safetensors")["fc.weight"]                              # a numpy view

``rules`` is a .ckmap, a .ckplan, the name of a pack, or text that begins with ``ckmap 1;``. Importing this imports neither torch
nor mindspore, and numpy only when the first name is used. Nothing prints; ``progress`` is a callback ``(done, total)`` in bytes, or
True for tqdm.
"""

__version__ = "0.1.0"
TYPE_CHECKING = False  # not from typing, whose import takes longer than all of this

if TYPE_CHECKING:
    from ._api import *
else:

    def __getattr__(name):
        """Loads all names when the first one is used: an import alone takes a millisecond."""
        if name.startswith("_") and name != "__all__":  # modules of the package, while they are imported
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import _api

        globals().update({public: getattr(_api, public) for public in _api.__all__}, __all__=_api.__all__)
        if name not in globals():
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals()[name]

    def __dir__():
        from . import _api

        return sorted({*globals(), *_api.__all__})
