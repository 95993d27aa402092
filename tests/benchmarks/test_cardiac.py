"""The tables of the prior `cardiac`: rows of known patients, and the whole way on small scans by tiny priors."""

from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import ttest_1samp
from tests.conftest import write_tiny

from veriscale.diffusion.card import Card
from veriscale.errors import InputError
from veriscale.workflows.opening import load_prior
from veriscale.workflows.scans.reading import read_scan

OTHERS = "bicubic", "cubic spline", "lanczos", "mri", "photo"


def patient(psnr=30.0, gain=3.5, variance=8.0, covered=80.0, truth=(100, 200), area=(104, 196), draws=()):
    """Of 100 voxels with an error of 9 in all; others lose `gain` dB and see the area twice as far off."""
    spread = {"spread_skill": (9 / 8 * variance / 9.0) ** 0.5, "variance": variance, "squared error": 9.0}
    spread |= {"covered": covered, "voxels": 100.0}
    far = [x + 2 * (a - x) for a, x in zip(area, truth, strict=True)]
    return {
        "psnr": {"cardiac": psnr} | dict.fromkeys(OTHERS, psnr - gain),
        "spread": {"raw": spread, "tempered": spread},
        "areas": {
            "truth": list(truth),
            "dial 0": {"cardiac": list(area)} | dict.fromkeys(OTHERS, far),
            "draws": draws or [list(truth)] * 8,
        },
    }


@pytest.fixture
def rows(benchmark):
    return benchmark("cardiac_rows")


def by_id(made):
    found = {row.id: row for row in made}
    assert len(found) == len(made)
    return found


def test_every_row_of_the_page_is_made_and_no_other(rows, benchmark):
    patients = [patient(gain=gain) for gain in (3.0, 3.5, 4.0)]
    made = [
        row for of in (rows.psnr_rows, rows.spread_rows) for on in ("acdc", "sunnybrook") for row in of(patients, on)
    ]
    found = by_id([*made, *rows.ventricle_rows(patients)])
    wanted = [row for row in benchmark("table").ROWS if row.startswith("cardiac.") and "certificate" not in row]
    assert list(found) == wanted
    assert {row.bar for key, row in found.items() if "sunnybrook" in key} == {None}


def test_gains_are_of_patients(rows):
    gains = np.array([2.0, 3.0, 4.0, 5.0])
    patients = [patient(psnr=28 + k, gain=gain) for k, gain in enumerate(gains)]
    found = by_id(rows.psnr_rows(patients, "acdc"))
    over = found["cardiac.psnr.over_bicubic"]
    assert over.value == pytest.approx(3.5)
    assert over.interval == pytest.approx(ttest_1samp(gains, 0).confidence_interval())
    assert (over.against["cardiac"], over.against["bicubic"]) == pytest.approx((29.5, 26.0))
    assert (over.against["least of a patient"], over.against["most"]) == (2.0, 5.0)
    low = found["cardiac.psnr.over_bicubic.lowest"]
    assert low.value == over.interval[0]
    assert over.holds
    assert low.holds
    few = by_id(rows.psnr_rows([patient(gain=gain) for gain in (-0.2, 0.4, 0.9)], "acdc"))
    assert few["cardiac.psnr.over_mri"].holds  # on average, and yet no claim
    assert not few["cardiac.psnr.over_mri.lowest"].holds


def test_a_patient_counts_once_in_spread_skill_and_its_voxels_beside_it(rows):
    quiet, wild = patient(variance=2.0, covered=60), patient(variance=18.0, covered=90)
    found = by_id(rows.spread_rows([quiet, wild], "acdc"))
    raw = found["cardiac.spread.raw"]
    assert raw.value == pytest.approx((0.5 * 1.5) ** 0.5)  # geometric: half too little and half too much
    assert raw.against["pooled"] == pytest.approx((9 / 8 * 20 / 18) ** 0.5)
    assert (raw.against["least of a patient"], raw.against["most"]) == pytest.approx((0.5, 1.5))
    low, high = raw.interval
    assert low * high == pytest.approx(raw.value**2)
    assert found["cardiac.spread.coverage_80"].value == pytest.approx(75.0)
    assert found["cardiac.spread.coverage_80"].holds
    assert (found["cardiac.spread.raw"].holds, found["cardiac.spread.tempered"].holds) == (True, True)
    tame = by_id(rows.spread_rows([quiet, quiet], "acdc"))
    assert not tame["cardiac.spread.raw"].holds
    assert not tame["cardiac.spread.coverage_80"].holds


