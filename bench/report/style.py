"""Order and colours of the paths: the engine's modes in one family of hues, the kernel's ways in greys and blues."""

import collections

Look = collections.namedtuple("Look", "colour marker")

LOOKS = {
    "direct": Look("#9d9d9d", "o"),
    "dnat-list": Look("#3c3c3c", "s"),
    "dnat-nth": Look("#6f6f6f", "D"),
    "nft-numgen": Look("#1f77b4", "v"),
    "nft-jhash": Look("#6baed6", "^"),
    "ipvs": Look("#08306b", "P"),
    "haproxy": Look("#5a9e6f", "X"),
    "nfqueue-accept": Look("#c9a227", "d"),
    "nfqueue-inspect": Look("#a98600", "<"),
    "nfqueue-rewrite": Look("#7d6608", ">"),
    "nfsteer-dnat": Look("#f59a45", "s"),
    "nfsteer-connection": Look("#e6550d", "o"),
    "nfsteer-inspect": Look("#c2274b", "^"),
    "nfsteer-rewrite": Look("#7a0f34", "D"),
}
OTHERS = Look("#9467bd", "*")
ENGINE = "nfsteer-"


def look(path):
    return LOOKS.get(path, OTHERS)


def in_order(paths):
    """Paths that this table does not know come last."""
    known = list(LOOKS)
    return sorted(paths, key=lambda path: (known.index(path) if path in LOOKS else len(known), path))
