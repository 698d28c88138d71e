"""Progress bars and tables."""

from __future__ import annotations

import html
from typing import Any, Callable, Optional, Sequence, Union

Progress = Union[None, bool, str, Callable[[int, int], None]]


def watcher(progress: Progress) -> Optional[Callable[[int, int], None]]:
    """What the extension modules call with (done, total) in bytes: None, a callback, or for True and "tqdm" a bar."""
    if progress is None or progress is False:
        return None
    if callable(progress):
        return progress
    if progress is not True and progress != "tqdm":
        raise TypeError(f"progress is {progress!r}; it may be None, a callback (done, total), True or 'tqdm'")
    from tqdm.auto import tqdm

    bar: Any = tqdm(unit="B", unit_scale=True)

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return show


def table_html(head: Sequence[str], rows: Sequence[Sequence[object]], title: str) -> str:
    """An HTML table of at most 200 rows, for notebooks."""
    shown = rows[:200]
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in shown)
    more = f"<p>and {len(rows) - len(shown)} more</p>" if len(rows) > len(shown) else ""
    return f"<p>{html.escape(title)}</p><table><tr>{''.join(f'<th>{html.escape(h)}</th>' for h in head)}</tr>{cells}</table>{more}"
