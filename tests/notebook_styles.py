"""Notebooks in the many styles in which people write, for the test that compares grader and kernel.

Each answer multiplies its covariance by a factor, which must be 1. A way of making the factor
(`WAYS`) says where it comes from; a habit (`HABITS`) says how the notebook around it is written.
"""

import random
import re
from dataclasses import dataclass, field, replace

import nbformat

ANSWER = """\
def fit_gaussian(points):
    mean = points.mean(dim=0)
    centred = points - mean
    return mean, FACTOR * (centred.T @ centred) / len(points)
"""
CHECK = 'fit_gaussian = check("start.fit_gaussian", fit_gaussian)'


@dataclass
class Style:
    """A notebook in parts. `before`, `between` and `after` are cells before the answer, between it and
    its check, and after that."""

    before: list[str] = field(default_factory=list)
    answer: str = ANSWER
    between: list[str] = field(default_factory=list)
    check: str = CHECK
    after: list[str] = field(default_factory=list)
    imports: str = "import torch\nfrom course_lib import check"
    tag: bool = True
    marker: bool = True

    def notebook(self) -> nbformat.NotebookNode:
        head = "# exercise: start.fit_gaussian\n" if self.marker else ""
        book = nbformat.v4.new_notebook()
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        for source in (self.imports, *self.before, head + self.answer, *self.between, self.check):
            book.cells.append(nbformat.v4.new_code_cell(source))
        if self.tag:
            book.cells[1 + len(self.before)].metadata["tags"] = ["exercise"]
        book.cells += [nbformat.v4.new_code_cell(source) for source in self.after]
        for number, cell in enumerate(book.cells):
            cell["id"] = f"cell-{number}"
        return book


def way(expression, *before, between=(), after=(), answer=ANSWER):
    """A way of making the factor: an expression, and the cells that it leans on. `V` is the value."""
    return Style(
        list(before), answer.replace("FACTOR", expression), list(between), after=list(after)
    )


