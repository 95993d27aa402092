"""`veriscale priors`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from veriscale.cli.console import complain

if TYPE_CHECKING:
    from veriscale.diffusion.card import Card, Data
    from veriscale.diffusion.own_prior import OwnPrior
    from veriscale.latent.pipeline import Pipeline


def priors(name: str | None = None, *, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """List the priors, guides and certificates there are, or show the card, licences and lineage of one.

    Parameters
    ----------
    name
        A name or a file, of a prior, of guides or of a certificate, a folder in the layout of diffusers or
        hub:owner/name, or package.module:factory of your own prior, which runs it; without it all are listed.
    as_json
        The whole card as JSON.
    """
    import msgspec

    from veriscale.diffusion.checkpoint import read_card
    from veriscale.diffusion.library import find_prior, folders, known_models, known_priors
    from veriscale.diffusion.own_prior import OwnPrior
    from veriscale.errors import InputError
    from veriscale.guides.guide_file import holds_guides
    from veriscale.latent.folder import model_folder
    from veriscale.latent.hub import is_hub
    from veriscale.latent.pipeline import read_pipeline
    from veriscale.workflows.factory import is_factory
    from veriscale.workflows.opening import known_certificates, load_prior

    if name is None:
        found, models = known_priors(), known_models()
        rows = []
        for known, path in found.items():
            try:
                if holds_guides(path):
                    rows.append(_guides_row(known, path, as_json))
                    continue
                card = read_card(path)
            except InputError as error:
                complain(str(error))
                continue
            network = card.network
            row = {"name": known, "file": str(path), "scales": network.scales, "channels": network.channels}
            rows.append({**row, "licences": card.licences})
            if not as_json:
                scales = ", ".join(f"×{s}" for s in card.network.scales)
                kind = "RGB" if card.network.channels == 3 else "grey"
                print(f"{known}: {kind}, {scales}; trained on {'; '.join(card.licences)}; {path}")
        for path in models.values():
            try:
                rows.append(_model_row(read_pipeline(path), as_json))
            except InputError as error:
                complain(str(error))
        if as_json:
            print(json.dumps(rows, indent=2))
        else:
            for line in _certificates():
                print(line)
        if not (found or models):
            complain("No prior found in " + ", ".join(map(str, folders())) + ".")
            return 2
        return 0
    if name in known_certificates() or name.endswith(".json"):
        return _show_certificate(name, as_json)
    if is_hub(name) or model_folder(name):
        return _show_pipeline(read_pipeline(name), as_json)
    if is_factory(name):
        made = load_prior(name)
        card, where = made.card, name
    else:
        path = find_prior(name)
        if holds_guides(path):
            return _show_guides(path, as_json)
        card, where = read_card(path), f"{path}, {path.stat().st_size / 1e6:.1f} MB"
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(card), indent=2).decode())
    elif is_factory(name) and isinstance(made, OwnPrior):
        _show_own(made, where)
    else:
        _show(card, where)
    return 0


def _show_pipeline(pipeline: "Pipeline", as_json: bool) -> int:
    """What a model in the layout of diffusers offers, without loading it."""
    offers = pipeline.offers()
    if as_json:
        print(json.dumps(offers, indent=2))
        return 0
    low, high = offers["levels"]
    print(f"{offers['name']}  ({offers['folder']})")
    for part in offers["components"]:
        size = f", {part['megabytes']:.1f} MB" if "megabytes" in part else ""
        variant = f", variant {part['variant']}" if part.get("variant") else ""
        print(f"  {part['name']:<15} {part['class']}{size}{variant}")
    print(f"  {'channels':<15} {offers['channels']}")
    print(f"  {'denoises':<15} {offers['space']}, predicts {offers['predicts']}, levels from {low:.3g} to {high:.3g}")
    print(f"  {'texts':<15} {'--prompt and --negative-prompt' if offers['texts'] else 'none'}")
    if own := pipeline.own_card:
        _print_data("trained on", own.training)
        _print_data("measured on", own.validation)
        for p in own.phases:
            print(f"  phase      {p.network}: {p.steps} steps of {p.batch}, {p.parameters:,} parameters")
        print(f"  budget     {own.seconds / 60:.0f} minutes on {own.machine}")
        for what, value in own.metrics.items():
            print(f"  {what}: {value:g}")
        print(f"  licences   of its data: {'; '.join(own.licences)}")
    for line in _certificates(offers["sha256"]) if "sha256" in offers else []:
        print(f"  {line}")
    if "sha256" in offers:
        print(f"  {'hash':<15} sha256 {offers['sha256']}, of these files")
    return 0


def _model_row(pipeline: "Pipeline", as_json: bool) -> dict[str, Any]:
    """What the list says of a model in the layout of diffusers, printed unless it will be JSON."""
    offers, own = pipeline.offers(), pipeline.own_card
    licences = [] if own is None else own.licences
    if not as_json:
        trained = f"; trained on {'; '.join(licences)}" if licences else ""
        kind = "RGB" if offers["channels"] == 3 else "grey"
        print(f"{offers['name']}: {kind}, any measurement, over {offers['space']}{trained}; {offers['folder']}")
    return {**{k: offers[k] for k in ("name", "folder", "channels", "space")}, "licences": licences}


def _guides_row(name: str, path: Path, as_json: bool) -> dict[str, Any]:
    """What the list says of a file of guides, printed unless it will be JSON."""
    from veriscale.guides.guide_file import read_guide_card

    card = read_guide_card(path)
    row = {"name": name, "file": str(path), "guides": card.parent, "target": card.arguments.target}
    if not as_json:
        by = ", ".join(card.arguments.modalities)
        print(
            f"{name}: guides {card.parent}, {card.arguments.target} by {by}; trained on {'; '.join(card.licences)}; "
            f"{path}"
        )
    return {**row, "modalities": card.arguments.modalities, "licences": card.licences}


def _show_guides(path: Path, as_json: bool) -> int:
    """The card of a file of guides, and the licences of the prior that they guide."""
    import msgspec

    from veriscale.guides.guide_file import read_guide_card, read_parent_card

    card = read_guide_card(path)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(card), indent=2).decode())
        return 0
    a, parent = card.arguments, read_parent_card(card, path)
    print(f"{card.name}  ({path}, {path.stat().st_size / 1e6:.1f} MB)")
    print(f"  guides     {card.parent} (sha256 {card.parent_sha256[:12]})")
    print(f"  restored   {a.target}, by any of {', '.join(a.modalities)}")
    print(f"  networks   width {a.width}, depth {a.depth}; fusion {a.fusion}, mix {a.mix}, tau {a.tau}")
    _print_data("trained on", card.training)
    _print_data("measured on", card.validation)
    print(f"  budget     {card.steps} steps of {card.batch}, {card.seconds / 60:.0f} minutes on {card.machine}")
    for what, value in card.metrics.items():
        print(f"  {what}: {value:g}")
    print(f"  licences   of the guides' data: {'; '.join(card.licences) or 'none'}")
    print(f"  licences   of {parent.name}'s data: {'; '.join(parent.licences) or 'none'}")
    print(f"  tensors    sha256 {card.tensors_sha256}")
    return 0


def _print_data(what: str, data: "list[Data]") -> None:
    for d in data:
        planes = ", isotropic volumes in all planes" if d.planes == "all" else ""
        print(f"  {what:<10} {d.files} files, {d.pattern}{planes}: {d.licence} (sha256 {d.sha256[:12]})")


def _show_own(prior: "OwnPrior", where: str) -> None:
    """What is known of somebody's own denoiser."""
    card, mode = prior.card, prior.mode(0)
    print(f"{card.name}  ({where})")
    print(f"  channels   {card.network.channels}")
    print("  scales     unconditional, without an encoder")
    print(f"  noise      levels from {mode.sigma_min:g} to {mode.sigma_max:g}")
    _print_data("measured on", card.validation)
    if not card.validation:
        print("  measured   not yet: stated defaults, and no alarm; veriscale.measure_prior measures it")
    for line in (*prior.notes, *_certificates(card.tensors_sha256)):
        print(f"  {line}")
    print(f"  hash       sha256 {card.tensors_sha256}, of what was stated and of {_parameters(prior.hashed)}")


