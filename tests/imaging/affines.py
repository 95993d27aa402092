"""Affines as scanners and tools write them: oblique, flipped, permuted, anisotropic, sheared."""

import numpy as np
from hypothesis import strategies as st


def affine(seed: int, shear: float = 0.0) -> np.ndarray:
    """A random one: any rotation, a flip or none, 0.3 to 8 mm, within half a metre of the origin."""
    rng = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    slanted = turned @ (np.eye(3) + shear * np.triu(rng.uniform(-1, 1, (3, 3)), 1))
    matrix = np.eye(4)
    matrix[:3, :3] = slanted * rng.uniform(0.3, 8, 3)
    matrix[:3, 3] = rng.uniform(-500, 500, 3)
    return matrix


affines = st.builds(affine, st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.4]))
shapes = st.tuples(*[st.integers(1, 9)] * 3)
