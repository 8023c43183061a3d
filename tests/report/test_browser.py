"""The report in a real browser, where one is installed: nothing is fetched, nothing complains, nothing overflows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import headless
import numpy as np
import pytest
from test_report import full_results, payload

import plada_format as pf
from plada_select import Policy, SafetyNet
from plada_select.report import write_report

# In CI a missing browser is a failure: a report that nobody has looked at must not pass.
pytestmark = pytest.mark.skipif(headless.find() is None and not os.environ.get("CI"), reason="no Chromium installed")

# Text that is too faint: contrast of each element's own text against the nearest opaque background (WCAG 2, 4.5 : 1).
CONTRAST = """(() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126*r + 0.7152*g + 0.0722*b; };
  const back = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const faint = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('svg') || e.closest('.skip')) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(back(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(e.tagName + '.' + e.className + ' ' + ratio.toFixed(2));
  }
  return faint; })()"""

# Texts of a chart that leave it or lie on each other.
CROWDED = """(() => { const bad = [];
  for (const svg of document.querySelectorAll('svg')) {
    if (getComputedStyle(svg).display === 'none') continue;
    const frame = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
    boxes.forEach(([text, b], i) => {
      if (b.left < frame.left - 1 || b.right > frame.right + 1 || b.top < frame.top - 1 || b.bottom > frame.bottom + 1)
        bad.push('outside: ' + text);
      boxes.slice(0, i).forEach(([other, o]) => { const w = Math.min(b.right, o.right) - Math.max(b.left, o.left),
        h = Math.min(b.bottom, o.bottom) - Math.max(b.top, o.top);
        if (w > 2 && h > 4) bad.push(text + ' on ' + other); });
    });
  }
  return bad; })()"""


@pytest.fixture(scope="module")
def page(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    path = payload(world, folder, Policy(safety_net=SafetyNet("0", "1")), count=120)
    return write_report(
        path, folder / "report.html", results=full_results(world), images=world.pool, manifest=world.manifest,
        test=world.test.source,
    )  # fmt: skip


def test_in_a_browser(page: Path) -> None:
    with headless.Browser() as browser:
        browser.open(page)
        asked = [
            e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"
        ]
        assert page.resolve().as_uri() in asked
        assert [url for url in asked if not url.startswith(("data:", "file:"))] == []
        assert [url for url in asked if url.startswith("file:")] == [page.resolve().as_uri()]
        images = browser.evaluate("[document.images.length, [...document.images].filter(i => !i.naturalWidth).length]")
        assert images[0] > 50 and images[1] == 0
        for width in (320, 360, 640, 800, 1400, 1600):
            browser.resize(width)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width, width
            assert browser.evaluate(CROWDED) == [], width
            shown = "[...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width > 0).length"
            assert 2 * browser.evaluate(shown) == browser.evaluate("document.querySelectorAll('svg').length") > 2, width
        for dark in (False, True):
            browser.scheme(dark)
            assert browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is dark
            assert browser.evaluate(CONTRAST) == [], dark
        light, night = (_background(browser, dark) for dark in (False, True))
        assert light != night
        complaints = [
            e for e in browser.events
            if e.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        ]  # fmt: skip
        assert complaints == []


def test_many_classes_with_long_names(world: Any, tmp_path: Path) -> None:
    names = [("a" * 60 if c % 7 == 0 else f"class_{c}") + str(c) for c in range(101)]
    labels = np.arange(250) % 101
    pf.write(tmp_path / "m.plada", np.arange(250), labels, pool_size=len(world.pool), num_classes=101,
             class_names=names, metadata={"note": "x" * 200})  # fmt: skip
    page = write_report(tmp_path / "m.plada", tmp_path / "m.html", images=world.pool)
    with headless.Browser() as browser:
        browser.open(page, width=320)
        for width in (320, 800, 1600):
            browser.resize(width)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width, width


def _background(browser: headless.Browser, dark: bool) -> str:
    browser.scheme(dark)
    return str(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
