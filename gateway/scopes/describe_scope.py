"""One plain sentence for each scope, for the pages that a person reads (SC-25, SC-30).

The reader is the user who has signed in. The sentences say "you" and never "the user"; "your" records are those of a
patient who reads about their own record.
"""

from collections.abc import Sequence
from typing import assert_never

from gateway.languages.language import ENGLISH, Language, gettext_noop
from gateway.scopes.constraint_value_syntax import split_alternatives
from gateway.scopes.describe_constraint import AND, describe_constraints
from gateway.scopes.labels import phrase_for_category, phrase_for_type
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

_VERBS = {
    Letter.CREATE: gettext_noop("add"),
    Letter.READ: gettext_noop("read"),
    Letter.UPDATE: gettext_noop("change"),
    Letter.DELETE: gettext_noop("delete"),
    Letter.SEARCH: gettext_noop("search"),
}
_CONTEXT_LIMITS = {
    Context.PATIENT: "",
    Context.USER: gettext_noop(", limited to what you are allowed"),
    Context.SYSTEM: gettext_noop(", limited to what this app is allowed by itself"),
}
_IDENTITY_SENTENCES = {
    "openid": gettext_noop("Know who you are: the account with which you have signed in."),
    "fhirUser": gettext_noop("Know which record on this server is your own."),
    "profile": gettext_noop("Know which record on this server is your own."),
}
_REFRESH_SENTENCES = {
    "offline_access": gettext_noop("Keep access while you are not signed in, until you end it."),
    "online_access": gettext_noop("Keep access for as long as you are signed in."),
}
# The launch contexts whose names are not people's words.
_LAUNCH_WORDS = {
    "diagnosticreport": gettext_noop("report"),
    "documentreference": gettext_noop("document"),
    "encounter": gettext_noop("visit"),
    "episodeofcare": gettext_noop("course of treatment"),
    "imagingstudy": gettext_noop("study with images"),
    "medicationrequest": gettext_noop("prescription"),
    "patient": gettext_noop("patient"),
    "practitioner": gettext_noop("doctor, nurse or other member of staff"),
    "questionnaireresponse": gettext_noop("answered questionnaire"),
    "relatedperson": gettext_noop("relative or friend"),
    "servicerequest": gettext_noop("order or referral"),
}
_AND_ALSO = gettext_noop("%(words)s and also %(last)s")
_NOW_AND_IN_FUTURE = gettext_noop(", now and in future")


def describe_scope(scope: Scope, language: Language = ENGLISH, *, is_own_record: bool = False) -> str:
    """Describe a scope in a sentence with a capital letter and a full stop.

    `is_own_record`: the patient of the record is who reads the sentence.
    """
    match scope:
        case ResourceScope():
            return _describe_resource_scope(scope, is_own_record, language)
        case LaunchScope(None):
            return language.gettext("Know what is open in the health record from which the app is started.")
        case LaunchScope("patient", None) if is_own_record:
            return language.gettext("Know that the record it opens is yours.")
        case LaunchScope(resource_type, role):
            word = _LAUNCH_WORDS.get(resource_type or "")
            record = resource_type if word is None else language.gettext(word)
            if not role:
                return language.gettext("Know which %(record)s is chosen when the app starts.", record=record)
            sentence = gettext_noop("Know which %(record)s is chosen when the app starts in the role %(role)s.")
            return language.gettext(sentence, record=record, role=role)
        case IdentityScope(name):
            return language.gettext(_IDENTITY_SENTENCES[name])
        case RefreshScope(name):
            return language.gettext(_REFRESH_SENTENCES[name])
        case ExtensionScope(name):
            return language.gettext("Use the permission that this server calls %(name)s.", name=name)
    assert_never(scope)


def describe_scopes(scopes: Sequence[Scope], language: Language = ENGLISH, *, is_own_record: bool = False) -> str:
    """One sentence for several scopes that are listed below it: extensions, or scopes with one context and letters."""
    count, scope = len(scopes), scopes[0]
    if not isinstance(scope, ResourceScope):
        return language.gettext("Use the %(count)s permissions of this server that the lines below name.", count=count)
    records = language.gettext("records that any of the %(count)s lines below describes", count=count)
    return _sentence(scope, _with_owner(scope, records, is_own_record, language), language)


def _sentence(scope: ResourceScope, records: str, language: Language) -> str:
    """What the scope permits to do with the records."""
    verbs = language.join([language.gettext(_VERBS[letter]) for letter in Letter if letter in scope.letters], AND)
    limit = _CONTEXT_LIMITS[scope.context]
    limit = language.gettext(limit) if limit else ""
    sentence = language.gettext("%(verbs)s %(records)s%(limit)s.", verbs=verbs, records=records, limit=limit)
    return sentence[:1].upper() + sentence[1:]


def _with_owner(scope: ResourceScope, records: str, is_own_record: bool, language: Language) -> str:
    if scope.context is not Context.PATIENT:
        return records
    owned = gettext_noop("your %(records)s") if is_own_record else gettext_noop("the patient's %(records)s")
    return language.gettext(owned, records=records)


def _describe_resource_scope(scope: ResourceScope, is_own_record: bool, language: Language) -> str:
    phrases, constraints = _describe_records(scope, language)
    if phrases:
        records = _with_owner(scope, _join_phrases(phrases, language), is_own_record, language)
        future = ""
    else:
        records, future = _describe_everything(scope, is_own_record, language), language.gettext(_NOW_AND_IN_FUTURE)
    condition = describe_constraints(constraints, language) if constraints else ""
    return _sentence(scope, f"{records}{condition}{future}", language)


def _describe_everything(scope: ResourceScope, is_own_record: bool, language: Language) -> str:
    """The records of a wildcard (SC-30)."""
    if scope.context is not Context.PATIENT:
        return language.gettext("all kinds of records")
    if is_own_record:
        return language.gettext("all kinds of your records")
    return language.gettext("all kinds of the patient's records")


def _describe_records(scope: ResourceScope, language: Language) -> tuple[list[str], list[Constraint]]:
    """The kinds of records, none for all kinds, and the constraints that they do not express."""
    expressing = "category" if scope.resource_type != ANY_TYPE else "_type"
    named = [constraint for constraint in scope.constraints if constraint.name == expressing]
    others = [constraint for constraint in scope.constraints if constraint.name != expressing]
    if scope.resource_type != ANY_TYPE:
        phrases = _category_phrases(scope.resource_type, named, language)
        if phrases:
            return phrases, others
        return [phrase_for_type(scope.resource_type, language)], list(scope.constraints)
    if len(named) == 1 and named[0].modifier is None:
        return [phrase_for_type(name, language) for name in split_alternatives(named[0].value)], others
    return [], list(scope.constraints)


def _category_phrases(resource_type: str, constraints: Sequence[Constraint], language: Language) -> list[str]:
    """The words for the alternatives of one category constraint; empty unless all of them have words."""
    if len(constraints) != 1 or constraints[0].modifier is not None:
        return []
    tokens = split_alternatives(constraints[0].value)
    phrases = [phrase_for_category(resource_type, token, language) for token in tokens]
    known = [phrase for phrase in phrases if phrase is not None]
    return known if len(known) == len(phrases) else []


def _join_phrases(phrases: Sequence[str], language: Language) -> str:
    """Phrases as a list. A phrase may have an "and" of its own."""
    unique = list(dict.fromkeys(phrases))
    conjunction = language.gettext(AND, words="", last="")
    return language.join(unique, _AND_ALSO if any(conjunction in phrase for phrase in unique) else AND)
