"""The certificate that is shipped with the prior cardiac: cardiac_certificate.py PRIOR CERTIFICATE.

Its patients are those of the pool whom PRIOR was not trained on, the table `rest` of NAME.splits.toml beside it. It is
meant for alpha 0.15: with ten patients nothing below 0.091 can be promised.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel
import numpy as np

import veriscale
from veriscale.imaging.npz import KEY, read_npz
from veriscale.stages.data import data_root
from veriscale.stages.splits import select
from veriscale.stages.training import SPLITS

ALPHA = "0.15"


def certify(prior: Path, output: Path) -> None:
    """Calibrate on a NIfTI file of each archive, with slices last and voxels of 1 mm, since their own are not known."""
    with TemporaryDirectory() as folder:
        for found in select(["mri/cardiac/acdc@rest"], data_root(Path(__file__)), prior.with_suffix(SPLITS)):
            image = np.moveaxis(read_npz(found.path)[KEY], 0, 2)
            nibabel.Nifti1Image(image, np.eye(4)).to_filename(Path(folder) / f"{found.subject}.nii")
        made = veriscale.calibrate(folder, output, prior=prior, scale=4, alpha=ALPHA, force=True, tell=print)
    share = made.shares(made.threshold(ALPHA)).mean()
    print(f"At alpha {ALPHA} about {share:.0%} of the foreground's voxels are trusted.")


if __name__ == "__main__":
    certify(*map(Path, sys.argv[1:]))
