"""What serves as truth, and that it is measured as the user's file would be."""

import weakref

import numpy as np
import pytest
import tifffile
from tests.workflows.photographs import write_crops, write_measurement

from veriscale.errors import InputError
from veriscale.imaging.photo import Photo
from veriscale.imaging.read import read_photo
from veriscale.imaging.write import write_photo
from veriscale.physics.downsample import Downsample
from veriscale.physics.measurement_noise import parse_noise
from veriscale.physics.registry import parse_operator
from veriscale.workflows.certifying import units
from veriscale.workflows.certifying.units import Measuring, Size, common_size, parse_size, usable


def measuring(size=None, channels=3, noise="0", operator="downsample:factor=4", seed=0):
    return Measuring(parse_operator(operator), parse_noise(noise), channels, size, seed)


@pytest.fixture
def crop(tmp_path, skimage_data):
    return write_crops(tmp_path / "in", skimage_data, 1, side=50)[0]


@pytest.mark.parametrize("text, size", [("320x240", Size(320, 240)), ("64", Size(64, 64)), ("8×16", Size(8, 16))])
def test_a_size_is_read(text, size):
    assert parse_size(text) == size
    assert parse_size(str(size)) == size


@pytest.mark.parametrize("text", ["", "x", "0x4", "4x", "4x4x4", "-4x4", "4.5x4", "large"])
def test_a_size_that_is_none(text):
    with pytest.raises(InputError, match="is no size; write WIDTHxHEIGHT"):
        parse_size(text)


def test_the_truth_is_the_middle(crop):
    whole = read_photo(crop).pixels
    assert np.array_equal(measuring(Size(40, 32), operator="blur:kernel=gaussian,std=1")(crop).truth, whole[9:41, 5:45])


def test_of_a_smaller_measurement_the_middle_is_cut_as_the_user_crops_it(crop, tmp_path):
    unit = measuring(Size(40, 32))(crop)
    by_the_user = read_photo(write_measurement(crop, tmp_path / "y.png"))
    assert by_the_user.pixels.shape == (12, 12, 3)
    assert np.array_equal(unit.measurement.pixels, by_the_user.pixels[2:10, 1:11])
    assert np.array_equal(unit.truth, read_photo(crop).pixels[8:40, 4:44])
    write_photo(Photo(unit.truth), tmp_path / "x.png")
    alone = read_photo(write_measurement(tmp_path / "x.png", tmp_path / "z.png")).pixels
    assert not np.array_equal(unit.measurement.pixels, alone)  # its edges would not know what lies beyond them


def test_without_a_size_the_truth_is_what_the_operator_takes_whole(crop):
    assert measuring()(crop).truth.shape == (48, 48, 3)
    assert measuring(operator="downsample:factor=3")(crop).truth.shape == (48, 48, 3)
    assert measuring(operator="blur:kernel=gaussian,std=1")(crop).truth.shape == (50, 50, 3)


def test_the_measurement_is_what_a_file_of_it_holds(crop, tmp_path):
    unit = measuring(Size(48, 48))(crop)
    assert (unit.measurement.bit_depth, unit.measurement.pixels.shape) == (8, (12, 12, 3))
    write_photo(unit.measurement, tmp_path / "y.png")
    assert np.array_equal(read_photo(tmp_path / "y.png").pixels, unit.measurement.pixels)
    write_photo(Photo(unit.truth), tmp_path / "x.png")
    by_the_user = read_photo(write_measurement(tmp_path / "x.png", tmp_path / "z.png"))
    assert np.array_equal(by_the_user.pixels, unit.measurement.pixels)


def test_a_noisy_measurement_is_the_users_too(crop, tmp_path):
    unit = measuring(Size(48, 48), noise="0.1")(crop)
    write_photo(Photo(unit.truth), tmp_path / "x.png")
    by_the_user = read_photo(write_measurement(tmp_path / "x.png", tmp_path / "z.png", noise=0.1))
    assert np.array_equal(by_the_user.pixels, unit.measurement.pixels)