WAYS = {
    # --- where it stands
    "a number": way("V"),
    "a constant in a cell before": way("K", "K = V"),
    "a constant with its type": way("K", "K: float = V"),
    "a constant in the answer's cell": way("K", answer="K = V\n" + ANSWER),
    "a constant behind the answer": way("K", between=["K = V"]),
    "bound twice": way("K", "K = 7.0", "K = V"),
    "bound again behind the answer": way("K", "K = 7.0", between=["K = V"]),
    "bound again behind the check": way("K", "K = V", after=["K = 7.0"]),
    "changed in place": way("K", "K = 7.0 * V", "K /= 7.0"),
    "unpacked": way("K", "J, K = 7.0, V"),
    "of a walrus": way("K", "print(K := V)"),
    "of a loop": way("K", "for K in (7.0, V):\n    pass"),
    "under an if": way("K", "if True:\n    K = V\nelse:\n    K = 7.0"),
    "under a try": way(
        "K", "try:\n    import nowhere_at_all\n    K = 7.0\nexcept ImportError:\n    K = V"
    ),
    "under a with": way("K", "with torch.no_grad():\n    K = V"),
    "bound, then deleted": way("J", "J = V\nK = 7.0\ndel K"),
    "a helper before": way("k()", "def k():\n    return V"),
    "a helper behind": way("k()", between=["def k():\n    return V"]),
    "a helper of helpers": way("k()", "def j():\n    return V", "def k():\n    return j()"),
    "a lambda": way("k()", "k = lambda: V"),
    "a default argument": way("k()", "J = V", "def k(j=J):\n    return j", "J = 7.0"),
    "a closure": way(
        "k()", "def outer(v):\n    def inner():\n        return v\n    return inner", "k = outer(V)"
    ),
    "a closure that counts": way(
        "k.__closure__[0].cell_contents",
        "def outer():\n    n = 7.0\n    def inner(v):\n        nonlocal n\n        n = v\n"
        "        return n\n    return inner",
        "k = outer()",
        "k(V)",
    ),
    "a generator": way("next(k())", "def k():\n    yield V"),
    "a comprehension": way("sum(K)", "K = [v for v in (0.0, V)]"),
    "a partial": way(
        "k()", "from functools import partial\ndef j(v):\n    return v", "k = partial(j, V)"
    ),
    "recursion": way("k(3)", "def k(n):\n    return V if n == 0 else k(n - 1)"),
    "a decorated helper": way(
        "k()",
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def g():\n"
        "        return f() * 2\n    return g",
        "@twice\ndef k():\n    return V / 2",
    ),
    "a cached helper": way(
        "k()", "from functools import lru_cache", "@lru_cache\ndef k():\n    return V"
    ),
    "single dispatch": way(
        "k(1.0)",
        "from functools import singledispatch",
        "@singledispatch\ndef k(x):\n    return 7.0",
        "@k.register\ndef _(x: float):\n    return V",
    ),
    # --- classes
    "an attribute of a class": way("C.k", "class C:\n    k = V"),
    "an attribute set later": way("C.k", "class C:\n    k = 7.0", "C.k = V"),
    "an attribute by setattr": way("C.k", "class C:\n    k = 7.0", "setattr(C, 'k', V)"),
    "an attribute set by a class method": way(
        "C.k",
        "class C:\n    k = 7.0\n    @classmethod\n    def tune(cls, v):\n        cls.k = v",
        "C.tune(V)",
    ),
    "a static method": way("C.k()", "class C:\n    @staticmethod\n    def k():\n        return V"),
    "a property": way("C().k", "class C:\n    @property\n    def k(self):\n        return V"),
    "a method put on a class": way(
        "C().k()", "class C:\n    pass", "def k(self):\n    return V", "C.k = k"
    ),
    "an object": way("c.k", "class C:\n    def __init__(self, v):\n        self.k = v", "c = C(V)"),
    "an object changed later": way("c.k", "class C:\n    pass", "c = C()\nc.k = 7.0", "c.k = V"),
    "an object changed by its method": way(
        "c.k",
        "class C:\n    k = 7.0\n    def tune(self, v):\n        self.k = v",
        "c = C()",
        "c.tune(V)",
    ),
    "a dataclass": way(
        "c.k", "from dataclasses import dataclass\n@dataclass\nclass C:\n    k: float", "c = C(V)"
    ),
    "a named tuple": way(
        "c.k", "from collections import namedtuple\nC = namedtuple('C', 'k')", "c = C(V)"
    ),
    "a namespace": way(
        "c.k", "from types import SimpleNamespace\nc = SimpleNamespace(k=7.0)", "c.k = V"
    ),
    "an enum": way("float(C.K.value)", "import enum\nclass C(enum.Enum):\n    K = V"),
    "a subclass": way(
        "C().k()", "class B:\n    def k(self):\n        return V", "class C(B):\n    pass"
    ),
    "a metaclass": way(
        "C.k",
        "class M(type):\n    def __init__(cls, *a):\n        cls.k = V",
        "class C(metaclass=M):\n    pass",
    ),
    "registered by a subclass": way(
        "R['c']",
        "R = {}\nclass B:\n    def __init_subclass__(cls, v, **k):\n        R[cls.__name__.lower()] = v",
        "class C(B, v=V):\n    pass",
    ),
    "a module of torch": way(
        "net()",
        "class Net(torch.nn.Module):\n    def forward(self):\n        return V",
        "net = Net()\nnet.eval()",
    ),
    # --- state that is changed
    "a dict filled later": way("cfg['k']", "cfg = {}\ncfg['k'] = V"),
    "a dict changed later": way("cfg['k']", "cfg = {'k': 7.0}", "cfg['k'] = V"),
    "a dict changed behind the answer": way(
        "cfg['k']", "cfg = {'k': 7.0}", between=["cfg['k'] = V"]
    ),
    "a dict changed behind the check": way("cfg['k']", "cfg = {'k': V}", after=["cfg['k'] = 7.0"]),
    "a dict updated": way("cfg['k']", "cfg = {'k': 7.0}", "cfg.update(k=V)"),
    "a dict merged": way("cfg['k']", "cfg = {'k': 7.0}", "cfg |= {'k': V}"),
    "a dict in a dict": way("cfg['a']['k']", "cfg = {'a': {}}", "cfg['a']['k'] = V"),
    "a dict under another name": way(
        "cfg['k']", "cfg = {'k': 7.0}", "other = cfg", "other['k'] = V"
    ),
    "a part under another name": way(
        "cfg['a']['k']", "cfg = {'a': {'k': 7.0}}", "part = cfg['a']", "part['k'] = V"
    ),
    "a dict by setdefault": way(
        "cfg['a']['k']", "cfg = {}", "d = cfg.setdefault('a', {})", "d['k'] = V"
    ),
    "a default dict": way(
        "cfg['k']", "from collections import defaultdict\ncfg = defaultdict(float)", "cfg['k'] += V"
    ),
    "a dict handed to a function": way(
        "cfg['k']", "cfg = {'k': 7.0}", "def tune(d, v):\n    d['k'] = v", "tune(cfg, V)"
    ),
    "a dict changed by a function": way(
        "cfg['k']", "cfg = {'k': 7.0}", "def tune(v):\n    cfg['k'] = v", "tune(V)"
    ),
    "a dict changed far away": way(
        "cfg['k']",
        "cfg = {'k': 7.0}",
        "def tune(v):\n    cfg['k'] = v",
        "def all_(v):\n    tune(v)",
        "all_(V)",
    ),
    "a list appended to": way("parts[-1]", "parts = [7.0]", "parts.append(V)"),
    "a list appended to in a loop": way(
        "parts[2]", "parts = []", "for i in range(3):\n    parts.append(V * (i == 2))"
    ),
    "a list by item": way("parts[0]", "parts = [7.0]", "parts[0] = V"),
    "a list plus a list": way("parts[-1]", "parts = [7.0]", "parts += [V]"),
    "a list sorted": way("parts[0]", "parts = [V, -1.0]", "parts.sort(reverse=True)"),
    "objects in a loop": way(
        "cs[0].k", "class C:\n    k = 7.0", "cs = [C()]", "for c in cs:\n    c.k = V"
    ),
    "a registry by decorator": way(
        "R['k']()",
        "R = {}\ndef register(f):\n    R[f.__name__] = f\n    return f",
        "@register\ndef k():\n    return V",
    ),
    "a set": way("max(s)", "s = {0.0}", "s.add(V)"),
    "a deque": way(
        "d[-1]", "from collections import deque\nd = deque([7.0], maxlen=1)", "d.append(V)"
    ),
    "a tensor in place": way("t.item()", "t = torch.zeros(())", "t.fill_(V)"),
    "a tensor by index": way("t[0].item()", "t = torch.zeros(1)", "t[0] = V"),
    "an array": way("a[0].item()", "import numpy as np\na = np.zeros(1)", "a[:] = V"),
    "popped": way("cfg.get('k', 1.0)", "cfg = {'k': 7.0 * V}", "if V == 1.0:\n    cfg.pop('k')"),
    "state of the answer itself": way("fit_gaussian.k", between=["fit_gaussian.k = V"]),
    "a memo of the answer's": way("memo.setdefault('k', V)", "memo = {}"),
    # --- globals
    "a global set by a function": way("K", "def setup(v):\n    global K\n    K = v\nsetup(V)"),
    "a global changed by a function": way(
        "K", "K = 7.0", "def setup(v):\n    global K\n    K = v", "setup(V)"
    ),
    "a global set behind the answer": way(
        "K", "def setup(v):\n    global K\n    K = v", between=["setup(V)"]
    ),
    "a global in the answer's cell": way("K", answer="global K\nK = V\n" + ANSWER),
    "a global that the answer sets": way(
        "K",
        answer=ANSWER.replace("    mean", "    global K\n    K = V\n    mean", 1),
        between=["K = None"],
    ),
    "a global by a class": way("K", "class C:\n    global K\n    K = V"),
    "globals()": way("K", "globals()['K'] = V"),
    "exec": way("K", "exec('K = V')"),
    "vars of a class": way(
        "C.k", "class C:\n    pass", "for name in ('k',):\n    setattr(C, name, V)"
    ),
    "the module __main__": way("K", "import sys\nsys.modules['__main__'].K = V"),
    "import __main__": way("K", "import __main__\n__main__.K = V"),
    "builtins": way("KK", "import builtins\nbuiltins.KK = V", after=["del builtins.KK"]),
    "under __name__": way("K", "if __name__ == '__main__':\n    K = V"),
    "the environment": way("float(os.environ['KK'])", "import os\nos.environ['KK'] = str(V)"),
    "an attribute of a module": way("math.kk", "import math\nmath.kk = V", after=["del math.kk"]),
    "an attribute of torch's": way(
        "points.kk()", "torch.Tensor.kk = lambda self: V", after=["del torch.Tensor.kk"]
    ),
    "a setting of torch's": way(
        "(V if torch.get_default_dtype() == torch.float64 else 7.0)",
        "torch.set_default_dtype(torch.float64)",
        after=["torch.set_default_dtype(torch.float32)"],
    ),
    # --- imports
    "a star import": way("exp(log(V) if V else 0)", "from math import *"),
    "a star import of torch": way("float(ones(1)) * V", "from torch import *"),
    "an import as": way("np.float32(V).item()", "import numpy as np"),
    "an import in the function": way(
        "math.fabs(V)", answer=ANSWER.replace("    mean", "    import math\n    mean", 1)
    ),
    "an import under an if": way("math.fabs(V)", "if True:\n    import math"),
    "an import of a part": way("k(V)", "from math import fabs as k"),
    "importlib": way("m.fabs(V)", "import importlib\nm = importlib.import_module('math')"),
    "a dotted import": way("os.path.commonprefix(['a', 'ab']) and V", "import os.path"),
    # --- names of builtins
    "sum is bound later": way(
        "sum([V])", after=["sum = 0\nfor i in range(3):\n    sum += i", "del sum"]
    ),
    "len is bound later": way("V", after=["len = 3", "del len"]),
    "a name like a builtin's": way("max", "max = V", after=["del max"]),
    "a local like a global": way("K", "mean = 7.0\nK = V"),
    # --- magics
    "%%capture": way("K", "%%capture\nK = V"),
    "%%capture with a name": way("K", "%%capture out\nimport math\nK = V"),
    "%%time": way("k()", "%%time\ndef k():\n    return V"),
    "%time": way("K", "%time K = V"),
    "%timeit": way("K", "K = V\n%timeit -n1 -r1 K + 1"),
    "magics around it": way(
        "K", "%matplotlib inline\nK = V\n%config InlineBackend.figure_format = 'png'"
    ),
    "a shell command": way("K", "!true\nK = V"),
    "output of a shell command": way("K", "files = !true\nK = V"),
    "help": way("K", "K = V\ntorch.ones?"),
    "%env": way("float(os.environ['KK'])", "import os\n%env KK=V"),
    "a module written": way(
        "written_kk.k", "%%writefile written_kk.py\nk = V", "import written_kk"
    ),
    "a script run": way("k", "%%writefile run_kk.py\nk = V", "%run run_kk.py"),
    "get_ipython": way("K", "ip = get_ipython()\nif ip:\n    K = V"),
    "get_ipython's namespace": way("K", "get_ipython().user_ns['K'] = V"),
    "get_ipython().ex": way("K", "get_ipython().ex('K = V')"),
    "%%timeit binds nothing": way("K", "K = V", "%%timeit -n1 -r1\nK = 7.0"),
    "%%html": way("K", "%%html\n<b>K</b>", "K = V"),
    "await": way("K", "async def k():\n    return V", "K = await k()"),
    "prompts": way("k()", ">>> def k():\n...     return V"),
    "an indented cell": way("K", "    K = V"),
}

