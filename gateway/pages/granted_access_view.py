"""The page that shows a user which apps have access: what it shows and what its forms post."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GrantedAccessRow:
    """One access that an app has now. Dates are texts, empty if unknown. `last_used` is when it last got a token.

    `sentences` say what it can do, `scopes` the same in the words of SMART. `purpose` is that for which protected
    records are shown, or empty.
    """

    grant_id: str
    since: str
    until: str
    last_used: str
    sentences: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class GrantedAccessGroup:
    """All access of one app to one patient's record, or without a patient. `warning` is as in `ConsentApp`."""

    app_name: str
    patient_name: str
    rows: tuple[GrantedAccessRow, ...]
    warning: str = ""


@dataclass(frozen=True, slots=True)
class GrantedAccessView:
    """Posts `csrf` and `grant`, or `every=yes`, to `action`, which ends that access or all.

    `csrf` is also posted to `sign_out` unless that is empty.
    """

    action: str
    csrf: str
    user_name: str
    sign_out: str
    groups: tuple[GrantedAccessGroup, ...]
    notice: str = ""
    app_gallery: str = ""
