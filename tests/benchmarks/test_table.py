"""README's numbers and those of docs/results.md are those of docs/results."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_pages_agree_with_the_results():
    done = subprocess.run([sys.executable, "benchmarks/table.py", "--check"], cwd=ROOT)
    assert done.returncode == 0, "run make results-table"


def rows(page):
    table = re.search("<!-- results -->(.*)<!-- /results -->", (ROOT / page).read_text(), re.DOTALL)[1]
    return [line for line in table.splitlines() if re.match(r"\| (?!measured|---)", line)]


def fallen():
    """Every row of docs/results that does not hold."""
    files = [json.loads(path.read_text()) for path in (ROOT / "docs" / "results").glob("*.json")]
    return [row for file in files for row in file["rows"] if row.get("holds") is False]


def family_of(row):
    return re.sub(r"[._](0\.)?[^._]*$", "", row["id"])


def test_readme_is_short_and_hides_nothing():
    readme, every = rows("README.md"), rows("docs/results.md")
    assert 0 < len(readme) <= 12
    assert set(readme) <= set(every)
    lines = (ROOT / "README.md").read_text().partition("What falls short:")[2].splitlines()
    for row in fallen():
        if not row["id"].startswith("house."):
            family = [other for other in fallen() if family_of(other) == family_of(row) and other["bar"] == row["bar"]]
            (line,) = (x for x in lines if any(x.startswith(f"- {other['what']}: ") for other in family))
            assert f"wanted {row['bar']}" in line
            assert all(f" {other['value']:.4g}" in line for other in family)


def test_everything_that_falls_short_is_on_the_page_of_all():
    every = rows("docs/results.md")
    assert all(any(row.startswith(f"| {r['what']} |") for row in every) for r in fallen())


def test_every_row_is_whole():
    for path in (ROOT / "docs" / "results").glob("*.json"):
        content = json.loads(path.read_text())
        assert {"benchmark", "commit", "machine", "seconds", "rows", "notes"} <= set(content)
        assert content["benchmark"] == path.stem
        assert not content["commit"].endswith("-dirty"), path
        for row in content["rows"]:
            assert ("bar" in row) == ("holds" in row)