def test_the_ventricle_is_measured_in_shares_of_itself(rows):
    one = patient(truth=(100, 200), area=(104, 196))  # +4 %, −2 %
    two = patient(truth=(400,), area=(404,))  # +1 %, and as much a patient as the other
    found = by_id(rows.ventricle_rows([one, two]))
    error, bias = found["cardiac.ventricle.error"], found["cardiac.ventricle.bias"]
    assert (error.value, bias.value) == pytest.approx((2.0, 1.0))
    assert error.interval == pytest.approx(ttest_1samp([3.0, 1.0], 0).confidence_interval())
    assert (error.against["bicubic"], bias.against["photo"]) == pytest.approx((4.0, 2.0))
    assert found["cardiac.ventricle.less_bicubic"].value == pytest.approx(error.value - 4.0)
    assert error.holds
    assert bias.holds
    held = by_id(rows.ventricle_rows([one | {"areas": one["areas"] | {"draws": [[90, 190]] * 8}}, two]))
    row = held["cardiac.ventricle.covered_80"]
    assert (row.value, row.against["of all slices"]) == pytest.approx((50.0, 100 / 3))
    smaller = by_id(rows.ventricle_rows([patient(area=(96, 190)), patient(area=(97, 195))]))
    assert smaller["cardiac.ventricle.bias"].value < -1
    assert not smaller["cardiac.ventricle.bias"].holds


@pytest.mark.parametrize("width", [1.0, 0.3])
def test_areas_are_held_as_often_as_the_intervals_say(rows, width):
    """Draws of the truth's own law; of a third of its width they hold it too seldom."""
    rng = np.random.default_rng(0)
    patients = []
    for _ in range(200):
        centre = rng.uniform(400, 1500, 10)
        truth, draws = (np.rint(centre + s * rng.normal(0, 20, (k, 10))) for s, k in ((1.0, 1), (width, 8)))
        patients.append(patient(truth=truth[0].tolist(), area=centre.tolist(), draws=draws.tolist()))
    found = by_id(rows.ventricle_rows(patients))
    held = {level: found[f"cardiac.ventricle.covered_{level}"] for level in (50, 80, 90)}
    assert held[80].against["slices"] == 2000
    for level, row in held.items():
        assert (abs(row.value - level) < 3) == (width == 1.0)
        assert row.interval[0] < row.value < row.interval[1]


def heart(seed, shape=(5, 62, 69)):
    """A bright disc in a ring of muscle, off the middle, in texture, other blood just out of reach; and its labels."""
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    far = np.hypot(rows - 28, columns - 40)[None].repeat(shape[0], 0)
    radius = 9 + seed % 3
    label = np.where(far <= radius, 3, np.where(far <= 16, 2, 0)).astype(np.uint8)
    label[:, 28 + radius + 4 :] = 1  # rows
    texture = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.2)
    image = np.choose(label, [250, 900, 300, 900]) + 80 * texture / texture.std()
    return image.clip(0, None).astype(np.int16), label


def archive(path, seed):
    image, label = heart(seed)
    np.savez(path, image=image, label=label, group="A")
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch, benchmark):
    """Three patients of each set, tiny priors, and results that are kept in a list."""
    monkeypatch.setattr(benchmark("cache"), "FOLDER", tmp_path / "cache")
    monkeypatch.setattr(benchmark("few_shot_scores"), "SAMPLES", 3)
    bench = benchmark("cardiac")
    files = {f"acdc/patient{k}": archive(tmp_path / f"patient{k}.npz", k) for k in range(3)}
    for k in range(3):
        path = files[f"sunnybrook/SCD{k}"] = tmp_path / f"SCD{k}_phase00.nii.gz"
        nibabel.Nifti1Image(np.moveaxis(heart(k)[0], 0, 2), np.diag([1.3, 1.3, 8, 1])).to_filename(path)
    monkeypatch.setattr(bench, "SAMPLES", 3)
    monkeypatch.setattr(benchmark("cardiac_rows"), "SAMPLES", 3)
    monkeypatch.setattr(bench, "judged", lambda root: files)
    channels = {"cardiac": 1, "mri": 1, "photo": 3}
    priors = {name: load_prior(write_tiny(tmp_path / f"{name}.safetensors", n)) for name, n in channels.items()}
    monkeypatch.setattr(bench, "load_prior", priors.__getitem__)
    written = []
    monkeypatch.setattr(benchmark("results"), "write_results", lambda name, rows, notes, seconds: written.append(rows))
    return SimpleNamespace(bench=bench, files=files, priors=priors, written=written)


