"""How large a text is on a page, before the page is rendered."""


def markup_size(text: str) -> int:
    """At most how many bytes the text takes in HTML, where some characters are written as references."""
    return len(text.encode("utf-8", "replace")) + 4 * sum(map(text.count, "&<>'\""))
