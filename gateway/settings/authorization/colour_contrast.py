"""The contrast between two colours (WCAG 2.2, relative luminance and contrast ratio)."""


def contrast_ratio(colour: str, other: str) -> float:
    """From 1, for the same colour, to 21. A colour is `#` and six hexadecimal digits."""
    lighter, darker = sorted((_luminance(colour), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
