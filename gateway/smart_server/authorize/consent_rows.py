"""The rows of the consent page: which scopes each asks about, and the narrower parts that it offers.

A request chooses how many scopes there are and how long, but a page has bounds. Rows beyond `MAX_ROWS` are put together
by what they permit to do: one question, which names each of its scopes. Parts are offered as long as there is room, to
the broadest scopes first.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway.pages.markup_size import markup_size
from gateway.pages.views import ScopePart, ScopeRow
from gateway.scopes.algebra import intersect
from gateway.scopes.describe_scope import describe_scope, describe_scopes
from gateway.scopes.format_scopes import format_scope, format_scopes
from gateway.scopes.labels import CATEGORY_LABELS, TYPE_LABELS
from gateway.scopes.model import (
    ANY_TYPE,
    Constraint,
    Context,
    ExtensionScope,
    IdentityScope,
    LaunchScope,
    Letter,
    RefreshScope,
    ResourceScope,
    Scope,
)
from gateway.smart_server.page_language import current_language, gettext

MAX_ROWS = 60
"""Of resource scopes and extensions together."""
# In bytes of the page: what all parts may take, and what one of them takes beside its texts.
_PARTS_ROOM = 60_000
_PART_BYTES = 380
_WRITE_LETTERS = frozenset({Letter.CREATE, Letter.UPDATE, Letter.DELETE})


def group_scopes(offered: Iterable[Scope]) -> tuple[tuple[Scope, ...], ...]:
    """The scopes that each row asks about, in order. The fields of a posted form count these rows."""
    scopes = tuple(offered)
    if sum(isinstance(scope, ResourceScope | ExtensionScope) for scope in scopes) <= MAX_ROWS:
        return tuple((scope,) for scope in scopes)
    groups: dict[object, list[Scope]] = {}
    for scope in scopes:
        groups.setdefault(_group_key(scope), []).append(scope)
    return tuple(map(tuple, groups.values()))


def _group_key(scope: Scope) -> object:
    match scope:
        case ResourceScope():
            return scope.context, scope.letters
        case ExtensionScope():
            return ExtensionScope
        case _:
            return scope


def scope_rows(offered: Iterable[Scope], *, is_own_record: bool = False) -> tuple[ScopeRow, ...]:
    """The rows, in the order of the request. `is_own_record`: the patient of the record is who reads them."""
    groups = group_scopes(offered)
    parts = _parts_by_scope(scopes[0] for scopes in groups if len(scopes) == 1)
    return tuple(
        _scope_row(index, scopes, parts.get(scopes[0], ()), is_own_record) for index, scopes in enumerate(groups)
    )


def _scope_row(index: int, scopes: tuple[Scope, ...], parts: tuple[ScopePart, ...], is_own_record: bool) -> ScopeRow:
    """One row. Launch and identity scopes are statements."""
    scope = scopes[0]
    is_sensitive = isinstance(scope, RefreshScope) or (
        isinstance(scope, ResourceScope) and (bool(scope.letters & _WRITE_LETTERS) or scope.context is Context.USER)
    )
    if len(scopes) > 1:
        members = tuple(
            ScopePart(str(number), describe_scope(member, current_language(), is_own_record=is_own_record))
            for number, member in enumerate(scopes)
        )
        sentence = describe_scopes(scopes, current_language(), is_own_record=is_own_record)
        return ScopeRow(index, sentence, format_scopes(scopes), members, sensitive=is_sensitive, is_group=True)
    is_optional = not isinstance(scope, LaunchScope | IdentityScope)
    sentence = describe_scope(scope, current_language(), is_own_record=is_own_record)
    return ScopeRow(index, sentence, format_scope(scope), parts, sensitive=is_sensitive, optional=is_optional)


def _parts_by_scope(scopes: Iterable[Scope]) -> dict[Scope, tuple[ScopePart, ...]]:
    """The narrower scopes that a user may choose instead of each of these scopes, where there is room for them."""
    resource_scopes = [scope for scope in scopes if isinstance(scope, ResourceScope)]
    room = _PARTS_ROOM
    parts_by_scope: dict[Scope, tuple[ScopePart, ...]] = {}
    for scope in sorted(resource_scopes, key=lambda scope: (len(scope.constraints), scope.resource_type != ANY_TYPE)):
        parts = tuple(_scope_parts(scope))
        room -= sum(map(_part_size, parts))
        if room < 0:
            break
        parts_by_scope[scope] = parts
    return parts_by_scope


def _part_size(part: ScopePart) -> int:
    """About how many bytes a part takes on the page."""
    return _PART_BYTES + markup_size(part.value) + markup_size(part.label) + sum(map(_part_size, part.parts))


def _scope_parts(scope: ResourceScope) -> Iterator[ScopePart]:
    if scope.resource_type != ANY_TYPE:
        yield from _category_parts(scope)
        return
    for resource_type, label in TYPE_LABELS.items():
        part = intersect(scope, ResourceScope(scope.context, resource_type, scope.letters))
        if part is not None:
            yield ScopePart(format_scope(part), gettext(label), tuple(_category_parts(part)))


def _category_parts(scope: ResourceScope) -> Iterator[ScopePart]:
    if any(constraint.name == "category" for constraint in scope.constraints):
        return
    for category, label in CATEGORY_LABELS.get(scope.resource_type, {}).items():
        part = replace(scope, constraints=(*scope.constraints, Constraint("category", None, category)), is_v1=False)
        yield ScopePart(format_scope(part), gettext(label))
