# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import release
import urls

if TYPE_CHECKING:
    from pathlib import Path

BASE = urls.PACKAGES / "metlog-core"


def test_the_addresses_are_written_everywhere() -> None:
    """Every package's metadata has the addresses that tools/urls.py makes."""
    assert urls.main([]) == 0


def test_a_new_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """One constant moves all addresses, and written twice is written once."""
    monkeypatch.setattr(urls, "REPOSITORY", "https://github.com/acme/metlog")
    for folder in urls.PACKAGES.iterdir():
        for path, text in urls.current(folder):
            assert "OWNER" not in text
            assert text.count("acme/metlog") >= 3
            make = urls.javascript if path.suffix == ".json" else urls.python
            assert make(folder.name, text) == text


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("](../metlog-core)", "/tree/main/packages/metlog-core)"),
        ("](CHANGELOG.md)", "/blob/main/packages/metlog-core/CHANGELOG.md)"),
        ("](../../docs/index.md)", "/blob/main/docs/index.md)"),
        ("](../../docs/images/a.png)", "/main/docs/images/a.png)"),
        ("](https://example.org/)", "](https://example.org/)"),
        ("](#senders)", "](#senders)"),
    ],
)
def test_links_on_pypi(link: str, expected: str) -> None:
    """A README's relative links become whole ones in the metadata; others stay."""
    text = (BASE / "pyproject.toml").read_text("utf-8")
    for pattern, replacement in re.findall(
        r"^pattern = '(.+)'\nreplacement = '(.+)'$", text, re.MULTILINE
    ):
        link = re.sub(pattern, replacement, link)

    assert link.endswith(expected)
    assert link.startswith(("](https://", "](#"))


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("v1.0", "expected a tag <package>-v<version>"),
        ("metlog-core-v99", "expected version 99 in metlog-core"),
        (f"metlog-core-v{release.version(BASE)}", "metlog-core"),
    ],
)
def test_a_release_that_cannot_be(
    tag: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tag that is not true is refused, with what was expected."""
    assert release.main(tag) == 1
    assert why in capsys.readouterr().err


def test_a_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version, changelog and address are true: the package's name goes on."""
    folder = tmp_path / "metlog-core"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('version = "1.2.0"\n')
    (folder / "CHANGELOG.md").write_text("## 1.2.0 - 2027-01-01\n")
    monkeypatch.setattr(release, "PACKAGES", tmp_path)
    monkeypatch.setattr(release, "IS_PLACEHOLDER", False)

    assert release.main("metlog-core-v1.2.0") == 0
