"""What a Vision Transformer has beside its layers: picture, embedding, class token, head."""

from dataclasses import dataclass, field, replace
from typing import Any

from attncli.core.heads import Linear
from attncli.core.picture import Picture
from attncli.core.shapes import by
from attncli.errors import InputError
from attncli.files.images import as_vectors, is_picture, picture
from attncli.files.vectors import Source, Tensor, as_rows, cast, refuse_nonfinite

LINEARS = ("embedding", "pooler", "head")


@dataclass
class Vision:
    """The raw tables of a problem, in rows notation; all empty for a plain encoder."""

    made: Picture | None = None
    tables: dict[str, Tensor] = field(default_factory=dict)
    """`embedding.weight`, `class_token` and the like."""

    @classmethod
    def read(cls, source: Source, given: Tensor) -> "Vision":
        """What the problem says of a picture; `given` is its input."""
        columns = source.get("notation") == "columns"
        vision = cls()
        for key in LINEARS:
            parts = source.get(key, {})
            if key in source.entries and "weight" not in parts:
                raise InputError(
                    f"{key} has no weight", expected=f"{key}: {{weight: …, bias: …}}", subject=key
                )
            for part, entry in parts.items():
                table = source.tensor(key, entry)
                assert table is not None
                if table.ndim != (2 if part == "weight" else 1):
                    raise InputError(
                        f"{key}.{part} has the shape {by(table.shape)}",
                        expected="a table (d_in d_out)" if part == "weight" else "one vector",
                        subject=key,
                    )
                refuse_nonfinite(f"{key}.{part}", table)
                turned = as_rows(table, "columns") if columns and part == "weight" else table
                vision.tables[f"{key}.{part}"] = turned
        token = source.tensor("class_token")
        if token is not None:
            one = token.ndim == 2 and 1 in token.shape
            vision.tables["class_token"] = token.reshape(-1) if one else token
        if is_picture(source, "input", given):
            made = picture(source, "input", given)
            vision.made = replace(made, skip=int(token is not None))
        return vision

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing of it: a plain encoder."""
        return self.made is None and not self.tables

    def vectors(self, notation: str) -> Tensor:
        """The patches of the picture, as the file's tables lie."""
        assert self.made is not None
        return as_vectors(self.made, notation)

    def parts(self, dtype: str) -> dict[str, Any]:
        """The fields of a `VisionTransformer` in the computing type."""
        arrays = {name: cast(name, array, dtype) for name, array in self.tables.items()}
        linears = {
            key: Linear(arrays[f"{key}.weight"], arrays.get(f"{key}.bias"))
            for key in LINEARS
            if f"{key}.weight" in arrays
        }
        return {**linears, "class_token": arrays.get("class_token")}
