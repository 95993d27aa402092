"""Recipes of networks that train in seconds, as text."""


def toy_networks(depth: int = 1, predictor: bool = True) -> str:
    """The tables of the networks; `depth` is the encoder's."""
    tables = f"""
[encoder]
width = 32
depth = {depth}
features = 4
[denoiser]
width = [32, 32]
depth = [1, 1]
stem = 2
"""
    return tables + ("[predictor]\nwidth = 32\ndepth = 1\n" if predictor else "")


def toy_phase(network: str, steps: int, patch: int, *lines: str) -> str:
    """The table of one phase of the last stage, of batches of two."""
    return "\n".join((f"\n[stage.{network}]", f"steps = {steps}", "batch = 2", f"patch = {patch}", *lines)) + "\n"
