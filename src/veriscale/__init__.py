"""Veriscale: restore photographs and scans with diffusion priors, anywhere between faithful and vivid.

The names below are loaded on first use, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from veriscale.diffusion.own_prior import prior_from as prior_from
    from veriscale.errors import InputError as InputError
    from veriscale.imaging.nifti.write import write_volume as write_volume
    from veriscale.imaging.photo import Photo as Photo
    from veriscale.imaging.read import read_photo as read_photo
    from veriscale.imaging.volume import Volume as Volume
    from veriscale.imaging.write import write_photo as write_photo
    from veriscale.latent.pipeline import prior_from_pipeline as prior_from_pipeline
    from veriscale.physics.operator import Operator as Operator
    from veriscale.physics.own_operator import operator_from as operator_from
    from veriscale.physics.registry import parse_operator as parse_operator
    from veriscale.settings import Settings as Settings
    from veriscale.stages.own_measurements import measure_prior as measure_prior
    from veriscale.stages.training import train as train
    from veriscale.trust.certificate import Certificate as Certificate
    from veriscale.trust.certificate_file import read_certificate as read_certificate
    from veriscale.workflows.batch_door import restore_files as restore_files
    from veriscale.workflows.certifying.calibration import calibrate as calibrate
    from veriscale.workflows.certifying.trust_evaluation import evaluate_certificate as evaluate_certificate
    from veriscale.workflows.degrading.degradation import degrade as degrade
    from veriscale.workflows.opening import find_certificate as find_certificate
    from veriscale.workflows.opening import load_prior as load_prior
    from veriscale.workflows.opening import open_restorer as open_restorer
    from veriscale.workflows.restoring.door import restore as restore
    from veriscale.workflows.restoring.evaluation import evaluate as evaluate
    from veriscale.workflows.restoring.restoration import Restoration as Restoration
    from veriscale.workflows.scans.reading import read_volume as read_volume
    from veriscale.workflows.scans.scan_restoration import ScanRestoration as ScanRestoration

_HOMES = {
    "Certificate": "trust.certificate",
    "InputError": "errors",
    "Operator": "physics.operator",
    "Photo": "imaging.photo",
    "Restoration": "workflows.restoring.restoration",
    "ScanRestoration": "workflows.scans.scan_restoration",
    "Settings": "settings",
    "Volume": "imaging.volume",
    "calibrate": "workflows.certifying.calibration",
    "degrade": "workflows.degrading.degradation",
    "evaluate": "workflows.restoring.evaluation",
    "evaluate_certificate": "workflows.certifying.trust_evaluation",
    "find_certificate": "workflows.opening",
    "load_prior": "workflows.opening",
    "measure_prior": "stages.own_measurements",
    "open_restorer": "workflows.opening",
    "operator_from": "physics.own_operator",
    "parse_operator": "physics.registry",
    "prior_from": "diffusion.own_prior",
    "prior_from_pipeline": "latent.pipeline",
    "read_certificate": "trust.certificate_file",
    "read_photo": "imaging.read",
    "read_volume": "workflows.scans.reading",
    "restore": "workflows.restoring.door",
    "restore_files": "workflows.batch_door",
    "train": "stages.training",
    "write_photo": "imaging.write",
    "write_volume": "imaging.nifti.write",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'veriscale' has no attribute {name!r}")
    return getattr(importlib.import_module(f"veriscale.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
