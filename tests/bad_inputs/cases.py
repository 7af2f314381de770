"""150 hand-made bad inputs: files and command lines that people really get wrong."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

GOOD = "query: [[1, 0]]\nkey: [[1, 0], [0, 1]]\nvalue: [[1], [2]]\n"
SELF = "query: [[1, 0], [0, 1]]\nkey: query\nvalue: query\n"
LONG = "query: [[1, 0], [0, 1], [1, 1]]\nkey: [[1, 0], [0, 1]]\nvalue: [[1], [2]]\n"


@dataclass(frozen=True)
class Case:
    """A command line that must fail, and the files beside it."""

    name: str
    arguments: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)


def npy(array: object) -> bytes:
    """An NPY file."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


def npz(**arrays: object) -> bytes:
    """An NPZ file."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(array) for name, array in arrays.items()})
    return buffer.getvalue()


def text(name: str, content: str, *flags: str) -> Case:
    """A problem file."""
    return Case(name, ("attend", "p.yaml", *flags), {"p.yaml": content.encode()})


def flags(name: str, *arguments: str, content: str = GOOD) -> Case:
    """Flags on a problem that is right."""
    return text(name, content, *arguments)


def tensor(name: str, file: str, content: bytes, reference: str = "") -> Case:
    """A problem whose query lies in a bad file."""
    problem = f"query: {reference or file}\nkey: [[1, 0]]\nvalue: [[1]]\n"
    return Case(name, ("attend", "p.yaml"), {"p.yaml": problem.encode(), file: content})


PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000003000000020802000000") + bytes(20)


def vision(name: str, keys: str, given: str = "[[1, 0], [0, 1]]") -> Case:
    """An encoder of one layer of two features and one head, with more keys."""
    parameters = """
  self_attn.in_proj_weight: [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0], [0, 1]]
  self_attn.out_proj.weight: [[1, 0], [0, 1]]
  linear1.weight: [[1, 0]]
  linear2.weight: [[1], [1]]
  norm1.weight: [1, 1]
  norm2.weight: [1, 1]
