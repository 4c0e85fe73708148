"""Which pictures of an executed notebook a screen reader cannot describe."""

from html.parser import HTMLParser


class Pictures(HTMLParser):
    """Collects the descriptions of the pictures in a piece of HTML; None where there is none."""

    def __init__(self, html):
        super().__init__()
        self.alts = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.alts.append((dict(attributes).get("alt") or "").strip() or None)


def undescribed(book):
    """The places where an executed notebook shows a picture without a description."""
    found = []
    for number, cell in enumerate(book.cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            alts = Pictures(data.get("text/html", "")).alts
            bare = any(kind.startswith("image/") for kind in data) and not alts
            if bare or None in alts:
                found.append(f"cell {number}: {data.get('text/plain', '')[:60]}")
    widgets = book.metadata.get("widgets", {}).values()
    for model in (m for part in widgets for m in part["state"].values()):
        value = model["state"].get("value", "")
        if model["model_name"] == "ImageModel":  # has no place for a description
            found.append("a widget of the kind Image")
        elif model["model_name"] == "HTMLModel" and None in Pictures(value).alts:
            found.append(f"a widget: {value[:60]}")
    return found
