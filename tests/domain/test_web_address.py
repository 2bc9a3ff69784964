"""URLs of what the runtime calls: their parts, and all that is none."""

import pytest

from nightcrew.domain.web_address import redirected, web_address


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://h", ("http", "h", 80, "/")),
        ("HTTPS://H.Example:8443/a/b?c=d#e", ("https", "h.example", 8443, "/a/b?c=d")),
        ("https://h?x=1", ("https", "h", 443, "/?x=1")),
        ("http://[::1]:9/p", ("http", "::1", 9, "/p")),
        ("http://h/ä?q=%20é", ("http", "h", 80, "/%C3%A4?q=%20%C3%A9")),
        ("http://h/?key=${secret:NAME}", ("http", "h", 80, "/?key=${secret:NAME}")),
    ],
)
def test_the_parts(url, parts):
    found = web_address(url)
    assert (found.scheme, found.host, found.port, found.target) == parts


def test_it_reads_back():
    for url in ("http://h/", "https://h:8443/a?b=c", "http://[::1]:9/p"):
        assert str(web_address(url)) == url
    assert web_address("http://[::1]:9/p").authority == "[::1]:9"
    assert web_address("https://h:443/").authority == "h"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "must begin with http"),
        ("h/p", "must begin with http"),
        ("ftp://h/", "must begin with http"),
        ("file:///etc/passwd", "must begin with http"),
        ("gopher://127.0.0.1:6379/_x", "must begin with http"),
        ("http://", "names no host"),
        ("http:///p", "names no host"),
        ("http://u:p@h/", "no user and password"),
        ("http://127.0.0.1@h/", "no user and password"),
        ("http://h:99999/", "is no URL"),
        ("http://h:x/", "is no URL"),
        ("http://h:0/", "port 0"),
        ("http://[::1/", "is no URL"),
        ("http://h /", "spaces"),
        ("http://h\n/", "spaces"),
        ("http://h\\@i/", "backslashes"),
        ("http://bücher.example/", "ASCII"),
        ("http://${secret:H}/", "is no URL"),
        ("http://1.2.3.999/", "no IPv4 address"),
        ("http://a..b/", "names no host"),
    ],
)
def test_what_is_no_url_to_call(url, why):
    with pytest.raises(ValueError, match=why):
        web_address(url)


def test_redirects_are_read_from_where_they_come():
    base = web_address("https://h/a/b?c=d")
    assert str(redirected(base, "e")) == "https://h/a/e"
    assert str(redirected(base, "//i/x")) == "https://i/x"
    assert redirected(base, "/x").origin == base.origin
    for location, why in (
        ("http://h/", "https to http"),
        ("file:///x", "must begin"),
        ("//u@i/", "user"),
        ("http://[", "."),
    ):
        with pytest.raises(ValueError, match=why):
            redirected(base, location)
