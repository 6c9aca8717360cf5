from pathlib import Path

import pytest

from stateguard.config.resources import shipped
from stateguard.errors import NotFoundError


def test_the_wheel_comes_before_the_checkout(tmp_path: Path) -> None:
    package = tmp_path / "stateguard"
    (tmp_path / "hooks").mkdir()
    assert shipped("hooks", package) == tmp_path / "hooks"
    (package / "_shipped" / "hooks").mkdir(parents=True)
    assert shipped("hooks", package) == package / "_shipped" / "hooks"


def test_what_is_nowhere_is_told_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        shipped("hooks", tmp_path / "stateguard")
    assert str(tmp_path / "stateguard" / "_shipped" / "hooks") in caught.value.message
    assert str(tmp_path / "hooks") in caught.value.message


def test_this_checkout_has_the_example() -> None:
    assert (shipped("example-state") / "stateguard.yaml").is_file()
