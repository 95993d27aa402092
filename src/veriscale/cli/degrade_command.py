"""`veriscale degrade`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from veriscale.cli.console import say
from veriscale.cli.options import number
from veriscale.cli.streams import streams


def degrade(
    *inputs: Path,
    operator: str,
    noise: str | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    seed: Annotated[int, number("seed", int)] = 0,
    format: str | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
    max_pixels: Annotated[int | None, number("max_pixels", int)] = None,
    volume: Annotated[int | None, number("volume", int)] = None,
) -> int:
    """Make measurements of photographs and scans, each with a sidecar that tells `restore` how.

    Parameters
    ----------
    inputs
        Image files, folders of them, patterns in quotes such as 'photos/*.jpg', or - for standard input; NIfTI files.
    operator
        Such as downsample:factor=4,kernel=bicubic, blur:kernel=gaussian,std=3, inpaint:keep=0.5, sensing:ratio=0.5,
        fourier:accel=4, slice:fwhm=4,step=4,axis=0, hdr:gain=2, nonlinear-blur, jpeg:quality=40; several as 'A + B',
        left first; a TOML file with the same keys; or package.module:factory of your own.
    noise
        0.02 or gaussian:0.02 (a standard deviation in [0, 1] units), poisson:peak=30, rician:0.05; 0 by
        default, or what the TOML file says.
    output
        A file for one input, else a folder; `<stem>_degraded.png`, of a scan `.nii.gz`, beside the input by default. -
        for standard output, where one measurement is made; it has no sidecar.
    seed
        Of the noise.
    format
        png, jpeg, tiff, webp, npy, or keep for the input's kind (png where that is only read); by default as the
        output's name says, else png.
    force
        Replace existing files.
    quiet
        No remarks.
    max_pixels
        Largest picture that is read; of a scan the voxels of one volume.
    volume
        Which volume of a scan that holds several, counted from 0.
    """
    from veriscale.cli.remarks import Remarks
    from veriscale.errors import InputError, nameless, scan_label
    from veriscale.imaging.atomic import make_folder
    from veriscale.imaging.formats.registry import keeps_floats
    from veriscale.imaging.read import MAX_PIXELS, read_photo
    from veriscale.imaging.write import write_photo
    from veriscale.physics.measurement_noise import parse_noise
    from veriscale.physics.registry import parse_operator, read_operator_file
    from veriscale.workflows.degrading.degradation import degrade as make_measurement
    from veriscale.workflows.degrading.measurement import MEASURED, write_sidecar
    from veriscale.workflows.degrading.scan_degradation import degrade_scan
    from veriscale.workflows.factory import own_operator
    from veriscale.workflows.inputs import OF_SCANS, collect
    from veriscale.workflows.jobs import check_output
    from veriscale.workflows.remark import Remark
    from veriscale.workflows.restoring.restoration import result_suffix
    from veriscale.workflows.scans.reading import takes_scan

    if not inputs:
        raise InputError("No input is given; name a picture or a folder.")
    if seed < 0:
        raise InputError(f"Seed {seed} is negative; 0 or more will do.")
    stated = None
    if operator.endswith(".toml"):
        a, stated = read_operator_file(Path(operator))
    else:
        own = own_operator(operator)
        a = parse_operator(own) if isinstance(own, str) else own
    model = parse_noise(noise or stated or "0")
    largest = MAX_PIXELS if max_pixels is None else max_pixels
    for note in a.notes:
        say(f"{note}.", quiet)
    remarks = Remarks(quiet)
    with streams(inputs, output) as ways:
        items, many = collect(ways.inputs, ways.output, lambda line: say(line, quiet), scans=True, truths=True)
        ways.check_one(len(items), {})
        remarks.of = len(items)
        to = ways.output
        check_output(to, [item.path for item in items], many)
        one_file = to if to is not None and not many and to.suffix and not to.is_dir() else None
        for number, item in enumerate(items, start=1):
            try:
                if takes_scan(item.path):
                    if ways.writes or format is not None:
                        raise InputError("A scan is measured into a NIfTI file; leave out `--format` and `-o -`.")
                    place = one_file if one_file is not None or to is None else to / item.folder
                    made = degrade_scan(
                        item.path,
                        place,
                        a,
                        model,
                        seed,
                        index=volume,
                        max_voxels=largest,
                        force=force,
                        say=lambda note: say(note, quiet),
                    )
                    print(made, file=ways.results)
                    continue
                if volume is not None:
                    raise InputError(OF_SCANS.format("volume"))
                photo = read_photo(item.path, largest)
                suffix = result_suffix(one_file, format, photo) if a.picture or one_file is not None else ".npy"
                if one_file is not None:
                    target = one_file
                else:
                    folder = item.path.parent if to is None else to / item.folder
                    stem = item.stem if to is not None else f"{item.stem}{MEASURED}"
                    target = folder / f"{stem}{suffix}"
                if target.exists() and target.samefile(item.path):
                    raise InputError(f"{target} is the input itself; choose another name.")
                if not a.picture and not keeps_floats(target):
                    raise InputError(
                        f"{target.name} cannot hold a measurement by {a}, whose values are not in [0, 1]; use .npy."
                    )
                measurement = make_measurement(photo, a, model, seed)
                make_folder(target.parent)
                for note in write_photo(measurement, target, force):
                    remarks.hear(ways.named(Remark(f"{note}.", item.path)))
                if ways.writes:
                    ways.deliver(target)
                else:
                    write_sidecar(target, a, model, seed)
                    print(target, file=ways.results)
            except InputError as error:
                failure = Remark(str(error), item.path)
                if takes_scan(item.path):  # names of scans are those of people
                    label = scan_label(number, len(items))
                    failure = Remark(nameless(error, item.path, label))
                if not many:
                    raise InputError(failure.text) from error
                remarks.fail(ways.named(failure))
    return remarks.close()