def _parameters(hashed: dict[str, int]) -> str:
    """How many numbers a hash is of, and of which networks."""
    names = f" ({', '.join(sorted(filter(None, hashed)))})" if any(hashed) else ""
    return f"{sum(hashed.values()):,} parameters{names}" if hashed else "no parameters: `version` alone names it"


def _show(card: "Card", where: str) -> None:
    """The card of a trained prior."""
    network = card.network
    print(f"{card.name}  ({where})")
    print(f"  channels   {network.channels}")
    print(f"  scales     {', '.join(f'×{s}' for s in network.scales)}, and unconditional")
    print(f"  noise std  0 to {max(m.noise_std[-1] for m in card.modes):g}")
    print(f"  pictures   {card.normalisation}; the unconditional mode is about {card.mean:.3g}")
    _print_data("trained on", card.training)
    _print_data("measured on", card.validation)
    b = card.budget
    print(f"  budget     {b.encoder_steps} + {b.denoiser_steps} steps, {b.seconds / 60:.0f} minutes on {b.machine}")
    for p in b.phases:
        part = "" if p.trainable == "all" else f", {p.trainable} alone ({p.parameters:,} parameters)"
        part += "" if p.kept is None else f"; the weights of step {p.kept} were the best"
        print(f"  phase      {p.stage}.{p.network}: {p.steps} steps of {p.batch} by {p.optimiser}{part}")
    for what, value in card.metrics.items():
        print(f"  {what}: {value:g}")
    for t in card.dial:
        ratio = t.mse[-1] / t.mse[0]
        print(f"  dial table ×{t.scale}, noise {t.noise_std:g}: {t.sampler}, {t.steps} steps, MSE ratio {ratio:.2f}")
    if card.temperature != 1:
        print(
            f"  temperature {card.temperature:.3g} of .std: the spread–skill of validation draws was "
            f"{1 / card.temperature:.3g}, and is 1 with it"
        )
    if network.predictor is not None:
        print(f"  predictor  of its error, {b.predictor_steps} steps (sha256 {card.predictor_sha256[:12]})")
    for line in _certificates(card.tensors_sha256):
        print(f"  {line}")
    if not card.lineage:
        print("  lineage    trained from nothing but the data above")
    for generation, a in enumerate(card.lineage, start=1):
        scales = ", ".join(f"×{s}" for s in a.scales)
        kind = "RGB" if a.channels == 3 else "grey"
        steps = ", ".join(f"{n} {count}" for n, count in a.steps.items() if count)
        what = f"{kind}, {scales}; steps: {steps}; {a.seconds / 60:.0f} minutes"
        print(f"  ancestor   {generation}: {a.name} (sha256 {a.sha256[:12]}), {what}")
        _print_data("  trained on", a.training)
    if card.licences:
        print(f"  licences   of all data that it comes from: {'; '.join(card.licences)}")
    print(f"  tensors    sha256 {card.tensors_sha256}")


