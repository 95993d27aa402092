"""README's numbers are those of docs/results."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_readme_agrees_with_the_results():
    done = subprocess.run([sys.executable, "benchmarks/table.py", "--check"], cwd=ROOT)
    assert done.returncode == 0, "run make results-table"


def test_every_row_is_whole():
    for path in (ROOT / "docs" / "results").glob("*.json"):
        content = json.loads(path.read_text())
        assert {"benchmark", "commit", "machine", "seconds", "rows", "notes"} <= set(content)
        assert content["benchmark"] == path.stem
        assert not content["commit"].endswith("-dirty"), path
        for row in content["rows"]:
            assert ("bar" in row) == ("holds" in row)
