"""What a model that was trained here says of itself, in a file beside its index."""

from pathlib import Path

import msgspec

from veriscale.diffusion.card import Data, PhaseBudget
from veriscale.errors import InputError

CARD = "card.json"


class ModelCard(msgspec.Struct, frozen=True):
    """Where a model comes from.

    Attributes:
        training, validation: its pictures.
        phases: steps of each network.
        seconds, machine: what its training took.
        metrics: measured on the validation pictures, of the weights as they are stored.
    """

    training: list[Data]
    validation: list[Data]
    phases: list[PhaseBudget]
    seconds: float
    machine: str
    metrics: dict[str, float] = {}

    @property
    def licences(self) -> list[str]:
        """Of the data that it was trained on, each once: they bind whoever uses it."""
        return list(dict.fromkeys(data.licence for data in self.training))


def read_model_card(folder: Path) -> ModelCard | None:
    """The card of a folder; None of a model that was not trained here.

    Raises:
        InputError: it is damaged.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=ModelCard)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no card of a model ({error}); copy it again, or remove it.") from error