"""
    head = f"kind: encoder\ninput: {given}\nheads: 1\n{keys}\nparameters:"
    return text(name, head + parameters)


CELLS = [
    "1:30",
    "010",
    "0x10",
    "1_0",
    '"1"',
    "yes",
    "null",
    "~",
    "1e999",
    "1/2",
    "inf",
    "nan",
    "two",
]
CELLS += ["1,5", "١", "50%", "1d3", "- 1", "true", "NaN", "0b1", "2f", "+-1", ".", "e5"]


def cells() -> Iterator[Case]:
    """Cells that are no numbers."""
    for number, cell in enumerate(CELLS):
        content = f"query:\n  - [1, 0]\n  -\n    - {cell}\n    - 2\nkey: [[1, 0]]\n"
        yield text(f"cell {number:02} {cell}", content)


def documents() -> Iterator[Case]:
    """YAML that is wrong, or that a problem does not need."""
    yield text("empty", "")
    yield text("only a comment", "# nothing here\n")
    yield text("a list", "- 1\n- 2\n")
    yield text("a word", "query\n")
    yield text("bracket not closed", "query: [[1, 0], [0, 1]\nkey: [[1, 0]]\n")
    yield text("comma missing", "query: [[1 0]]\nkey: [[1, 0]]\n")
    yield text("no blank after the colon", "query:[[1, 0]]\nkey: [[1, 0]]\n")
    yield text("indented with a tab", "past:\n\tkey: [[1, 0]]\n")
    yield text("duplicate key", GOOD + "value: [[3], [4]]\n")
    yield text("anchor", "query: &q [[1, 0]]\nkey: [[1, 0]]\n")
    yield text("alias", "query: [[1, 0]]\nkey: *q\n")
    yield text("tag", "query: !!python/object:os.system [[1, 0]]\n")
    yield text("merge key", "<<: {causal: true}\n" + GOOD)
    yield text("second document", GOOD + "---\n" + GOOD)
    yield text("too deep", "query: " + "[" * 70 + "1" + "]" * 70 + "\n")
    yield text("control character", "title: a\x07b\n" + GOOD)
    yield Case("not UTF-8", ("attend", "p.yaml"), {"p.yaml": b"title: \xff\xfe\xfa\n"})
    yield text("unclosed quote", 'title: "one\n' + GOOD)
    yield text("JSON with a trailing word", '{"query": [[1, 0]]} extra\n')
    for theirs in ("is_causal", "attn_mask", "num_heads", "window_size", "sm_scale", "Q"):
        yield text(f"their name {theirs}", GOOD + f"{theirs}: 1\n")
    for typo in ("querry: [[1]]", "vlaue: [[1]]", "similarty: dot", "nonsense: 1"):
        yield text(f"unknown key {typo}", GOOD + typo + "\n")


def tables() -> Iterator[Case]:
    """Tables that are ragged, empty, or do not fit each other."""
    yield text("ragged", "query: [[1, 0], [1]]\nkey: [[1, 0]]\n")
    yield text("ragged block", "query: |\n  1 0\n  1 0 2\nkey: [[1, 0]]\n")
    yield text("mixed depth", "query: [[1, 0], 2]\nkey: [[1, 0]]\n")
    yield text("empty table", "query: []\nkey: [[1, 0]]\n")
    yield text("empty row", "query: [[]]\nkey: [[1, 0]]\n")
    yield text("query missing", "key: [[1, 0]]\nvalue: [[1]]\n")
    yield text("key missing", "query: [[1, 0]]\nvalue: [[1]]\n")
    yield text("nothing to compute", "similarity: dot\n")
    yield text("key too wide", "query: [[1, 0]]\nkey: [[1, 0, 2]]\nvalue: [[1]]\n")
    yield text("value too short", "query: [[1, 0]]\nkey: [[1, 0], [0, 1]]\nvalue: [[1]]\n")
    yield text("value is one vector", "query: [[1, 0]]\nkey: [[1, 0], [0, 1]]\nvalue: [1, 2]\n")
    yield text("query is a number", "query: 3\nkey: [[1, 0]]\n")
    yield text("query is a mapping", "query: {a: 1}\nkey: [[1, 0]]\n")
    yield text("circle", "query: key\nkey: query\n")
    yield text("itself", "query: query\nkey: [[1, 0]]\n")
    yield text("another that is not there", "query: value\nkey: [[1, 0]]\n")
    yield text("scores and query", GOOD + "scores: [[1, 2]]\n")
    yield text("batches differ", "query: [[[1]], [[2]]]\nkey: [[[1]], [[2]], [[3]]]\nvalue: key\n")
    yield text("source without input", "source: [[1, 0]]\n")
    yield text("input and query", "input: [[1, 0]]\nquery: [[1, 0]]\n")
    yield text("projection too tall", "input: [[1, 0]]\nprojections: {query: [[1], [2], [3]]}\n")
    yield text("parameters without heads", "input: [[1, 0]]\nparameters: {in_proj_weight: [[1]]}\n")
    yield text("bias without a table", "input: [[1, 0]]\nprojection_biases: {query: [1]}\n")
    yield text("NaN in a vector", "query: [[1, .nan]]\nkey: [[1, 0]]\n")
    yield text("infinity in a vector", GOOD.replace("[[1], [2]]", "[[1], [.inf]]"))
    yield text("overflow of float32", GOOD.replace("[[1, 0]]", "[[1e300, 0]]") + "dtype: float32\n")


def masks() -> Iterator[Case]:
    """Masks, lengths and places without one meaning."""
    yield text("mask of 0 and 1", GOOD + "mask: [[1, 0]]\n")
    yield text("key mask of 0 and 1", GOOD + "key_mask: [1, 0]\n")
    yield text("mask too wide", GOOD + "mask: [[true, false, true]]\n")
    yield text("mask transposed", LONG + "mask: [[true, true, true], [true, true, true]]\n")
    yield text("mask mixed", GOOD + "mask: [[true, 1]]\n")
    yield text("mask with NaN", GOOD + "mask: [[.nan, 0.5]]\n")
    yield text("mask of words", GOOD + "mask: [[yes, no]]\n")
    yield text("mask added, but boolean", GOOD + "mask: [[true, false]]\nmask_means: add\n")
    yield text("mask kept, but numbers", GOOD + "mask: [[0.5, 2]]\nmask_means: keep\n")
    heads = "query: [[[[1]], [[1]]], [[[1]], [[1]]]]\nkey: query\nvalue: query\n"
    yield text("three axes fit two ways", heads + "mask: [[[true]], [[true]]]\n")
    yield text("key mask of pairs", LONG + "key_mask: [[true, true], [true, true], [true, true]]\n")
    yield text("query mask too long", GOOD + "query_mask: [true, false]\n")
    yield text("causal, unequal", LONG + "causal: true\n")
    yield text("window, unequal", LONG + "window: [1, 0]\n")
    yield text("alibi, unequal", LONG + "bias: {alibi: true}\n")
    yield text("relative, unequal", LONG + "bias: {relative: [1, 0, 1]}\n")
    yield text("rope, unequal", LONG + "rope: {base: 100}\n")
    yield text(
        "align beside a cache",
        GOOD + "past: {key: [[1, 0]], value: [[3]]}\nalign: 1\ncausal: true\n",
    )
    yield text("cache too wide", GOOD + "past: {key: [[1, 0, 1]], value: [[3]]}\n")
    yield text("cache without value", GOOD + "past: {key: [[1, 0]]}\n")
    yield text("length too long", GOOD + "key_lengths: 3\n")
    yield text("length negative", GOOD + "key_lengths: -1\n")
    yield text("length not whole", GOOD + "key_lengths: 1.5\n")
    yield text("lengths for no one", GOOD + "key_lengths: [1, 2, 1]\n")
    yield text("window of one", GOOD + "window: [1]\n")
    yield text("window of words", GOOD + "window: [left, right]\n")
    yield text("even relative table", SELF + "bias: {relative: [1, 2]}\n")
    yield text("causal is no", GOOD + "causal: no\n")
    yield text("a query that sees nothing", GOOD + "mask: [[false, false]]\nmasked_row: error\n")


def computation() -> Iterator[Case]:
    """Similarities, scales, heads and the rest."""
    yield text("similarity misspelt", GOOD + "similarity: cosin\n")
    yield text("similarity without name", GOOD + "similarity: {weight: [[1]]}\n")
    yield text("parameter of another", GOOD + "similarity: {name: dot, weight: [[1]]}\n")
    yield text("weight of the wrong shape", GOOD + "similarity: {name: general, weight: [[1]]}\n")
    yield text("mlp without layers", GOOD + "similarity: mlp\n")
    wide = "similarity: {name: mlp, layers: [{weight: [[1, 1], [1, 1], [1, 1], [1, 1]]}]}\n"
    yield text("mlp gives two numbers", GOOD + wide)
    yield text("cosine of zero", "query: [[0, 0]]\nkey: [[1, 0]]\nsimilarity: cosine\n")
    yield text("cosine of a zero key", "query: [[1, 0]]\nkey: [[0, 0]]\nsimilarity: cosine\n")
    yield text("temperature zero", GOOD + "temperature: 0\n")
    yield text("softcap negative", GOOD + "softcap: -1\n")
    yield text("scale misspelt", GOOD + "scale: atuo\n")
    yield text("scale a head without heads", GOOD + "scale: [1, 2]\n")
    yield text("normalizer unknown", GOOD + "normalizer: softmx\n")
    yield text("sink with sigmoid", GOOD + "normalizer: sigmoid\nsink: 0\n")
    yield text("heads do not divide", GOOD + "heads: 3\n")
    yield text("heads zero", GOOD + "heads: 0\n")
    yield text("kv_heads alone", GOOD + "kv_heads: 1\n")
    yield text("rope odd", GOOD + "rope: {width: 3}\nalign: 0\n")
    yield text("rope too wide", GOOD + "rope: {width: 8}\nalign: 0\n")
    yield text("rope with cos alone", SELF + "rope: {cos: [[1], [1]]}\n")
    yield text("dtype unknown", GOOD + "dtype: float16\n")
    yield text("dialect unknown", GOOD + "dialect: pytorch\n")
    yield text("kind unknown", GOOD + "kind: transformer\n")
    yield text("key of another kind", GOOD + "kernel: [[1]]\n")
    yield text("labels too few", GOOD + "labels: {key: [a]}\n")
    yield text("labels without input", GOOD + "labels: [a]\n")
    yield text("columns and tokens first", GOOD + "notation: columns\nlayout: tokens-first\n")


def files() -> Iterator[Case]:
    """Files of tensors that are damaged, lie, or are not there."""
    good = npy(np.ones((2, 2)))
    yield tensor("npy cut off", "q.npy", good[:-5])
    yield tensor("npy with more", "q.npy", good + b"more")
    yield tensor("npy empty", "q.npy", b"")
    yield tensor("npy is text", "q.npy", b"1 0\n0 1\n")
    yield tensor("npy of objects", "q.npy", npy(np.array([{"a": 1}, None], dtype=object)))
    yield tensor("npy of strings", "q.npy", npy(np.array(["a", "b"])))
    yield tensor("npy of complex numbers", "q.npy", npy(np.ones((1, 2), complex)))
    yield tensor("npy that lies", "q.npy", good.replace(b"(2, 2)", b"(9, 9)"))
    yield tensor("npy of nothing", "q.npy", npy(np.ones((0, 2))))
    yield tensor("npz without the name", "d.npz", npz(a=np.ones((1, 2))), "d.npz:query")
    yield tensor("npz without a name", "d.npz", npz(a=[[1]], b=[[1]]), "d.npz")
    yield tensor("npz cut off", "d.npz", npz(a=np.ones((1, 2)))[:60], "d.npz:a")
    yield tensor("npz is text", "d.npz", b"not a zip", "d.npz:a")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    yield tensor("npz of texts", "d.npz", buffer.getvalue(), "d.npz:a")
    yield tensor(
        "safetensors garbage", "d.safetensors", b"\x08\0\0\0\0\0\0\0garbage!", "d.safetensors:a"
    )
    yield tensor("csv ragged", "t.csv", b"1,0\n1\n")
    yield tensor("csv with a word", "t.csv", b"1,0\n1,two\n")
    yield tensor("csv empty", "t.csv", b"")
    for name, content in {"png that is none": b"GIF89a nothing", "png cut off": PNG[:40]}.items():
        files = {"p.yaml": b"input: q.png\n", "q.png": content}
        yield Case(name, ("attend", "p.yaml"), files)
    yield tensor("png as a query", "q.png", PNG)
    yield text("patch without input", GOOD + "patch: 2\n")
    yield text("layout of a picture without input", GOOD + "layout: chw\n")
    yield text("patch that does not fill", "input: [[1, 0, 1], [0, 1, 1]]\npatch: 2\n")
    yield text("patch of a vector", "input: [1, 0]\npatch: 1\n")
    yield text("labels of a class", GOOD + "labels: {class: [cat]}\n")
    yield text(
        "heads beside another number of tables",
        "input: [[1, 0]]\nheads: 3\nprojections: {query: [[[1], [0]], [[0], [1]]], "
        "key: [[[1], [0]], [[0], [1]]], value: [[[1], [0]], [[0], [1]]]}\n",
    )
    packed = "input: [[1, 0]]\nheads: 1\nparameters:\n  in_proj_weight: [[1, 0], [0, 1], [1, 0], "
    packed += "[0, 1], [1, 0], [0, 1]]\n  out_proj.weight: [[1, 0], [0, 1]]\n"
    yield text("bias_k without bias_v", packed + "  bias_k: [1, 1]\n")
    yield text("bias_v without bias_k", packed + "  bias_v: [1, 1]\n")
    yield text("in_proj_bias too short", packed + "  in_proj_bias: [1, 1]\n")
    yield text("bias_k too long", packed + "  bias_k: [1, 1, 1]\n  bias_v: [1, 1, 1]\n")
    yield Case("a picture as a problem", ("attend", "q.png"), {"q.png": PNG})
    yield vision("embedding without weight", "embedding: {bias: [1, 1]}")
    yield vision("embedding of another width", "embedding: {weight: [[1, 0]]}")
    yield vision("class token of another width", "class_token: [1, 0, 0]")
    yield vision("head of another width", "class_token: [1, 0]\nhead: {weight: [[1]]}")
    yield vision("pooler without class token", "pooler: {weight: [[1, 0], [0, 1]]}")
    yield vision("positions too few", "class_token: [1, 0]\npositions: [[1, 0], [0, 1]]")
    yield vision(
        "positions too many", "patch: 1\npositions: [[1, 0], [0, 1], [1, 1]]", "[[[1, 0]]]"
    )
    yield Case(
        "directory without config",
        ("attend", "p.yaml"),
        {"p.yaml": b"kind: encoder\ninput: [[1, 0]]\nparameters: ./\n"},
    )
    yield tensor("unknown suffix", "q.xlsx", b"PK", "q.xlsx")
    yield text("file missing", "query: q.npy\nkey: [[1, 0]]\n")
    yield Case("problem missing", ("attend", "nope.yaml"))
    yield Case("problem misspelt", ("attend", "p.yml"), {"p.yaml": GOOD.encode()})
    yield Case("problem is a directory", ("attend", "."))
    yield Case("one array", ("attend", "q.npy"), {"q.npy": good})
    yield Case("two files", ("attend", "q.npy", "k.npy"), {"q.npy": good, "k.npy": good})
    yield Case("npz without query", ("attend", "d.npz"), {"d.npz": npz(a=[[1.0]])})


def command_lines() -> Iterator[Case]:
    """Command lines that are wrong."""
    yield Case("no such command", ("atend", "p.yaml"))
    yield Case("no problem", ("attend",))
    yield flags("no such option", "--causl")
    yield flags("option without a value", "--scale")
    yield flags("bad window", "--window", "3")
    yield flags("bad mask", "--mask", "[[true]")
    yield flags("mask in a flag of 0 and 1", "--mask", "[1, 0]")
    yield flags("set without a value", "--set", "causal")
    yield flags("set an unknown key", "--set", "rope.bse=3")
    yield flags("set inside a number", "--set", "softcap.x=3")
    yield flags("set a bad value", "--set", "masked_row=none")
    yield flags("unknown step", "--steps", "wieghts")
    yield flags("focus not there", "--focus", "9")
    yield flags("focus by no name", "--focus", "dog")
    yield flags("focus on no axis", "--focus", "row=1")
    yield flags("focus on nothing", "--focus", "key=2:1")
    twice = LONG + "labels: {query: [a, b, a]}\n"
    yield flags("focus on a name that occurs twice", "--focus", "a", content=twice)
    yield flags("digits", "--digits", "99")
    yield flags("width", "--width", "3")
    yield flags("color", "--color", "sometimes")
    yield flags("format", "--format", "pdf")
    yield flags("memory in words", "--max-memory", "much")
    yield flags("memory too small", "--max-memory", "10")
    yield flags("backend", "--backend", "tpu")
    yield flags("notation", "--notation", "diagonal")
    yield flags("output suffix", "-o", "out.docx")
    yield flags("output directory", "-o", "no/such/out.npz")
    yield Case(
        "output exists",
        ("attend", "p.yaml", "-o", "p.json"),
        {"p.yaml": GOOD.encode(), "p.json": b"{}"},
    )
    yield Case("inspect nothing", ("inspect",))
    yield Case("inspect what is not there", ("inspect", "x.npz"))
    yield Case(
        "convert to nothing", ("inspect", "p.yaml", "-o", "p.doc"), {"p.yaml": GOOD.encode()}
    )
    yield Case(
        "convert several to one", ("inspect", "p.yaml", "-o", "p.npy"), {"p.yaml": GOOD.encode()}
    )
    yield Case("new what", ("new", "transformr"))
    yield Case("new for nothing", ("new", "-o", "x.yaml"))
    yield Case("new over a file", ("new", "causal", "-o", "p.yaml"), {"p.yaml": b"mine"})
    yield Case("backends what", ("backends", "remove"))
    yield Case("completion", ("--show-completion", "tcsh"))


CASES = [
    *cells(),
    *documents(),
    *tables(),
    *masks(),
    *computation(),
    *files(),
    *command_lines(),
]
