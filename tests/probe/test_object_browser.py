"""Containers as a browser sees them: a site with its pages, listings and errors, names that are shown as they are,
signed addresses, and scripts of other origins. Debian's Chromium, without a window.
"""

import contextlib
import hashlib
import hmac
import http.server
import threading
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import sync_playwright

from tests.clouds import running_cloud

END = "4102444800"
pytestmark = [pytest.mark.clients, pytest.mark.timeout(400), pytest.mark.xdist_group("object browser")]


class Store:
    """The account of the user demo; `url` is where it is."""

    def __init__(self, cloud):
        api = cloud.api()
        self.url, self.token = api.endpoint("object-store"), api.token
        self.root, _, self.account = self.url.rpartition("/")

    def __call__(self, method, path="", body=None, **headers):
        sent = {"X-Auth-Token": self.token, **{name.replace("_", "-"): value for name, value in headers.items()}}
        request = urllib.request.Request(f"{self.url}/{quote(path)}", body, sent, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def signed(self, *said):
        """The signature of some lines that begin with what is asked or where, by the account's key."""
        return hmac.new(b"key", "\n".join(said).encode(), hashlib.sha256).hexdigest()


@pytest.fixture(scope="module")
def store():
    with running_cloud(simulate=True) as cloud:
        made = Store(cloud)
        made("POST", "", b"", X_Account_Meta_Temp_Url_Key="key")
        yield made


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        options = {"executable_path": "/usr/bin/chromium", "args": ["--no-sandbox"], "headless": True}
        started = playwright.chromium.launch(**options)
        yield started
        started.close()


@pytest.fixture
def page(browser):
    with contextlib.closing(browser.new_context()) as context:
        opened = context.new_page()
        opened.set_default_timeout(30_000)
        yield opened


@contextlib.contextmanager
def another_origin(folder):
    """A web server of somebody else's, with the files of a folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given):
            super().__init__(*given, directory=folder)

        def log_message(self, *_said):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_site(store, page):
    store("PUT", "site", b"", X_Container_Read=".r:*", X_Container_Meta_Web_Index="index.html")
    store("POST", "site", b"", X_Container_Meta_Web_Error="error.html")
    style = b'<link rel="stylesheet" href="style.css"><body><h1>home</h1><a href="guide">guide</a></body>'
    store("PUT", "site/index.html", style, Content_Type="text/html")
    store("PUT", "site/style.css", b"h1 { color: rgb(1, 2, 3) }", Content_Type="text/css")
    store("PUT", "site/guide/index.html", b"<h1>guide</h1><a href='../'>up</a>", Content_Type="text/html")
    store("PUT", "site/404error.html", b"<h1>lost</h1>", Content_Type="text/html")

    assert page.goto(f"{store.url}/site").status == 200  # by way of site/
    assert page.inner_text("h1") == "home"
    assert page.eval_on_selector("h1", "h => getComputedStyle(h).color") == "rgb(1, 2, 3)"
    page.click("text=guide")
    page.wait_for_url("**/site/guide/")
    assert page.inner_text("h1") == "guide"
    page.click("text=up")
    page.wait_for_url("**/site/")
    answer = page.goto(f"{store.url}/site/nowhere.html")
    assert (answer.status, page.inner_text("h1")) == (404, "lost")


OWNED = "<script>document.title='owned'</script>"
NAMES = ("a b.txt", "ü/ñandú.txt", OWNED, "100%.txt", "q\"uo'te.txt", "c#d?e=f.txt", "&amp;.txt")


def steps(name):
    """What one clicks on to come to it."""
    *folders, last = name.split("/")
    return [*(f"{folder}/" for folder in folders), last]


def test_a_listing_shows_names_as_they_are(store, page):
    store("PUT", "list", b"", X_Container_Read=".r:*,.rlistings", X_Container_Meta_Web_Listings="true")
    store("POST", "list", b"", X_Container_Meta_Web_Listings_CSS="look.css")
    store("PUT", "list/look.css", b"#title { color: rgb(4, 5, 6) }", Content_Type="text/css")
    for name in NAMES:
        store("PUT", f"list/{name}", name.encode(), Content_Type="text/plain; charset=utf-8")
    page.goto(f"{store.url}/list/")
    assert page.title() == f"Listing of /v1/{store.account}/list/"
    assert page.eval_on_selector("#title", "h => getComputedStyle(h).color") == "rgb(4, 5, 6)"
    shown = page.locator("td.colname a").all_inner_texts()
    assert sorted(shown) == sorted(steps(name)[0] for name in (*NAMES, "look.css"))
    for name in NAMES:
        page.goto(f"{store.url}/list/")
        for step in steps(name):
            page.get_by_role("link", name=step, exact=True).click()
        assert page.inner_text("body").strip() == name
        assert page.title() != "owned"


def test_a_signed_address_opens(store, page):
    store("PUT", "hidden", b"")
    store("PUT", "hidden/ü note.txt", b"for your eyes", Content_Type="text/plain")
    where = f"/v1/{store.account}/hidden/ü note.txt"
    signed = f"temp_url_sig={store.signed('GET', END, where)}&temp_url_expires={END}"
    address = f"{store.url}/hidden/{quote('ü note.txt')}?{signed}"
    assert page.goto(f"{address}&inline").status == 200
    assert page.inner_text("body").strip() == "for your eyes"
    with page.expect_download() as download, contextlib.suppress(Exception):  # goto says that it became a download
        page.goto(address)
    assert download.value.suggested_filename == "ü note.txt"
    assert Path(download.value.path()).read_bytes() == b"for your eyes"
    assert page.goto(address.replace("sig=", "sig=0")).status == 401


FETCH = """async (address) => {
    try {
        const got = await fetch(address, {headers: {"X-Mine": "1"}});
        return [got.status, got.headers.get("x-object-meta-colour"), await got.text()];
    } catch (error) { return error.name; }
}"""


def test_scripts_of_other_origins(store, page, tmp_path):
    (tmp_path / "index.html").write_text("<h1>elsewhere</h1>")
    with another_origin(tmp_path) as origin:
        for name, allowed in (("open", origin), ("closed", "http://friend.test")):
            store("PUT", name, b"", X_Container_Read=".r:*", X_Container_Meta_Access_Control_Allow_Origin=allowed)
            store("PUT", f"{name}/o", b"shared", X_Object_Meta_Colour="blue")
        page.goto(f"{origin}/")
        assert page.evaluate(FETCH, f"{store.url}/open/o") == [200, "blue", "shared"]
        assert page.evaluate(FETCH, f"{store.url}/closed/o") == "TypeError"
