"""Pages in headless Chromium, where there is one."""

import re
import shutil
import subprocess

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
    "--dump-dom",
]

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


class Seen:
    """The page after its scripts ran."""

    def __init__(self, dom, log):
        self.dom = re.sub(r"data:image/[^\"]*", "data:", dom)
        self.console = re.findall(r"CONSOLE[^\n]*", log)

    def element(self, name):
        return re.search(rf'<[^>]*id="{name}"[^>]*>', self.dom)[0]

    def shown(self, pane):
        inside = self.dom.partition(f'id="{pane}"')[2].partition('class="under"')[0]
        return [
            re.search(r'alt="([^"]*)"', image)[1]
            for image in re.findall(r"<img[^>]*>", inside)
            if " hidden" not in image
        ]

    def transforms(self):
        return re.findall(r'class="plane" style="transform: ([^;"]*)', self.dom)


def opened(page, folder, fragment="", width=800, height=600):
    """What a page has become after its scripts ran."""
    (folder / "report.html").write_text(page, encoding="utf-8")
    address = (folder / "report.html").as_uri() + fragment
    size = f"--window-size={width},{height}"
    command = [CHROMIUM, *OPTIONS, size, f"--user-data-dir={folder / 'profile'}", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return Seen(done.stdout, done.stderr)


def acting(page, script):
    """The page with a reader's hands: it must be freed of its policy, which forbids any other script."""
    free = re.sub(r"<meta http-equiv[^>]*>", "", page)
    return free.replace("</body>", f"<script>{script}</script></body>")
