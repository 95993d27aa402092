"""zeroshot.tuning.*: every method's settings, chosen on validation photographs at 100 steps at most."""

import time
from itertools import product

from results import Row, write_results
from veriscale.traversal.splitting import STEPS
from veriscale.traversal.start import full_level
from veriscale.workflows.opening import load_prior
from zeroshot_problems import NOISE, NONLINEAR, TASKS, Methods, crops, perception, problem, psnr

COUNT = 6
RATES, SIGMAS, FACTORS = (0.03, 0.1), (0.06, 0.12), (0.3, 1.0, 3.0)
WEIGHTS = (0.003, 0.006, 0.01, 0.015, 0.02, 0.03, 0.05)
ZETAS = (0.3, 1.0, 3.0, 10.0)
STARTS = (1.0, 4.0)
SCALES, FRESH = (0.1, 0.3, 1.0), (0.0, 0.3)
SAMPLERS = ("dpm-solver++", "ancestral")
DRAW_STARTS = (0.25, 0.5, 1.0, 2.0)


def main() -> None:
    begun = time.monotonic()
    print("about 12 minutes", flush=True)
    prior = load_prior("photo")
    run = Methods(prior)
    x = crops("validation", COUNT)
    rows = []

    def keep(task: str, method: str, found: dict[str, float], score: float, unit: str) -> None:
        print(f"{time.monotonic() - begun:.0f} s {task} {method}: {found} {score:.3f} {unit}", flush=True)
        for key, value in found.items():
            rows.append(Row(f"zeroshot.tuning.{method}.{task}.{key}", f"{method}, {task}: {key}", value))
        rows.append(Row(f"zeroshot.tuning.{method}.{task}.score", f"{method}, {task}: best on validation", score, unit))

    for task, text in TASKS.items():
        data = problem(x, text)
        anchor = run.fast(data)
        keep(task, "fast", {"steps": STEPS}, float(psnr(anchor, x).mean()), "dB")

        scored = {w: float(psnr(run.total_variation(data, w), x).mean()) for w in WEIGHTS}
        best = max(scored, key=scored.get)
        keep(task, "total_variation", {"weight": best}, scored[best], "dB")

        scored = {
            (r, s, 1.0): float(psnr(run.paper(data, 100, r, s, 1.0), x).mean()) for r, s in product(RATES, SIGMAS)
        }
        r, s, _ = max(scored, key=scored.get)
        scored |= {(r, s, f): float(psnr(run.paper(data, 100, r, s, f), x).mean()) for f in FACTORS if f != 1}
        r, s, f = max(scored, key=scored.get)
        keep(task, "paper", {"rate": r, "sigma": s, "factor": f}, scored[r, s, f], "dB")

        scored = {}
        for zeta in ZETAS:
            scored[zeta, STARTS[0]] = float(psnr(run.dps(data, anchor, 100, zeta, STARTS[0]), x).mean())
        zeta, _ = max(scored, key=scored.get)
        scored[zeta, STARTS[1]] = float(psnr(run.dps(data, anchor, 100, zeta, STARTS[1]), x).mean())
        zeta, start = max(scored, key=scored.get)
        keep(task, "dps", {"zeta": zeta, "start": start}, scored[zeta, start], "dB")

        # The two below can be had at any trade of distortion for looks; the look is what a draw is for.
        scored = {}
        for scale, fresh in product(SCALES, FRESH):
            draw = run.diffpir(data, anchor, 100, scale, fresh, full_level(data.operator, tuple(data.y.shape[1:])))
            scored[scale, fresh] = float(perception(draw, x)[0].mean())
        scale, fresh = min(scored, key=scored.get)
        keep(task, "diffpir", {"scale": scale, "fresh": fresh}, scored[scale, fresh], "sliced W2")

        for sampler, sigma_0 in product(SAMPLERS, DRAW_STARTS):
            draw = run.proximal(data, anchor, 20, sampler, sigma_0)
            score, look = float(psnr(draw, x).mean()), perception(draw, x)
            print(
                f"   proximal {sampler} {sigma_0}: {score:.2f} dB, {look[0].mean():.2f}, {look[1].mean():.3f}",
                flush=True,
            )
            for unit, value in (
                ("dB", score),
                ("sliced W2", float(look[0].mean())),
                ("energy W2", float(look[1].mean())),
            ):
                key = f"zeroshot.tuning.proximal.{task}.{sampler}_{sigma_0:g}.{unit.split()[0].lower()}"
                rows.append(Row(key, f"proximal, 20 steps, {task}, {sampler} from {sigma_0:g}", value, unit))

    for task, text in NONLINEAR.items():
        data = problem(x, text)
        scored = {(r, s): float(psnr(run.paper(data, 100, r, s, 1.0), x).mean()) for r, s in product(RATES, SIGMAS)}
        r, s = max(scored, key=scored.get)
        keep(task, "paper", {"rate": r, "sigma": s, "factor": 1.0}, scored[r, s], "dB")
        anchor = run.paper(data, 100, r, s, 1.0)
        scored = {z: float(psnr(run.dps(data, anchor, 100, z, 1.0), x).mean()) for z in ZETAS}
        zeta = max(scored, key=scored.get)
        keep(task, "dps", {"zeta": zeta, "start": 1.0}, scored[zeta], "dB")

    notes = f"natural/validation, the first {COUNT} centre crops of 128²; s = {NOISE}."
    write_results("zeroshot_tuning", rows, notes, time.monotonic() - begun)


if __name__ == "__main__":
    main()
