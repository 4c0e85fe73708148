"""What every page of the site must keep to, in a real browser and in its files.

    .venv/bin/python tests/site_checks.py

opens each page of build/site/html as on a phone and on a desk, light and dark, and says what is wrong:
messages in the console, requests that leave the folder, faults that axe-core calls serious, pages wider
than the screen, sliders that do not move their picture by keyboard, links that lead nowhere. The tests
(`tests/test_site.py`) ask the same of a small site.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
PHONE, DESK = {"width": 375, "height": 760}, {"width": 1280, "height": 900}
AXE = "axe.run(document, {preload: false, resultTypes: ['violations']})"
OPEN_FOLDS = "document.querySelectorAll('details').forEach(fold => { fold.open = true })"
WIDE = "document.documentElement.scrollWidth > innerWidth"


class Page(HTMLParser):
    """The links, the ids and what a page loads."""

    def __init__(self, file: Path):
        super().__init__()
        self.links, self.ids, self.loads, self.tags = [], set(), [], []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        self.tags.append((tag, of))
        self.ids |= {of[name] for name in ("id", "name") if of.get(name)}
        if tag == "a" and of.get("href"):
            self.links.append(of["href"])
        if tag == "link" and of.get("rel") not in ("canonical", "author"):
            self.loads.append(of["href"])
        self.loads += [of[name] for name in ("src", "srcset", "poster", "data") if of.get(name)]


def own_pages(html: Path) -> list[Path]:
    """All pages but those that lie among the theme's files."""
    return sorted(file for file in html.rglob("*.html") if "_static" not in file.parts)


def faults_of_files(html: Path) -> Iterator[str]:
    """Links that lead nowhere, and what is loaded from elsewhere or is not there."""
    found = {file: Page(file) for file in own_pages(html)}
    for file, page in found.items():
        name = file.relative_to(html)
        for address in [*page.links, *page.loads]:
            parts = urlsplit(address)
            if parts.scheme or address.startswith("//"):
                if address not in page.links and parts.scheme != "data":
                    yield f"{name}: {address[:80]} is loaded from elsewhere"
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.is_file():
                yield f"{name}: {address} is not there"
                continue
            ids = found[target].ids if target in found else {unquote(parts.fragment)}
            if parts.fragment and unquote(parts.fragment) not in ids:
                yield f"{name}: {address} leads to no place on its page"
        yield from (f"{name}: {missing}" for missing in missing_pictures(file, page))
    for style in html.rglob("*.css"):
        elsewhere = r"(?:@import|url\()\s*[\"']?(?:https?:)?//"
        if re.search(elsewhere, style.read_text(encoding="utf-8")):
            yield f"{style.relative_to(html)}: something is loaded from elsewhere"


def missing_pictures(file: Path, page: Page) -> Iterator[str]:
    """The pictures that the sliders of a page can ask for and that are not there."""
    panels = [of for tag, of in page.tags if tag == "div" and "data-pictures" in of]
    text = file.read_text(encoding="utf-8")
    inside = re.findall(r'<script type="application/json">(.*?)</script>', text)
    for panel, data in zip(panels, inside, strict=True):
        for number in range(len(json.loads(data)["alts"])):
            which = int(panel["data-first"]) + int(panel["data-step"]) * number
            picture = file.parent / panel["data-pictures"] / f"{which}.webp"
            if not picture.is_file():
                yield f"{panel['id']} has no picture {which}"


@cache
def axe() -> str:
    """The source of axe-core, which lies where the site is built."""
    file = next((ROOT / ".venv-site").rglob("axe_playwright_python/axe.min.js"))
    return file.read_text(encoding="utf-8")


def listen(page, problems: list[str]) -> None:
    """Add to `problems` what a page says in the console, and what it asks for beyond its folder."""
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:")) else problems.append(r.url),
    )
    page.on("requestfailed", lambda r: problems.append(f"{r.url} failed"))


def serious_faults(page) -> list[tuple[str, list]]:
    """What axe-core calls serious or critical, with the first places, all folds open."""
    page.evaluate(OPEN_FOLDS)
    page.evaluate(axe())
    return [
        (v["id"], [node["target"] for node in v["nodes"][:3]])
        for v in page.evaluate(AXE)["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def still_sliders(page) -> Iterator[str]:
    """The sliders that do not move their picture, its description and their own value by keyboard."""
    for panel in page.locator(".panel").all():
        picture = panel.locator("img")
        for slider in panel.get_by_role("slider").all():
            at_the_end = slider.evaluate("s => s.value === s.max")
            before = [picture.get_attribute("src"), slider.get_attribute("aria-valuetext")]
            slider.focus()
            page.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")
            after = [picture.get_attribute("src"), slider.get_attribute("aria-valuetext")]
            drawn = picture.evaluate("i => i.decode().then(() => i.naturalWidth)")
            said = panel.locator(".panel-said").text_content()
            moved = all(a != b for a, b in zip(before, after, strict=True))
            if not (moved and drawn and said == picture.get_attribute("alt")):
                yield f"{slider.get_attribute('id')} stays still"


def sweep(html: Path, chromium: str, modes: Iterable[Mapping], only: str = "") -> Iterator[str]:
    """The faults of all pages whose name holds `only`, in each mode, as sentences."""
    from jupyter_browser import FLAGS
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for mode in modes:
            context = browser.new_context(**mode)
            told = f"{'phone' if mode['viewport'] == PHONE else 'desk'}, {mode['color_scheme']}"
            for file in own_pages(html):
                name = file.relative_to(html).as_posix()
                if only not in name:
                    continue
                problems: list[str] = []
                page = context.new_page()
                listen(page, problems)
                page.goto(file.as_uri())
                if mode["viewport"] == DESK:
                    problems += still_sliders(page)
                if page.evaluate(WIDE):
                    problems.append("wider than the screen")
                problems += map(str, serious_faults(page))
                page.close()
                yield from (f"{name} ({told}): {problem}" for problem in problems)
            context.close()
        browser.close()


def main() -> int:
    from programs import find_chromium

    parser = argparse.ArgumentParser(description="Look at every page of the site in a browser.")
    parser.add_argument("--html", type=Path, default=ROOT / "build" / "site" / "html")
    parser.add_argument("--only", default="", help="only pages whose name holds this")
    schemes, sizes = ("light", "dark"), (PHONE, DESK)
    parser.add_argument("--scheme", choices=schemes, action="append", help="else both")
    args = parser.parse_args()
    chromium = find_chromium()
    if not chromium:
        print("Chromium is not installed.", file=sys.stderr)
        return 2
    modes = [
        {"viewport": size, "color_scheme": scheme}
        for scheme in args.scheme or schemes
        for size in sizes
    ]
    faults = 0
    for fault in chain(faults_of_files(args.html), sweep(args.html, chromium, modes, args.only)):
        print(fault, flush=True)
        faults += 1
    print(f"{len(own_pages(args.html))} pages, {faults} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