def test_noise_belongs_to_the_picture_and_the_seed(tmp_path):
    for name, grey in (("a", 0.5), ("b", 0.51)):
        write_photo(Photo(np.full((48, 48, 3), grey, np.float32)), tmp_path / f"{name}.png")
    y = {
        (name, seed): measuring(Size(48, 48), noise="0.1", seed=seed)(tmp_path / f"{name}.png").measurement.pixels
        for name in "ab"
        for seed in (0, 1)
    }
    again = measuring(Size(48, 48), noise="0.1")(tmp_path / "a.png").measurement.pixels
    assert np.array_equal(y["a", 0], again)
    for one, other in ((("a", 0), ("b", 0)), (("a", 0), ("a", 1))):
        noises = [y[k] - y[k].mean() for k in (one, other)]
        assert abs(np.corrcoef(*(n.ravel() for n in noises))[0, 1]) < 0.2


def test_a_picture_of_other_channels_is_no_truth(crop, tmp_path):
    with pytest.raises(InputError, match="is a colour picture, and the certificate is for grey ones"):
        measuring(channels=1)(crop)
    write_photo(Photo(np.ascontiguousarray(read_photo(crop).pixels[..., :1])), tmp_path / "grey.png")
    assert measuring(channels=1)(tmp_path / "grey.png").measurement.channels == 1
    with pytest.raises(InputError, match="is a grey picture, and the certificate is for colour ones"):
        measuring()(tmp_path / "grey.png")


def test_transparency_is_flattened(tmp_path):
    alpha = np.full((48, 48), 51 / 255, np.float32)
    write_photo(Photo(np.ones((48, 48, 3), np.float32), alpha), tmp_path / "glass.png")
    unit = measuring()(tmp_path / "glass.png")
    assert unit.truth == pytest.approx(0.2, abs=1e-6)
    assert unit.measurement.alpha is None


def test_a_picture_below_the_unit(crop):
    with pytest.raises(InputError, match=r"00\.png: 50×50 pixels are fewer than the unit's 64×32"):
        measuring(Size(64, 32))(crop)


def test_the_common_size_fits_all_pictures_and_the_operator(tmp_path):
    for name, height, width in (("a", 50, 90), ("b", 70, 63)):
        write_photo(Photo(np.zeros((height, width, 3), np.float32)), tmp_path / f"{name}.png")
    found, _ = usable(sorted(tmp_path.iterdir()), measuring(), skip_bad=False)
    sizes = [u.size for u in found.values()]
    assert sizes == [Size(90, 50), Size(63, 70)]
    assert common_size(sizes, measuring()) == Size(60, 48)
    assert common_size(sizes, Measuring(Downsample(7), parse_noise("0"), 3)) == Size(63, 49)


# ---- which files can be units


@pytest.fixture
def mixed(tmp_path, skimage_data):
    """Three good pictures and one of each kind that is not."""
    files = write_crops(tmp_path / "in", skimage_data, 3)
    (tmp_path / "in" / "torn.png").write_bytes(files[0].read_bytes()[:900])
    tifffile.imwrite(tmp_path / "in" / "nan.tif", np.full((48, 48, 3), np.nan, np.float32), photometric="rgb")
    tifffile.imwrite(tmp_path / "in" / "bright.tif", np.full((48, 48, 3), 1.5, np.float32), photometric="rgb")
    write_photo(Photo(np.zeros((20, 48, 3), np.float32)), tmp_path / "in" / "small.png")
    return files, sorted((tmp_path / "in").iterdir())


def test_what_cannot_be_a_unit_is_known_and_named(mixed):
    good, every = mixed
    found, why = usable(every, measuring(Size(48, 48)), skip_bad=True)
    assert list(found) == good
    assert why.keys() == {"torn.png", "nan.tif", "bright.tif", "small.png"}
    assert all(name in sentence for name, sentence in why.items())
    assert "NaN" in why["nan.tif"]
    assert "values from 1.5 to 1.5" in why["bright.tif"]
    assert "48×20 pixels are fewer than the unit's 48×48" in why["small.png"]


