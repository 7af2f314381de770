"""A picture as a set of vectors: its pixels or patches, row by row."""

from dataclasses import dataclass

from attncli.core.shapes import by, count
from attncli.core.step import Array, Namespace
from attncli.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """Pixels `(… h w c)`, and how vectors are made of them.

    The picture is cut into patches of patch × patch pixels, row by row; the features of a patch go
    by (row, column, channel), as Dosovitskiy et al. 2021 flatten them. `skip` vectors stand in
    front that are no patch (a class token). Raises `InputError` where patches do not fill it.
    """

    pixels: Array
    patch: int = 1
    skip: int = 0

    def __post_init__(self) -> None:
        if self.pixels.ndim < 3 or 0 in self.pixels.shape:
            raise InputError(
                f"the picture has the shape {by(self.pixels.shape)}",
                expected="(… h w c), or a table (h w) of one channel",
                subject="input",
            )
        height, width = self.pixels.shape[-3:-1]
        if height % self.patch or width % self.patch:
            raise InputError(
                f"the picture is {height} × {width} pixels, which patches of {self.patch} × "
                f"{self.patch} do not fill",
                expected=f"a patch that divides {height} and {width}",
                found=str(self.patch),
                hint="its channels come first? layout: chw"
                if self.pixels.shape[-3] <= 4 < self.pixels.shape[-1]
                else "choose another patch, or crop the picture",
                subject="patch",
            )

    @property
    def extent(self) -> tuple[int, int]:
        """How many patches there are down and across."""
        height, width = self.pixels.shape[-3:-1]
        return int(height) // self.patch, int(width) // self.patch

    def vectors(self, xp: Namespace) -> Array:
        """`(… h w c)` → `(… n patch·patch·c)`."""
        *lead, _, _, channels = self.pixels.shape
        (rows, columns), p = self.extent, self.patch
        cut = xp.reshape(self.pixels, (*lead, rows, p, columns, p, channels))
        return xp.reshape(xp.moveaxis(cut, -4, -3), (*lead, rows * columns, p * p * channels))

    def names(self) -> tuple[str, ...]:
        """`r0c0`, `r0c1` …: row and column of each patch, counted from 0, after what is skipped."""
        rows, columns = self.extent
        front = ("class",) * self.skip
        return (*front, *(f"r{row}c{column}" for row in range(rows) for column in range(columns)))

    def place(self, vector: int) -> tuple[int, int] | None:
        """Row and column of a vector's patch; None for one that is skipped."""
        if vector < self.skip:
            return None
        return divmod(vector - self.skip, self.extent[1])

    def facts(self) -> str:
        """`5 × 10 pixels`, `4 × 4 patches of 8 × 8`."""
        rows, columns = self.extent
        if self.patch == 1:
            return f"{rows} × {count(columns, 'pixel')}"
        return f"{rows} × {columns} patches of {self.patch} × {self.patch}"
