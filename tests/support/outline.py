"""What a page loads, links to and holds."""

from __future__ import annotations

from html.parser import HTMLParser


class Outline(HTMLParser):
    """Collects what a page loads, links to and holds; and the elements that were never closed."""

    VOID = frozenset({"meta", "input", "br", "link", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.charts: list[str] = []
        self.words: list[str] = []
        self.opened: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.loads += [given[name] for name in ("src", "srcset", "data", "xlink:href", "poster") if name in given]
        if tag in ("link", "image", "use", "iframe", "object", "embed", "base"):
            self.loads.append(given.get("href", tag))
        if tag == "a":
            self.links.append(given["href"])
        if tag == "svg" and "chart" in given.get("class", ""):
            self.charts.append(given["aria-label"])
        if "id" in given:
            self.ids.append(given["id"])
        if tag not in self.VOID:
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.opened.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
