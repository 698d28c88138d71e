"""How much memory repeated work keeps."""

import gc


def resident():
    """Bytes of this process that are in memory now, mapped files left out."""
    with open("/proc/self/status") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("RssAnon:")) * 1024


def growth(run, warm_up, times):
    """Bytes that ``run(times)`` adds to what ``run(warm_up)`` has left."""
    run(warm_up)
    gc.collect()
    before = resident()
    run(times)
    gc.collect()
    return resident() - before
