"""What is done to the text of pages: words of the glossary become links, some links become words."""

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import PurePosixPath
from posixpath import normpath

# Where no word becomes a link: code, formulas, links and pictures, HTML, headings, rows of tables.
KEPT = re.compile(
    r"(?ms)^```.*?^```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]+\$|!?\[[^\]]*\]\([^)]*\)|<[^>]+>|^#[^\n]*|^\|[^\n]*"
)
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def linker(terms: Mapping[str, str]) -> Callable[[str], str]:
    """A function that links the first use of each term in the texts that it is given, one after the other.

    Args:
        terms: the term of the glossary for each way of writing it, in lower case.
    """
    seen: set[str] = set()
    longest_first = sorted(terms, key=len, reverse=True)
    words = re.compile(r"\b(?:" + "|".join(map(re.escape, longest_first)) + r")\b", re.IGNORECASE)

    def link(found: re.Match) -> str:
        term = terms[found.group().lower()]
        if term in seen:
            return found.group()
        seen.add(term)
        return f"{{term}}`{found.group()} <{term}>`"

    def linked(text: str) -> str:
        parts, end = [], 0
        for kept in KEPT.finditer(text):
            parts += [words.sub(link, text[end : kept.start()]), kept.group()]
            end = kept.end()
        return "".join([*parts, words.sub(link, text[end:])])

    return linked if terms else lambda text: text


def links_kept(text: str, place: str, pages: Collection[str], repository: str, branch: str) -> str:
    """Text whose links to files that are no pages lead to the repository, or are plain words without one.

    Args:
        place: where the text's file is in the checkout, such as "docs/audit.md".
        pages: the files that are pages, in the same way.
    """

    def kept(found: re.Match) -> str:
        words, target = found.groups()
        if re.match(r"[a-z]+:|#", target):
            return found.group()
        path, _, anchor = target.partition("#")
        file = normpath(str(PurePosixPath(place).parent / path))
        if file in pages:
            return found.group()
        if file == "README.md":
            return f"[{words}](/index.md)"
        if repository:
            where = f"https://github.com/{repository}/blob/{branch}/{file}"
            return f"[{words}]({where}{'#' * bool(anchor)}{anchor})"
        return words

    return LINK.sub(kept, text)
