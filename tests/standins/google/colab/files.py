"""The browser's downloads, kept as (name, content)."""

from pathlib import Path

downloaded = []


def download(filename):
    downloaded.append((Path(filename).name, Path(filename).read_bytes()))
