"""Veriscale: restore photographs with diffusion priors, anywhere between faithful and vivid.

The names below are loaded on first use, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from veriscale.errors import InputError as InputError
    from veriscale.imaging.photo import Photo as Photo
    from veriscale.imaging.read import read_photo as read_photo
    from veriscale.imaging.write import write_photo as write_photo
    from veriscale.physics.operator import Operator as Operator
    from veriscale.physics.registry import parse_operator as parse_operator
    from veriscale.stages.training import train as train
    from veriscale.trust.certificate import Certificate as Certificate
    from veriscale.trust.certificate_file import read_certificate as read_certificate
    from veriscale.workflows.calibration import calibrate as calibrate
    from veriscale.workflows.degradation import degrade as degrade
    from veriscale.workflows.evaluation import evaluate as evaluate
    from veriscale.workflows.restoration import load_prior as load_prior
    from veriscale.workflows.restoration import restore as restore
    from veriscale.workflows.result import Restoration as Restoration

_HOMES = {
    "Certificate": "trust.certificate",
    "InputError": "errors",
    "Operator": "physics.operator",
    "Photo": "imaging.photo",
    "Restoration": "workflows.result",
    "calibrate": "workflows.calibration",
    "degrade": "workflows.degradation",
    "evaluate": "workflows.evaluation",
    "load_prior": "workflows.restoration",
    "parse_operator": "physics.registry",
    "read_certificate": "trust.certificate_file",
    "read_photo": "imaging.read",
    "restore": "workflows.restoration",
    "train": "stages.training",
    "write_photo": "imaging.write",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'veriscale' has no attribute {name!r}")
    return getattr(importlib.import_module(f"veriscale.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
