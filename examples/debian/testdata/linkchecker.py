"""linkchecker, as Debian has it, but it tells of each link on which pages it is.

Itself it checks each link once, and tells of one page that has it. What a page says it reads anew for each fragment; here once.
The first argument is a file, which gets a line for each link: the page and the link, separated by a tab.
"""

import functools
import sys
import threading

from linkcheck.cache import urlqueue
from linkcheck.command.linkchecker import linkchecker
from linkcheck.htmlutil import htmlsoup, linkparse

links = open(sys.argv.pop(1), "w")
put = urlqueue.UrlQueue._put
find_links = linkparse.find_links
found = {}  # by the address of a page its links, by what was read its anchors
lock = threading.Lock()


def tell(queue, link):
    print(link.parent_url or "", link.url, sep="\t", file=links, flush=True)
    put(queue, link)


def find_once(soup, callback, tags):
    page = callback.__self__.url.split("#")[0] if tags is linkparse.LinkTags else id(soup)
    with lock:
        again = page in found
        if not again:
            calls = []
            find_links(soup, lambda *args, **named: calls.append((args, named)), tags)
            found[page] = soup, calls  # as long as it is kept, no other has its id
    if not again or tags is not linkparse.LinkTags:
        for args, named in found[page][1]:
            callback(*args, **named)


urlqueue.UrlQueue._put = tell
htmlsoup.make_soup = functools.lru_cache(maxsize=None)(htmlsoup.make_soup)
linkparse.find_links = find_once
linkchecker()
