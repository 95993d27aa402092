"""cli.help: how long `veriscale --help` takes, and that it does not import torch."""

import statistics
import subprocess
import sys
import time

from results import Row, write_results

CODE = "import sys; from veriscale.cli.main import run; run(['--help']); sys.exit(3 * ('torch' in sys.modules))"


def main() -> None:
    begun = time.monotonic()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "veriscale", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    torch_imported = subprocess.run([sys.executable, "-c", CODE], capture_output=True).returncode == 3
    rows = [
        Row("cli.help", "veriscale --help, median of 7", statistics.median(times), "s", bar="< 0.5"),
        Row("cli.help.torch", "1 if it imports torch", int(torch_imported), bar="<= 0"),
    ]
    write_results("cli_help", rows, "A process each, files in the cache.", time.monotonic() - begun)
    print(rows)


if __name__ == "__main__":
    main()
