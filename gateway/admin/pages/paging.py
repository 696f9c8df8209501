"""Long lists on admin pages: links to the next page and back to the first."""

from gateway.admin.pages.visit import Visit, address
from gateway.pages.admin.parts import Cell, Table


def paged_table(
    visit: Visit,
    caption: str,
    columns: tuple[str, ...],
    rows: tuple[tuple[Cell, ...], ...],
    next_after: str,
    empty: str,
) -> Table:
    """The table of one page. `next_after` is where the next page starts; `empty` says what to do on an empty one."""
    path, query = visit.request.url.path, dict(visit.request.query_params)
    rest = {name: value for name, value in query.items() if name != "after"}
    return Table(
        caption,
        columns,
        rows,
        empty,
        next_page=address(path, **rest, after=next_after) if next_after else "",
        first_page=address(path, **rest) if query.get("after") else "",
    )