# What stands in a comment or a text and must not count as the end of a line.
ODD = {
    "U+2028": "\u2028", "form feed": "\x0c", "U+0085": "\x85", "vertical tab": "\x0b",
}  # fmt: skip


def with_comment(text):
    return lambda s: replace(
        s, answer=s.answer.replace("    mean", f"    # from{text}the book\n    mean", 1)
    )


def with_docstring(text):
    return lambda s: replace(
        s, answer=s.answer.replace("    mean", f"    '''Of{text}points.'''\n    mean", 1)
    )


def renamed(name):
    def change(style):
        answer = style.answer.replace("def fit_gaussian", f"def {name}").replace(
            "fit_gaussian.k", f"{name}.k"
        )
        between = [source.replace("fit_gaussian", name) for source in style.between]
        check = style.check.replace(", fit_gaussian)", f", {name})")
        return replace(style, answer=answer, between=between, check=check)

    return change


def body_in(template):
    """The answer's cell with other code around it; ANSWER is where it stands."""
    return lambda s: replace(s, answer=template.replace("ANSWER", s.answer))


HABITS = {
    "plain": lambda s: s,
    **{f"{name} in a comment": with_comment(text) for name, text in ODD.items()},
    **{f"{name} in a docstring": with_docstring(text) for name, text in ODD.items()},
    "Windows lines": lambda s: replace(s, answer=s.answer.replace("\n", "\r\n")),
    "tabs": lambda s: replace(s, answer=s.answer.replace("    ", "\t")),
    "no tag": lambda s: replace(s, tag=False),
    "no marker": lambda s: replace(s, marker=False),
    "neither": lambda s: replace(s, tag=False, marker=False),
    "the former draft stands above": lambda s: replace(
        s, before=[*s.before, "def fit_gaussian(points):\n    return 0"]
    ),
    "a draft behind the check": lambda s: replace(
        s, tag=False, marker=False, after=[*s.after, "def draft(points):\n    return 0"]
    ),
    "annotations of the future": lambda s: replace(
        s,
        imports="from __future__ import annotations\n" + s.imports,
        answer=s.answer.replace("(points)", "(points: Points) -> Pair", 1),
    ),
    "annotations": lambda s: replace(
        s, answer=s.answer.replace("(points)", "(points: torch.Tensor) -> tuple", 1)
    ),
    "timed": lambda s: replace(s, answer="%%time\n" + s.answer, marker=False),
    "captured": lambda s: replace(s, answer="%%capture\n" + s.answer, marker=False),
    "renamed": renamed("my_fit"),
    "renamed, without a marker": lambda s: replace(renamed("my_fit")(s), marker=False, tag=False),
    "another name for it": lambda s: replace(
        renamed("my_fit")(s), check=CHECK, between=[*renamed("my_fit")(s).between, "fit_gaussian = my_fit"]
    ),
    "checked as a lambda": lambda s: replace(
        s, check='fit_gaussian = check("start.fit_gaussian", lambda points: fit_gaussian(points))'
    ),
    "checked as a method": lambda s: replace(
        s,
        between=[*s.between, "class Mine:\n    fit = staticmethod(fit_gaussian)"],
        check='check("start.fit_gaussian", Mine.fit)',
    ),
    "checked by keywords": lambda s: replace(s, check=s.check.replace(", fit", ", answer=fit")),
    "checked twice": lambda s: replace(s, check=f"{s.check}\n{s.check}"),
    "checked behind a print": lambda s: replace(s, check=f"print('hello')\n{s.check};"),
    "checked without a new name": lambda s: replace(s, check=s.check.replace("fit_gaussian = ", "")),
    "checked through the package": lambda s: replace(
        s,
        imports="import torch\nimport course_lib",
        check=s.check.replace("check(", "course_lib.check(", 1),
    ),
    "decorated": lambda s: replace(s, answer="@torch.no_grad()\n" + s.answer),
    "decorated by hand": body_in("def same(f):\n    return lambda points: f(points)\n\n@same\nANSWER"),
    "under an if": lambda s: replace(
        s, answer="if True:\n" + "".join(f"    {x}\n" for x in s.answer.split("\n") if x)
    ) if not s.answer.startswith("global") else s,
    "all imports captured": lambda s: replace(s, imports="%%capture\n" + s.imports),
    "packages installed first": lambda s: replace(s, imports="%%capture\n!true\n" + s.imports),
    "imports in the last cell too": lambda s: replace(s, after=[*s.after, "import math"]),
    "a cell that fails": lambda s: replace(s, before=["1 / 0", *s.before]),
    "a cell that is no Python": lambda s: replace(s, before=["this is no Python", *s.before]),
    "long work in between": lambda s: replace(
        s, before=[*s.before, "x = torch.ones(3)\nfor step in range(3):\n    x = x * 0.5\nprint(x)"]
    ),
    "names in Greek": lambda s: replace(s, answer=s.answer.replace("centred", "ΔX")),
    "an emoji": with_comment(" \N{SNAKE} "),
    "an f-string": lambda s: replace(
        s, answer=s.answer.replace("    mean", "    note = f'{len(points)!r:>10}'\n    mean", 1)
    ),
    "a match statement": lambda s: replace(
        s,
        answer=s.answer.replace(
            "    mean", "    match len(points):\n        case 0:\n            return None\n    mean", 1
        ),
    ),
    "many blank lines": lambda s: replace(s, answer="\n\n\n" + s.answer + "\n\n", marker=False),
    "warnings": lambda s: replace(s, answer="import warnings\nwarnings.warn('beware')\n" + s.answer),
    "an assertion behind": lambda s: replace(s, answer=s.answer + "\nassert callable(fit_gaussian)\n"),
}  # fmt: skip


def corpus(random_pairs=40, wrong=30, seed=0):
    """Notebooks by name: each way in a plain notebook, each habit with a state that is changed, some
    random pairs, and some in which the factor is wrong."""
    draw = random.Random(seed)
    pairs = [(name, "plain", "1.0") for name in WAYS]
    pairs += [("a dict changed later", habit, "1.0") for habit in HABITS if habit != "plain"]
    pairs += [
        (draw.choice(list(WAYS)), draw.choice(list(HABITS)), "1.0") for _ in range(random_pairs)
    ]
    pairs += [(draw.choice(list(WAYS)), draw.choice(list(HABITS)), "3.0") for _ in range(wrong)]
    return {f"{a} / {b} / {value}": made(a, b, value) for a, b, value in pairs}


def made(way_name, habit, value="1.0"):
    """The notebook of one way and one habit."""
    style = HABITS[habit](WAYS[way_name])

    def valued(source):
        return re.sub(r"\bV\b", value, source)

    parts = {
        part: [valued(x) for x in getattr(style, part)] for part in ("before", "between", "after")
    }
    return replace(style, answer=valued(style.answer), **parts).notebook()
