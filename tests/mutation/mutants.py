"""The mutants of a module: one small change each, by the operators of Cosmic Ray.

Of its operators those are taken that Offutt et al. (1996, "An experimental determination of
sufficient mutant operators") found to be enough, one or two replacements for each sign: of the
other hundred nearly all are killed by the same tests, or by a TypeError.

Left out is what decides no result: annotations, the options of decorators (`frozen`, `maxsize`),
`if TYPE_CHECKING`, the `strict` of `zip`; and stars that unpack, which are no products.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

BINARY = "Add_Sub Sub_Add Mul_Div Mul_Add Div_Mul FloorDiv_Mul Mod_FloorDiv Pow_Mul RShift_LShift"
BINARY += " LShift_RShift BitOr_BitAnd BitAnd_BitOr BitXor_BitAnd"
COMPARED = "Eq_NotEq NotEq_Eq Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot"
COMPARED += " IsNot_Is"
OTHERS = "ReplaceUnaryOperator_Delete_USub ReplaceUnaryOperator_Delete_Invert"
OTHERS += " ReplaceUnaryOperator_Delete_Not AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue"
OTHERS += " ReplaceAndWithOr ReplaceOrWithAnd ReplaceBreakWithContinue ReplaceContinueWithBreak"
OTHERS += " ExceptionReplacer NumberReplacer RemoveDecorator ZeroIterationForLoop"
OPERATORS = [
    *(f"core/ReplaceBinaryOperator_{name}" for name in BINARY.split()),
    *(f"core/ReplaceComparisonOperator_{name}" for name in COMPARED.split()),
    *(f"core/{name}" for name in OTHERS.split()),
]

Position = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """The `occurrence`-th place of a module that an operator changes, from `start` to `end`."""

    operator: str
    occurrence: int
    start: Position
    end: Position

    def source(self, sound: str) -> str:
        """The module with this change in it."""
        changed = mutate_code(sound, get_operator(self.operator)(), self.occurrence)
        assert changed is not None
        return str(changed)


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    nodes = list(ast_nodes(get_ast(source)))
    silent = _silent(source)
    stars = {
        node.start_pos
        for node in nodes
        if node.type == "operator"
        and node.value in ("*", "**", "/")
        and node.parent.type not in ("term", "power")
    }
    for name in OPERATORS:
        operator = get_operator(name)()
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, (start, end) in enumerate(places):
            if start not in stars and not any(first <= start < last for first, last in silent):
                yield Mutant(name, occurrence, start, end)


def _silent(source: str) -> list[tuple[Position, Position]]:
    """Where a module says what nothing computes with."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef():
                found.append(node.returns)
                found += [word.value for word in _options(node)]
            case ast.ClassDef():
                found += [word.value for word in _options(node)]
            case ast.arg() | ast.AnnAssign():
                found.append(node.annotation)
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                found.append(node.test)
            case ast.keyword(arg="strict"):
                found.append(node.value)
    return [
        ((one.lineno, one.col_offset), (one.end_lineno or 0, one.end_col_offset or 0))
        for one in found
        if one is not None
    ]


def _options(node: ast.FunctionDef | ast.ClassDef) -> list[ast.keyword]:
    calls = [one for one in node.decorator_list if isinstance(one, ast.Call)]
    return [word for call in calls for word in call.keywords]
