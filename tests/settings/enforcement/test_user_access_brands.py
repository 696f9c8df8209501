"""Settings of the User-Access Brands that disagree with others."""

from pathlib import Path

import pytest

from tests.settings.configuration import LEAST, in_file, problems


@pytest.mark.requirement("UB-1")
def test_brands_that_no_discovery_names_are_refused(tmp_path: Path) -> None:
    text = f"{LEAST}user_access_brands: {{bundle: /etc/passwd}}\n"
    sentence = "user_access_brands: needs smart_server or authorization_server, so that discovery names it"
    assert problems(tmp_path, text) == [in_file(f"8: {sentence}")]