def test_nothing_is_left_out_unless_asked(mixed):
    _, every = mixed
    with pytest.raises(InputError, match=r"bright\.tif.* \(4 such files in all\); take it away, or .*skip_bad"):
        usable(every, measuring(Size(48, 48)), skip_bad=False)
    torn = [f for f in every if f.name != "bright.tif" and f.name != "nan.tif" and f.name != "small.png"]
    with pytest.raises(InputError, match=r"torn\.png") as refusal:
        usable(torn, measuring(Size(48, 48)), skip_bad=False)
    assert "in all" not in str(refusal.value)


def test_a_small_picture_is_one_where_the_unit_has_no_size(mixed):
    good, every = mixed
    write_photo(Photo(np.zeros((32, 48, 3), np.float32)), every[0].parent / "small.png", force=True)
    found, why = usable(every, measuring(), skip_bad=True)
    assert {f.name for f in found} == {*(f.name for f in good), "small.png"}
    assert len(why) == 3


def test_at_least_one_picture_must_be_left(mixed):
    _, every = mixed
    bad = [f for f in every if f.suffix == ".tif"]
    with pytest.raises(InputError, match=r"None of the 2 pictures can be used: .*bright"):
        usable(bad, measuring(), skip_bad=True)


def test_a_measurement_too_small_for_any_restoration_is_no_unit(mixed):
    _, every = mixed
    _, why = usable(every, measuring(), skip_bad=True)
    assert "its measurement of 12×5 pixels is below 8×8" in why["small.png"]


@pytest.mark.parametrize(
    "samples, alpha, words",
    [
        (np.zeros((48, 48, 1), np.float32), None, "is a grey picture, and the certificate is for colour ones"),
        (np.zeros((48, 48, 3), np.float32), np.zeros((48, 48), np.float32), "has transparency"),
    ],
)
def test_what_use_would_refuse_is_not_calibrated_on(samples, alpha, words, crop, tmp_path):
    write_photo(Photo(samples, alpha), tmp_path / "odd.png")
    with pytest.raises(InputError, match=f"odd.png.*{words}"):
        usable([crop, tmp_path / "odd.png"], measuring(), skip_bad=False)
    found, _ = usable([crop, tmp_path / "odd.png"], measuring(), skip_bad=True)
    assert list(found) == [crop]


def test_pictures_that_are_all_grey_are_of_one_kind(tmp_path):
    for name in "ab":
        write_photo(Photo(np.zeros((48, 48, 1), np.float32)), tmp_path / f"{name}.png")
    for prior in (1, 3):
        found, _ = usable(sorted(tmp_path.iterdir()), measuring(channels=prior), skip_bad=False)
        assert [u.channels for u in found.values()] == [1, 1]


@pytest.mark.parametrize("name", ["00_x4", "00_restored", "00_x2_dial-0.50", "00_x4_draw-3", "00_x4_mean"])
def test_a_result_is_no_photograph(crop, name):
    result = crop.with_name(f"{name}.png")
    write_photo(read_photo(crop), result)
    with pytest.raises(
        InputError, match=rf"{name}\.png has the name of a result of restoring 00, and its run\.json is"
    ):
        usable([crop, result], measuring(), skip_bad=False)
    assert list(usable([result], measuring(), skip_bad=False)[0]) == [result]  # of nothing that is here


def test_no_photograph_is_kept_while_others_are_read(tmp_path, skimage_data, monkeypatch):
    """Nor what is made of it: memory does not grow with the number of pictures."""
    files, held, most = write_crops(tmp_path / "in", skimage_data, 8), set(), []

    def watched(file):
        most.append(len(held))
        photo = read_photo(file)
        held.add(id(photo.pixels))
        weakref.finalize(photo.pixels, held.discard, id(photo.pixels))
        return photo

    monkeypatch.setattr(units, "read_photo", watched)
    found, _ = usable(files, measuring(), skip_bad=False)
    common_size((u.size for u in found.values()), measuring())
    assert len(most) == 8  # each is read once
    assert max(most) <= 1
