"""What a derived series carries over from its source, and nothing else of it."""

from collections.abc import Iterable
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from veriscale.errors import InputError
from veriscale.imaging.dicom.dates import without_false_dates

if TYPE_CHECKING:
    from pydicom import Dataset


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_PATIENT_GROUPS = (0x0010, 0x0012)  # Patient, Patient Study; Clinical Trial Subject and Study
_OF_TRIAL_SERIES = (
    "ClinicalTrialCoordinatingCenterName",
    "ClinicalTrialSeriesID",
    "IssuerOfClinicalTrialSeriesID",
    "ClinicalTrialSeriesDescription",
)
_STUDY = _names("""
StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence ReferringPhysicianName
ReferringPhysicianIdentificationSequence ConsultingPhysicianName ConsultingPhysicianIdentificationSequence
StudyDescription ProcedureCodeSequence PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence
NameOfPhysiciansReadingStudy PhysiciansReadingStudyIdentificationSequence ReferencedStudySequence
ReferencedPatientSequence StudyInstanceUID StudyID RequestingService RequestingServiceCodeSequence
ReasonForPerformedProcedureCodeSequence AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence
ReasonForVisit ReasonForVisitCodeSequence AdmissionID IssuerOfAdmissionIDSequence ServiceEpisodeID
ServiceEpisodeDescription IssuerOfServiceEpisodeIDSequence PatientState
""")
_NEVER_ABSENT = _names("""
PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber ReferringPhysicianName StudyID
""")  # type 2: present, if empty

_SERIES = _names(
    "Modality BodyPartExamined AnatomicRegionSequence Laterality PatientPosition PositionReferenceIndicator"
)
_IMAGE = _names("""
PresentationLUTShape BurnedInAnnotation RecognizableVisualFeatures RescaleType VOILUTFunction ContrastBolusAgent
""")
_ACQUISITION = {
    "MR": _names("""
ScanningSequence SequenceVariant ScanOptions MRAcquisitionType AngioFlag RepetitionTime EchoTime InversionTime
NumberOfAverages ImagingFrequency ImagedNucleus EchoNumbers MagneticFieldStrength EchoTrainLength PercentSampling
PercentPhaseFieldOfView PixelBandwidth TriggerTime AcquisitionMatrix InPlanePhaseEncodingDirection FlipAngle
VariableFlipAngleFlag SAR dBdt AcquisitionNumber
"""),
    "CT": _names("""
KVP ScanOptions DataCollectionDiameter ReconstructionDiameter DistanceSourceToDetector DistanceSourceToPatient
RotationDirection ExposureTime XRayTubeCurrent Exposure FilterType GeneratorPower FocalSpots ConvolutionKernel
AcquisitionNumber
"""),
}
_NEVER_ABSENT_OF = {
    "MR": _names("""
ScanOptions MRAcquisitionType RepetitionTime EchoTime EchoTrainLength PositionReferenceIndicator PatientPosition
"""),
    "CT": _names("KVP AcquisitionNumber PositionReferenceIndicator PatientPosition"),
}
_LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81")  # never lossless


def patient_and_study(source: "Dataset") -> "Dataset":
    """The patient and study modules as they are, so that an archive files the series rightly.

    Dates that are none become empty, private elements within sequences go, what has to be present if empty is.

    Raises:
        InputError: an element cannot be read.

    Source: DICOM PS3.3 C.7.1.1, C.7.1.3, C.7.2.1, C.7.2.2, C.7.2.3.
    """
    from pydicom.datadict import tag_for_keyword

    trial = {tag_for_keyword(each) for each in _OF_TRIAL_SERIES}
    study = {tag_for_keyword(each) for each in _STUDY}
    tags = [
        tag
        for tag in source.keys()  # noqa: SIM118  a Dataset's own iteration gives elements
        if (tag.group in _PATIENT_GROUPS and tag.element and tag not in trial) or tag in study
    ]
    copied = _copied(source, tags)
    copied.remove_private_tags()
    _add_empty(copied, _NEVER_ABSENT)
    return without_false_dates(copied)


def acquisition(sources: tuple["Dataset", ...], modality: str) -> "Dataset":
    """What all slices say alike about how they were acquired, of the attributes that tell nothing of a person.

    Scanner, institution, operator, station, protocol, times and comments stay behind, private elements too.

    Args:
        sources: the slices' headers.
        modality: MR or CT.
    """
    from pydicom.datadict import tag_for_keyword

    wanted = [tag_for_keyword(each) for each in (*_SERIES, *_IMAGE, *_ACQUISITION[modality])]
    copied = _copied(sources[0], [tag for tag in wanted if tag is not None and _alike(tag, sources)])
    copied.remove_private_tags()
    _add_empty(copied, _NEVER_ABSENT_OF[modality])
    _keep_lossy(copied, sources)
    return copied


def _alike(tag: int, sources: tuple["Dataset", ...]) -> bool:
    try:
        return all(tag in each and each[tag].value == sources[0][tag].value for each in sources)
    except Exception:  # what cannot be parsed is not carried over
        return False


def _copied(source: "Dataset", tags: Iterable[int]) -> "Dataset":
    from pydicom import Dataset
    from pydicom.tag import Tag

    copied = Dataset()
    for tag in tags:
        try:
            copied[tag] = deepcopy(source[tag])
        except Exception as error:  # pydicom raises what its parsers happen to meet
            raise InputError(f"the header element {Tag(tag)} cannot be read; repair the headers") from error
    return copied


def _add_empty(header: "Dataset", keywords: Iterable[str]) -> None:
    for keyword in keywords:
        if keyword not in header:
            setattr(header, keyword, None)


def _keep_lossy(copied: "Dataset", sources: tuple["Dataset", ...]) -> None:
    """Once lossy, always lossy (DICOM PS3.3 C.7.6.1.1.5), with ratios and methods of the most compressed slice."""
    said = {str(each.get("LossyImageCompression", "")) for each in sources}
    if "01" not in said and not any(each.file_meta.TransferSyntaxUID in _LOSSY for each in sources):
        if said == {"00"}:
            copied.LossyImageCompression = "00"
        return
    copied.LossyImageCompression = "01"
    worst = max(sources, key=_ratio)
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in worst:
            copied[keyword] = deepcopy(worst[keyword])


def _ratio(header: "Dataset") -> float:
    try:
        ratios = header.LossyImageCompressionRatio
        return float(np.prod(np.array(ratios, float)))
    except (AttributeError, TypeError, ValueError):
        return 0.0
