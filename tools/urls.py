# SPDX-License-Identifier: MPL-2.0
"""The project's address: the one place to change it, and all files that contain it.

PyPI and npm show URLs that each package's metadata has to spell out. Change REPOSITORY
here, then run ``python tools/urls.py --write``; `make check` fails while any of the
files disagrees.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

REPOSITORY = "https://github.com/OWNER/metlog"
"""A placeholder until the project has a home; until then releases are refused."""

PACKAGES = Path(__file__).resolve().parent.parent / "packages"
IS_PLACEHOLDER = "OWNER" in REPOSITORY


def main(arguments: list[str]) -> int:
    stale = [
        (path, text)
        for folder in sorted(PACKAGES.iterdir())
        for path, text in current(folder)
        if path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if "--write" in arguments:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path}")
        else:
            print(
                f"{path}: expected the addresses of {REPOSITORY}; "
                "run python tools/urls.py --write"
            )
    return int(bool(stale) and "--write" not in arguments)


def current(folder: Path) -> list[tuple[Path, str]]:
    """Return each file of the package that has URLs, as it should be."""
    manifest, project = folder / "package.json", folder / "pyproject.toml"
    if manifest.exists():
        return [(manifest, javascript(folder.name, manifest.read_text("utf-8")))]
    if project.exists():
        return [(project, python(folder.name, project.read_text("utf-8")))]
    return []


def python(package: str, text: str) -> str:
    home = f"{REPOSITORY}/blob/main"
    urls = f"""[project.urls]
Documentation = "{home}/docs/index.md"
Source = "{REPOSITORY}/tree/main/packages/{package}"
Changelog = "{home}/packages/{package}/CHANGELOG.md"
Issues = "{REPOSITORY}/issues"
"""
    # PyPI shows only the README, so its links have to be absolute.
    readme = f"""[tool.hatch.metadata.hooks.fancy-pypi-readme]
content-type = "text/markdown"
fragments = [{{ path = "README.md" }}]

[[tool.hatch.metadata.hooks.fancy-pypi-readme.substitutions]]
pattern = '\\]\\(\\.\\./\\.\\./(docs/images/[^)]+)\\)'
replacement = '](https://raw.githubusercontent.com{REPOSITORY[18:]}/main/\\1)'

[[tool.hatch.metadata.hooks.fancy-pypi-readme.substitutions]]
pattern = '\\]\\(\\.\\./\\.\\./([^)]+)\\)'
replacement = ']({home}/\\1)'

[[tool.hatch.metadata.hooks.fancy-pypi-readme.substitutions]]
pattern = '\\]\\(\\.\\./([^)]+)\\)'
replacement = ']({REPOSITORY}/tree/main/packages/\\1)'

[[tool.hatch.metadata.hooks.fancy-pypi-readme.substitutions]]
pattern = '\\]\\((?![a-z]+:|#|/)([^)]+)\\)'
replacement = ']({home}/packages/{package}/\\1)'
"""
    text = section(text, "[project.urls]", urls, before="[project.optional-")
    return section(
        text,
        "[tool.hatch.metadata.hooks.fancy-pypi-readme]",
        readme,
        before="[tool.hatch.build.targets.sdist]",
    )


def section(text: str, heading: str, wanted: str, before: str) -> str:
    """Return the text with that section and all similar ones after it replaced."""
    begin = text.find(heading)
    end = text.index(before)
    kept = text[: begin if begin >= 0 else end]
    return f"{kept}{wanted}\n{text[end:]}"


def javascript(package: str, text: str) -> str:
    found = json.loads(text)
    found["homepage"] = f"{REPOSITORY}/tree/main/packages/{package}#readme"
    found["bugs"] = f"{REPOSITORY}/issues"
    found["repository"] = {
        "type": "git",
        "url": f"git+{REPOSITORY}.git",
        "directory": f"packages/{package}",
    }
    lines = "".join(
        f'  "{name}": {json.dumps(found[name])},\n'
        for name in ("homepage", "bugs", "repository")
    )
    text = re.sub(r'  "(homepage|bugs|repository)": .*\n', "", text)
    return re.sub(r'(  "license": .*\n)', rf"\1{lines}", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
