"""What the file of guides says of itself."""

import msgspec

from veriscale.diffusion.card import FORMAT_VERSION, Data
from veriscale.guides.arguments import GuideArguments


class GuideCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything known of guides; the header of their file, which holds no tensor of their parent.

    Attributes:
        name: of the file.
        parent, parent_sha256: the prior they guide: its name, and the hash of its tensors.
        arguments: of the networks.
        training, validation: the scans of their own training.
        steps, batch, seconds, machine: what it took.
        metrics: measured on the validation scans.
        tensors_sha256: of the tensors as stored.
    """

    name: str
    parent: str
    parent_sha256: str
    arguments: GuideArguments
    training: list[Data]
    validation: list[Data]
    steps: int
    batch: int
    seconds: float
    machine: str
    metrics: dict[str, float] = {}
    tensors_sha256: str = ""
    format_version: int = FORMAT_VERSION

    @property
    def licences(self) -> list[str]:
        """Of the data of their own training, each once; the parent's own bind beside them."""
        return list(dict.fromkeys(data.licence for data in self.training))