def test_what_is_cut_off_goes_on_and_a_part_is_no_result(folder, monkeypatch, capsys):
    bench, asked = folder.bench, []
    measure = bench.measure

    def counted(file, priors, slices):
        if len(asked) == 4:
            raise KeyboardInterrupt
        asked.append((file.name.partition(".")[0], slices))
        return measure(file, priors, slices)

    monkeypatch.setattr(bench, "measure", counted)
    monkeypatch.setattr("sys.argv", ["cardiac.py", "--small"])
    bench.main()
    assert asked == [(name, 1) for name in ("patient0", "patient1", "SCD0_phase00", "SCD1_phase00")]
    assert not folder.written
    assert "about" in capsys.readouterr().out.splitlines()[0]
    asked.clear()
    monkeypatch.setattr("sys.argv", ["cardiac.py"])
    with pytest.raises(KeyboardInterrupt):
        bench.main()
    asked.clear()
    bench.main()
    assert asked == [("SCD1_phase00", None), ("SCD2_phase00", None)]
    (made,) = folder.written
    assert by_id(made)["cardiac.ventricle.covered_80"].against["slices"] == 15


def test_the_numbers_are_those_of_the_whole_scan(folder, benchmark):
    """Bicubic by its definition, the area of the labels' own place, a temperature that widens."""
    file = folder.files["acdc/patient1"]
    card = folder.priors["cardiac"].card
    assert isinstance(card, Card)
    found = folder.bench.measure(file, folder.priors, None)
    image, label = heart(1)
    cut = slice(1, 61), slice(0, 68)  # of 62 × 69, two rows and a column over
    pools = benchmark("ventricle").blood_pools(image[:, *cut].astype(float), label[:, *cut])
    assert found["areas"]["truth"] == [pool.truth for pool in pools]
    assert len(pools) == 5
    seen = benchmark("few_shot_scores").whole_of(file, 4)
    levels = seen.measurement.levels
    assert levels.undone(np.moveaxis(seen.truth, 2, 0)) == pytest.approx(image[:, *cut], abs=0.01)
    enlarged = benchmark("scan_inplane").baselines(seen.measurement, 4)["bicubic"]
    error = (levels.applied(enlarged) - seen.truth)[seen.mask]
    peak = np.percentile(seen.truth[seen.mask], 99.9)
    assert found["psnr"]["bicubic"] == pytest.approx(10 * np.log10(peak**2 / np.mean(error**2)), abs=1e-3)
    area = [pool.area(enlarged[..., pool.slice]) for pool in pools]
    assert found["areas"]["dial 0"]["bicubic"] == area
    assert np.shape(found["areas"]["draws"]) == (3, 5)
    said = [benchmark("cardiac").said([seen.truth, seen.truth + 0.1, seen.truth + 0.05], seen, t) for t in (1.0, 2.0)]
    assert said[1]["spread_skill"] == pytest.approx(2 * said[0]["spread_skill"])
    assert said[0]["voxels"] == seen.mask.sum()


def test_the_judged_are_of_two_scanners(benchmark):
    root = benchmark("pictures").DATA.parent
    try:
        judged = benchmark("cardiac_patients").judged(root)
    except InputError:
        pytest.skip("needs mri/cardiac/acdc")
    assert [sum(item.startswith(f"{on}/") for item in judged) for on in ("acdc", "sunnybrook")] == [8, 4]
    hearts = benchmark("few_shot_patients").hearts(root)
    chosen = {*hearts.validation, *(file for members in hearts.pool.values() for file in members)}
    assert not chosen & set(judged.values())
    assert {"acdc/patient013", "sunnybrook/SCD0000101"} < set(judged)


@pytest.mark.parametrize("slices, kept", [(None, range(5)), (1, [2]), (2, [1, 2]), (9, range(5))])
def test_an_archive_as_a_scan_has_its_slices(benchmark, tmp_path, slices, kept):
    path = benchmark("cardiac_patients").as_scan(archive(tmp_path / "one.npz", 0), tmp_path, slices)
    volume = read_scan(path).volume
    assert volume.slice_axis == 2
    assert np.array_equal(np.rint(np.moveaxis(volume.values(), 2, 0)), heart(0)[0][list(kept)])