def _show_certificate(name: str, as_json: bool) -> int:
    """What a certificate is for, and what it was made from."""
    import msgspec

    from veriscale.workflows.opening import find_certificate

    held = find_certificate(name)
    facts = {
        "sha256": held.sha256,
        "binding": msgspec.to_builtins(held.binding),
        "information": {k: v for k, v in held.information.items() if k != "files"},
    }
    if as_json:
        print(json.dumps(facts, indent=2))
        return 0
    print(f"{name}  (sha256 {held.sha256[:12]})")
    promise = {"promise" if k == "mode" else k: v for k, v in facts["binding"].items() if k != "restoration"}
    for key, value in {**facts["binding"]["restoration"], **promise, **facts["information"]}.items():
        print(f"  {key:<14} {value if isinstance(value, str) else json.dumps(value)}")
    counted = "foreground's voxels" if held.of_scans else "calibration's pixels"
    meant = [held.meant] if held.meant else held.binding.declared  # where levels were declared, no other may be asked
    for level in meant or [held.usual_alpha]:
        share = held.shares(held.threshold(level)).mean()
        print(f"  {held.infeasible(level) or f'at alpha {level} about {share:.0%} of the {counted} are trusted'}")
    return 0


def _certificates(prior: str | None = None) -> list[str]:
    """A line for each certificate, or for those of one prior."""
    from veriscale.errors import InputError
    from veriscale.trust.certificate_file import read_certificate
    from veriscale.workflows.opening import known_certificates

    lines = []
    for name, path in known_certificates().items():
        try:
            held = read_certificate(path)
        except InputError as error:
            complain(str(error))
            continue
        binding, made = held.binding, held.binding.restoration
        if prior is not None and made.given().get("prior") != prior:
            continue
        size = "any size" if binding.unit.width is None else f"{binding.unit.width}×{binding.unit.height}"
        size = "scans" if held.of_scans else size
        what = f"dial {held.dial:g}" if held.command is None else held.command
        lines.append(
            f"certificate {name}: {what}, {made.operator}, noise {made.noise}, {size}, loss {binding.loss}, "
            f"n = {binding.n}; {path}"
        )
    return lines
