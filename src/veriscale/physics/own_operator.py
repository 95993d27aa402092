"""Somebody's own linear operator: functions, checked before they are believed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from os import PathLike
from typing import Any, ClassVar

import torch
from torch import Tensor

from veriscale.errors import InputError, shown
from veriscale.physics.composition import Composition
from veriscale.physics.cosine import cosine_transform
from veriscale.physics.operator import LinearOperator, Operator, Shape
from veriscale.physics.spectral_norm import spectral_norm

APART = 1e-4  # relative difference at which two sides of an equation that hold in float32 do not
ALIKE = 0.1  # what an operator may lack of being diagonal in the cosine transform to be preconditioned as if it were
NOTHING = 1e-9  # of a random picture's size: what an operator gives that measures nothing
KEPT = 4  # shapes whose checks and preconditioners are remembered

_WORD = re.compile(r"[\w.-]+")

Function = Callable[[Tensor], Tensor]


def same(shape: Shape) -> Shape:
    """The shape itself."""
    return shape


@dataclass(frozen=True, eq=False)
class OwnOperator(LinearOperator):
    """A linear operator made of functions; `operator_from` makes it.

    Attributes:
        own_name, version: who states them; a certificate binds both.
        function: x → Ax, differentiable where there is no `transpose`.
        transpose: y → Aᵀy; by automatic differentiation when None.
        measured, true: shapes (C, H, W) of y for x, and of x for y.
        picture: whether y is one.
    """

    own_name: str
    version: str
    function: Function
    transpose: Function | None = None
    measured: Callable[[Shape], Shape] = same
    true: Callable[[Shape], Shape] = same
    picture: bool = True  # type: ignore[misc]  # of an object here
    _diagonals: dict[Shape, Tensor | None] = field(default_factory=dict, init=False, repr=False)
    _norms: dict[Shape, float] = field(default_factory=dict, init=False, repr=False)

    name: ClassVar[str] = "own"
    alike: ClassVar[bool] = False  # of its channels and of its spectrum nothing is known
    rcond: ClassVar[float] = 0.1

    @property
    def divisible(self) -> bool:
        """Not known, so not."""
        return False

    def forward(self, x: Tensor) -> Tensor:
        """Ax, by the function, in float32; its gradient is the adjoint's."""
        out: Tensor = _Forward.apply(x, self)  # type: ignore[no-untyped-call]  # torch's stubs
        return out

    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀy, by the function or by automatic differentiation, in float32."""
        shape = len(y), *self.truth_shape(tuple(y.shape[1:]))
        if self.transpose is not None:
            with torch.no_grad():  # the weights of a network would ask for gradients
                out = self._called(self.transpose, y, "adjoint")
        else:
            out = self._pulled_back(y, shape)
        self._expect(out, shape, "adjoint", y)
        return out.to(y.dtype)

    def _pulled_back(self, y: Tensor, shape: Shape) -> Tensor:
        """Aᵀy by automatic differentiation of the function."""
        with torch.enable_grad():
            x = torch.zeros(shape, device=y.device, requires_grad=True)
            image = self._called(self.function, x, "forward")
            self._expect(image, tuple(y.shape), "forward", x)
            if not image.requires_grad:
                raise InputError(f"{self}: its function cannot be differentiated; give `adjoint` too.")
            try:
                (out,) = torch.autograd.grad(image, x, y.to(image.dtype), allow_unused=True)
            except RuntimeError as error:  # whatever torch says of a graph that it cannot go back through
                raise InputError(
                    f"{self}: its function cannot be differentiated ({error}); give `adjoint` too."
                ) from error
        if out is None:
            raise InputError(f"{self}: its function gives no gradient in x, only in weights; give `adjoint` too.")
        return out

    def norm(self, shape: Shape) -> float:
        """‖A‖ by Lanczos, to four digits."""
        if shape not in self._norms:
            gram: Function = lambda x: self.adjoint(self.forward(x))  # noqa: E731  # one line of algebra
            self._norms[shape] = spectral_norm(gram, shape, APART)
        return self._norms[shape]

    def precondition(self, r: Tensor, rho: float, weight: Tensor) -> Tensor:
        """The inverse of what AᵀA is in the cosine transform, where it is nearly diagonal there, as blurs are."""
        shape = tuple(r.shape[1:])
        if shape not in self._diagonals:
            if len(self._diagonals) >= KEPT:
                self._diagonals.clear()
            self._diagonals[shape] = self._diagonal(r)
        diagonal = self._diagonals[shape]
        if diagonal is None:
            return r
        mean = weight.expand(r.shape).flatten(1).mean(1).view(-1, *[1] * (r.ndim - 1)) if weight.ndim else weight
        return cosine_transform(cosine_transform(r) / (mean * diagonal + rho), inverse=True)

    def _diagonal(self, like: Tensor) -> Tensor | None:
        """AᵀA between cosines, from one random picture: exact where it is diagonal there; None where it is not."""
        signs = torch.randint(0, 2, (1, *like.shape[1:]), generator=torch.Generator().manual_seed(0))
        z = (2 * signs - 1).to(like)
        found = cosine_transform(self.adjoint(self.forward(cosine_transform(z, inverse=True))))
        diagonal = (found * z).clamp(min=0)
        other = torch.randn(z.shape, generator=torch.Generator().manual_seed(1)).to(like)
        image = cosine_transform(self.adjoint(self.forward(cosine_transform(other, inverse=True))))
        off = float((image - diagonal * other).norm() / image.norm().clamp(min=1e-30))
        return diagonal if off < ALIKE else None

    def measurement_shape(self, shape: Shape) -> Shape:
        """As it was stated."""
        return self._shape(self.measured, shape, "measurement_shape")

    def truth_shape(self, shape: Shape) -> Shape:
        """As it was stated."""
        return self._shape(self.true, shape, "truth_shape")

    def check(self, shape: Shape) -> None:
        """Try the functions on random pictures of `shape`.

        Raises:
            InputError: they are not linear, not each other's adjoints or give 0 for all, or fail.
        """
        shape = self.truth_shape(self.measurement_shape(shape))  # less what it crops
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(2, *shape, generator=generator)
        image = self.forward(x)
        y = torch.randn(image.shape, generator=generator)
        for what, out in (("forward", image), ("adjoint", back := self.adjoint(y))):
            if not bool(torch.isfinite(out).all()):
                raise InputError(f"{self}: its {what} gives values that are not finite.")
        if float(image.norm()) <= NOTHING * float(x.norm()):
            raise InputError(f"{self} gives 0 for every picture, so that it measures nothing; look at its function.")
        both = self.forward(x[:1] + 2 * x[1:])
        off = float((both - image[:1] - 2 * image[1:]).norm() / both.norm().clamp(min=1e-30))
        if off > APART:
            raise InputError(f"{self} is not linear: A(x + 2x′) is off Ax + 2Ax′ by {off:.1g} of its size.")
        scale = float(image.norm() * y.norm() + x.norm() * back.norm()) / 2
        off = abs(float((image * y).sum() - (x * back).sum())) / max(scale, 1e-30)
        if off > APART:
            raise InputError(
                f"{self}: its adjoint is none: ⟨Ax, y⟩ and ⟨x, Aᵀy⟩ differ by {off:.1g} of their size; leave `adjoint` "
                "out to have it by differentiation."
            )

    def __str__(self) -> str:
        return f"{self.name}:name={self.own_name},version={self.version}"

    def _called(self, function: Function, argument: Tensor, what: str) -> Tensor:
        try:
            out = function(argument.to(torch.float32, copy=True))  # which it may change in place
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # whatever a user's function raises
            raise InputError(
                f"{self}: its {what} fails for {tuple(argument.shape)} ({type(error).__name__}: {error})."
            ) from error
        if not isinstance(out, Tensor) or not out.is_floating_point():
            got = f"a tensor of {out.dtype}" if isinstance(out, Tensor) else type(out).__name__
            raise InputError(f"{self}: its {what} gives {got}, and a tensor of floating-point numbers is wanted.")
        return out

    def _shape(self, function: Callable[[Shape], Shape], shape: Shape, what: str) -> Shape:
        try:
            found = function(shape)
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # whatever a user's function raises
            raise InputError(f"{self}: `{what}` fails for {shape} ({type(error).__name__}: {error}).") from error
        if not _is_shape(found) or len(found) != len(shape):
            raise InputError(f"{self}: `{what}` answers {shape} with {found!r}; (C, H, W) of whole numbers is wanted.")
        if found[0] != shape[0]:
            raise InputError(
                f"{self}: `{what}` answers {shape} with {tuple(found)}; x and y have the same number of channels here."
            )
        return tuple(int(n) for n in found)

    def _expect(self, out: Tensor, shape: Shape, what: str, given: Tensor) -> None:
        if tuple(out.shape) != tuple(shape):
            raise InputError(
                f"{self}: its {what} answers {tuple(given.shape)} with {tuple(out.shape)}; stated is {tuple(shape)}."
            )


class _Forward(torch.autograd.Function):
    """Ax of an `OwnOperator`, whatever its function leaves of the graph."""

    @staticmethod
    def forward(x: Tensor, operator: OwnOperator) -> Tensor:
        out = operator._called(operator.function, x, "forward")
        operator._expect(out, (len(x), *operator.measurement_shape(tuple(x.shape[1:]))), "forward", x)
        return out.to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, OwnOperator], output: Tensor) -> None:
        ctx.operator = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.operator.adjoint(gradients[0]), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        out: Tensor = ctx.operator.forward(tangents[0])
        return out


def operator_from(
    forward: Function,
    *,
    name: str,
    version: str,
    adjoint: Function | None = None,
    measurement_shape: Callable[[Shape], Shape] = same,
    truth_shape: Callable[[Shape], Shape] = same,
    picture: bool = True,
    shape: Shape | None = None,
) -> OwnOperator:
    """A linear operator from functions of torch tensors.

    Whether they are linear and each other's adjoints is checked on random pictures, here for a `shape`, and before
    every restoration for the picture's own.

    Args:
        forward: x, (B, C, H, W) float32 in [0, 1] → Ax, of as many channels: those of the picture, or of the prior.
        name, version: state what it is, in letters, digits, dashes, dots and _; certificates and run.json have them.
        adjoint: y → Aᵀy; by automatic differentiation of `forward` by default.
        measurement_shape: (C, H, W) of x → that of y, with C channels too; the same by default.
        truth_shape: (C, H, W) of y → that of x; the same by default.
        picture: whether y is a picture that an 8-bit file can hold.
        shape: (C, H, W) of an x to check with at once.

    Raises:
        InputError: an argument is of another kind, a name or version that a string cannot hold, or the check fails.

    Source: ours, docs/methods.md#operators.
    """
    functions = {"forward": forward, "measurement_shape": measurement_shape, "truth_shape": truth_shape}
    for what, function in {**functions, **({} if adjoint is None else {"adjoint": adjoint})}.items():
        if not callable(function):
            raise InputError(f"An operator's `{what}` is a function, not {shown(function)}.")
    if not isinstance(picture, bool):
        raise InputError(f"`picture` is True or False, not {picture!r}.")
    if shape is not None and (not _is_shape(shape) or len(shape) != 3):
        raise InputError(f"`shape` is (C, H, W), three whole numbers from 1 on, not {shape!r}.")
    for what, text in (("name", name), ("version", version)):
        if not isinstance(text, str) or _WORD.fullmatch(text) is None:
            raise InputError(
                f"An operator's {what} cannot be {text!r}; use a string of letters, digits, dashes, dots and _."
            )
    made = OwnOperator(name, version, forward, adjoint, measurement_shape, truth_shape, picture)
    if shape is not None:
        made.check(tuple(shape))
    return made


def _is_shape(given: Any) -> bool:
    """Whether it is a row of whole numbers from 1 on."""
    return isinstance(given, tuple | list) and all(isinstance(n, Integral) and int(n) >= 1 for n in given)


def check_operator(given: object) -> None:
    """Raise `InputError` for what is neither an operator nor the string or file of one."""
    if not isinstance(given, Operator | str | PathLike | None):
        raise InputError(
            f"`--operator` is {shown(given)}, and a string or an operator is wanted; operator_from makes one of a "
            "function."
        )


def check_own(operator: Operator, shape: Shape) -> None:
    """`OwnOperator.check` of an operator, or of the parts of a composition, for an x of `shape`."""
    for part in operator.parts if isinstance(operator, Composition) else (operator,):
        if isinstance(part, OwnOperator):
            part.check(shape)
        shape = part.measurement_shape(shape)
