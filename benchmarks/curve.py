"""README's picture of the dial on three tasks, with the other methods' points: from docs/results/zeroshot.json."""

import json

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from results import RESULTS, ROOT
from zeroshot_problems import TASKS

TITLES = {"sr": "super-resolution ×4 (box)", "inpainting": "50 % inpainting", "blur": "anisotropic blur"}
PATHS = {"interpolate": "o-", "renoise": "s--"}
PEERS = {"total variation": "v", "paper": "P", "dps": "D", "diffpir": "^"}  # filled: at their best PSNR
BUDGETS = {"paper": ("paper 100", "paper 400")}  # the better one is shown


def main() -> None:
    rows = {r["id"]: r for r in json.loads((RESULTS / "zeroshot.json").read_text())["rows"]}
    figure, panels = plt.subplots(1, len(TASKS), figsize=(12, 3.8), layout="constrained")
    for panel, task in zip(panels, TASKS, strict=True):

        def point(name: str, task: str = task) -> tuple[float, float]:
            row = rows[f"zeroshot.fair.{task}.{name.replace(' ', '_')}"]
            return row["against"]["PSNR, dB"], row["value"]

        for path, style in PATHS.items():
            line = [point("fast"), *(point(f"{path} {f}") for f in (0.25, 0.5, 0.75)), point("dial 1")]
            panel.plot(*zip(*line, strict=True), style, label=f"dial 0 to 1, {path}", markersize=5)
        for name, marker in PEERS.items():
            style = {"color": "0.35", "markersize": 7, "linestyle": "none"}
            budgets = BUDGETS.get(name, (name,))
            closest = max(point(f"{n} psnr") for n in budgets)
            realest = min((point(f"{n} sliced") for n in budgets), key=lambda at: at[1])
            panel.plot(*closest, marker, label=f"{name}, for PSNR", **style)
            panel.plot(*realest, marker, label=f"{name}, for looks", fillstyle="none", **style)
        panel.plot(*point("mean of 8 dps"), "X", color="0.35", label="mean of 8 dps", markersize=7, linestyle="none")
        panel.annotate("0", point("fast"), textcoords="offset points", xytext=(6, 4))
        panel.annotate("1", point("dial 1"), textcoords="offset points", xytext=(6, 4))
        panel.set_title(TITLES[task], fontsize=10)
        panel.set_xlabel("PSNR, dB (more is closer)")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("sliced W2 of patches (less looks real)")
    panels[-1].legend(fontsize=6)
    figure.savefig(ROOT / "docs" / "curve.png", dpi=80)


if __name__ == "__main__":
    main()
