"""Lock three for the files of a bulk export: every line is one resource, which is kept only if it may be exported.

Lines that are kept leave as the bytes that came. A block of lines is read at once, and only as far as the decision
needs; a block about which that is not certain is read line by line.
"""

from itertools import compress
from typing import Any

import msgspec

from gateway.fhir.resources.resource import (
    MalformedResourceError,
    Members,
    check_utf8,
    decode_member,
    decode_members,
    may_hold_resources,
    read_resource,
    read_type_and_id,
    remove_white_space,
)
from gateway.policy.judgement.judge_resource import is_withheld
from gateway.policy.judgement.nested_resources import has_only_visible_nested
from gateway.policy.judgement.verdict import UNREADABLE
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.permission import Permission

# These types hold complete resources, each of which is judged by itself (leak_20).
_CONTAINER_TYPES = frozenset({"Bundle", "Parameters"})
_TYPE_NAME = b'"resourceType"'
_ABSENT: Any = msgspec.Raw()
# Blocks that could not be kept as a whole. After so many of a file the quickest way is not tried any more.
_MAX_MISSES = 8
_MEMBERS = msgspec.json.Decoder(Members)
_ENCODER = msgspec.json.Encoder()
_MAX_VERDICTS = 1024
# In bytes.
_MAX_VERDICT_KEY = 1024


class LineJudge:
    """Judges the lines of one file, whose resources all have the type that the manifest says."""

    def __init__(self, permission: Permission, grant: Grant) -> None:
        """`permission` is the one to export the type. `grant` judges what a Bundle or Parameters hold."""
        self._permission = permission
        self._grant = grant
        self._raw_type = f'"{permission.resource_type}"'.encode()
        names = permission.deciding_elements
        fields = [(f"element_{index}", msgspec.Raw, _ABSENT) for index in range(len(names))]
        struct = msgspec.defstruct(
            "DecidingElements",
            fields,
            gc=False,
            omit_defaults=True,
            rename={field: name for (field, _, _), name in zip(fields, names, strict=True)},
        )
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(struct)
        self._is_container = permission.resource_type in _CONTAINER_TYPES
        self._quoted_names = [f'"{name}"'.encode() for name in names if name != "resourceType"]
        self._verdicts: dict[bytes, bool] = {}
        self._misses = 0
        self.kept = 0
        self.dropped: dict[str, int] = {}
        self.withheld: dict[str, int] = {}

    def judge(self, block: bytes) -> bytes:
        """The permitted lines of a block of complete lines, the last of which may lack its line feed."""
        if not self._is_container and _is_utf8(block):
            if self._misses < _MAX_MISSES:
                texts = self._read_deciding_elements(block)
                if texts is not None and all(map(self._permits_text, set(texts))):
                    self.kept += len(texts)
                    return block
                self._misses += 1
            kept = self._judge_members(block)
            if kept is not None:
                return kept
        return b"".join([self._judge_line(line) for line in block.splitlines(keepends=True)])

    def _read_deciding_elements(self, block: bytes) -> list[bytes] | None:
        """The deciding elements of each resource as one JSON text; None if the block may have another meaning.

        A member twice, a nested resource, and a name with escapes are excluded by counting the names: as often as they
        are in the block they are in what was read. Whether lines end where resources end does not matter here, since
        the block is kept only as a whole.
        """
        if b"\\" in block and b"\\u00" in block:
            return None
        try:
            resources = self._decoder.decode_lines(block)
        except (msgspec.MsgspecError, RecursionError):
            return None
        if block.count(_TYPE_NAME) != len(resources):
            return None
        text = _ENCODER.encode_lines(resources)
        if any(block.count(name) != text.count(name) for name in self._quoted_names):
            return None
        return text.split(b"\n")[:-1]

    def _permits_text(self, text: bytes) -> bool:
        """Whether a resource with these deciding elements is permitted."""
        is_permitted = self._verdicts.get(text)
        if is_permitted is None:
            try:
                is_permitted = self._permission.permits(decode_member(msgspec.Raw(text)))
            except MalformedResourceError:
                is_permitted = False
            self._remember(text, is_permitted=is_permitted)
        return is_permitted

    def _judge_members(self, block: bytes) -> bytes | None:
        """The permitted resources of the block, encoded from what was judged; None if it is not plain enough.

        Encoding removes duplicate members and white space, so the same text means that there were none.
        """
        try:
            resources = _MEMBERS.decode_lines(block)
        except (msgspec.MsgspecError, RecursionError):
            return None
        text = _ENCODER.encode_lines(resources)
        if text != block or may_hold_resources(block, len(resources)):
            return None
        try:
            verdicts = [self._permits_members(members) for members in resources]
        except MalformedResourceError:
            return None
        if all(verdicts):
            self.kept += len(resources)
            return text
        kept = list(compress(resources, verdicts))
        self.kept += len(kept)
        for members, is_permitted in zip(resources, verdicts, strict=True):
            if not is_permitted:
                self._drop_resource(members)
        return _ENCODER.encode_lines(kept)

    def _judge_line(self, line: bytes) -> bytes:
        """The line, with a line feed, if it is permitted; else nothing. Lines of white space are left out."""
        if line.isspace():
            return b""
        try:
            check_utf8(line)
            members, text = read_resource(remove_white_space(line))
            is_permitted = self._permits_members(members)
        except MalformedResourceError:
            self._drop(UNREADABLE)
            return b""
        if not is_permitted:
            self._drop_resource(members)
            return b""
        self.kept += 1
        return text + b"\n"

    def _permits_members(self, members: Members) -> bool:
        if bytes(members.get("resourceType", b"")) != self._raw_type:
            return False
        permission = self._permission
        key = b",".join([members.get(name, _ABSENT) for name in permission.deciding_elements])
        is_permitted = self._verdicts.get(key)
        if is_permitted is None:
            is_permitted = permission.permits(decode_members(members, permission.elements))
            self._remember(key, is_permitted=is_permitted)
        return is_permitted and (not self._is_container or has_only_visible_nested(members, self._grant))

    def _remember(self, key: bytes, *, is_permitted: bool) -> None:
        """Keys of the two ways to read differ: one is an object, the other has commas between values."""
        if len(key) <= _MAX_VERDICT_KEY:
            if len(self._verdicts) >= _MAX_VERDICTS:
                self._verdicts.clear()
            self._verdicts[key] = is_permitted

    def drop_unreadable(self) -> None:
        """Count a line that is not even read."""
        self._drop(UNREADABLE)

    def _drop_resource(self, members: Members) -> None:
        type_and_id = read_type_and_id(members)
        resource_type = UNREADABLE if type_and_id is None else type_and_id[0]
        if resource_type == self._permission.resource_type and self._is_withheld(members):
            self.withheld[resource_type] = self.withheld.get(resource_type, 0) + 1
        self._drop(resource_type)

    def _is_withheld(self, members: Members) -> bool:
        """Whether only a record rule hides the resource; False if that cannot be read."""
        try:
            return is_withheld(members, self._permission)
        except MalformedResourceError:
            return False

    def _drop(self, resource_type: str) -> None:
        self.dropped[resource_type] = self.dropped.get(resource_type, 0) + 1


def _is_utf8(block: bytes) -> bool:
    try:
        check_utf8(block)
    except MalformedResourceError:
        return False
    return True
