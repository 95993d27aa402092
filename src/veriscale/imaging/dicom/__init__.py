"""DICOM: a folder with one single-frame series in, a derived series, a mask and a spread out (DICOM PS3.3 2024)."""
