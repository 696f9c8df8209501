"""What a token lacks: the refusals that say so, and which of the types asked for remain."""

from gateway.policy.decision import Deny
from gateway.policy.grant import Grant
from gateway.policy.reasons import Reason
from gateway.scopes.model import Context, Letter


def lacking(grant: Grant, resource_type: str, letter: Letter) -> Deny:
    """The refusal of a request for which the token has no unit, with the scope that would help, if one would."""
    reason = grant.lack(resource_type, letter)
    context = grant.scopes[0].context if grant.scopes else Context.PATIENT
    scope = f"{context}/{resource_type}.{letter}" if reason is Reason.SCOPE_INSUFFICIENT else ""
    return Deny(reason, offender=resource_type, scope=scope)


def types_to_search(asked: tuple[str, ...], grant: Grant) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the types asked for (none: all), those within reach, and a note for each that is left out."""
    if grant.unlimited:
        return asked, ()
    if not asked:
        return tuple(sorted(grant.searchable_types)), ()
    within = tuple(name for name in asked if grant.find(name))
    return within, tuple(f"_type={name}" for name in asked if name not in within)


def no_type_left(asked: tuple[str, ...], grant: Grant) -> Deny:
    """The refusal where none of the types asked for (none: all) is within reach."""
    return lacking(grant, asked[0], Letter.SEARCH) if asked else Deny(Reason.SCOPE_INSUFFICIENT)
