"""Routes as data: what matches, what is written, what is listed, and what is refused."""

import string
import time
from collections.abc import Callable
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ogrom.http._routing import (
    LinkError,
    MalformedPath,
    Match,
    Parameter,
    Route,
    Router,
    RoutesError,
)

ID = UUID("649a50e8-0342-47af-894e-0eefea8f83b0")
LOCALES = ("de-DE", "fr-FR")


def router(routes) -> Router[str]:
    """A router of leaves that are their own names; an anonymous leaf begins with a dash."""
    return Router(routes, name_of=lambda leaf: None if leaf.startswith("-") else leaf)


def only(pattern: str) -> Router[str]:
    """A router of one route."""
    return router({pattern: "leaf"})


def match(routes: Router[str], path: str):
    """The leaf and the parameters of a path, or None."""
    found = routes.match(path)
    return found and (found.leaf, dict(found.params))


def shop() -> Router[str]:
    """Two locales of the same endpoints."""
    api = {
        "/products": "products",
        "/products/{product_id}": {"": "product", "/comments": "comments"},
        "/users/{user_id:uuid}": "user",
    }
    return router({"/": "home", "/v1": {f"/{locale}": api for locale in LOCALES}})


# Matching


def test_nested_keys_are_one_path():
    """Mounting concatenates keys, and "" is the mount itself."""
    routes = shop()

    assert ("home", {}) == match(routes, "/")
    assert ("products", {}) == match(routes, "/v1/de-DE/products")
    assert ("product", {"product_id": "7"}) == match(routes, "/v1/fr-FR/products/7")
    assert ("comments", {"product_id": "7"}) == match(routes, "/v1/fr-FR/products/7/comments")


@pytest.mark.parametrize(
    "path",
    ["", "*", "v1/de-DE/products", "/v1", "/v1/", "/v1/de-DE/products/", "//v1/de-DE/products"],
)
def test_a_path_matches_whole_or_not_at_all(path):
    """Neither the mount without a leaf, nor a slash too many, nor a path without one in front."""
    assert shop().match(path) is None


def test_a_key_may_continue_a_mount_that_ends_with_a_slash():
    """`/api/` and `new/` are `/api/new/`; a slash at the end is part of the path."""
    routes = router({"/api/": {"": "-api", "new/": "-new", "a//b": "-empty"}})

    assert ("-api", {}) == match(routes, "/api/")
    assert ("-new", {}) == match(routes, "/api/new/")
    assert ("-empty", {}) == match(routes, "/api/a//b")
    assert match(routes, "/api/new") is None


@pytest.mark.parametrize(
    ("pattern", "path", "value"),
    [
        ("/{x}", "/a", "a"),
        ("/{x}", "/a%20b", "a b"),
        ("/{x}", "/a%2Fb", "a/b"),
        ("/{x}", "/a%252Fb", "a%2Fb"),
        ("/{x}", "/caf%C3%A9", "café"),
        ("/{x}", "/%F0%9F%91%97", "👗"),
        ("/{x}", "/..a", "..a"),
        ("/{x}", "/+", "+"),
        ("/{x:int}", "/7", 7),
        ("/{x:int}", "/-3", -3),
        ("/{x:int}", "/007", 7),
        ("/{x:int}", "/999999999999999999", 999999999999999999),
        ("/{x:uuid}", f"/{ID}", ID),
        ("/{x:uuid}", f"/{str(ID).upper()}", ID),
        ("/{x:de-DE|fr-FR}", "/fr-FR", "fr-FR"),
        ("/{x:a|ab}", "/ab", "ab"),
        ("/{x:/[a-z]{2}/}", "/ab", "ab"),
        ("/{x:/(?i:[a-z]+)/}", "/aB", "aB"),
        ("/{x:path}", "/a/b%20c/", "a/b c/"),
        ("/{x:path}", "/a%2Fb", "a/b"),
        ("/page-{x}.html", "/page-7.html", "7"),
        ("/page-{x:int}.html", "/page-7.html", 7),
        ("/{x}.json", "/a.b.json", "a.b"),
        ("/(a+b)-{x}", "/(a+b)-c", "c"),
    ],
)
def test_what_a_parameter_matches(pattern, path, value):
    """Each type in its own words, percent-decoded after the path was split."""
    assert ("leaf", {"x": value}) == match(only(pattern), path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/{x}", "/"),
        ("/{x}", "/a/b"),
        ("/{x}", "/."),
        ("/{x}", "/.."),
        ("/{x}", "/%2e%2E"),
        ("/{x:int}", "/1234567890123456789"),
        ("/{x:int}", "/-"),
        ("/{x:int}", "/+1"),
        ("/{x:int}", "/1_000"),
        ("/{x:int}", "/1.0"),
        ("/{x:int}", "/%D9%A3"),  # an Arabic digit
        ("/{x:uuid}", "/649a50e8034247af894e0eefea8f83b0"),
        ("/{x:de-DE|fr-FR}", "/de-de"),
        ("/{x:a|ab}", "/abc"),
        ("/{x:/[a-z]{2}/}", "/abc"),
        ("/{x:/.*/}", "/"),
        ("/{x:/.*/}", "/.."),
        ("/{x:path}", "/"),
        ("/{x:path}", "//a"),
        ("/{x:path}", "/%2Fa"),
        ("/{x:path}", "/a/../b"),
        ("/{x:path}", "/a/%2e%2e%2Fb"),
        ("/{x:path}", "/a/."),
        ("/page-{x}.html", "/page-.html"),
        ("/{x}.{y}", "/.."),
        ("/{x:/[a-z]*/}.json", "/.json"),
    ],
)
def test_what_a_parameter_refuses(pattern, path):
    """Nothing empty, nothing unbounded, and no way out of a directory."""
    assert only(pattern).match(path) is None


def test_the_first_of_two_parameters_takes_as_much_as_it_can():
    """An extension is what follows the last dot."""
    expected = "leaf", {"name": "archive.tar", "extension": "gz"}
    assert expected == match(only("/{name}.{extension}"), "/archive.tar.gz")


def test_text_is_compared_decoded():
    """However the client encodes it, it is the same path (RFC 3986, section 6.2.2)."""
    routes = router({"/café": "cafe", "/a b/{x}": "spaced", "/~": "tilde"})

    assert ("cafe", {}) == match(routes, "/caf%C3%A9")
    assert ("cafe", {}) == match(routes, "/%63af%c3%a9")
    assert ("spaced", {"x": "1"}) == match(routes, "/a%20b/1")
    assert ("tilde", {}) == match(routes, "/%7E")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/%", "'%' at 1"),
        ("/a/%zz", "'%zz' at 3"),
        ("/%4", "'%4' at 1"),
        ("/%00", "'%00' at 1"),
        ("/\0", "at 1"),
        ("/é", "at 1"),
        ("/%C3", "not UTF-8"),
        ("/a/b/c/d/e/%ff", "not UTF-8"),
        ("/%ED%A0%80", "not UTF-8"),
    ],
)
def test_what_is_no_path_is_said_to_be_none(path, why):
    """The engine answers 400 (RFC 3986, sections 2.1 and 3.3)."""
    with pytest.raises(MalformedPath, match=why):
        only("/{x}").match(path)


SPECIFIC = {
    "/new": "text",
    "/{a:int}": "int",
    "/{a:uuid}": "uuid",
    "/{a:x|yy}": "fewer",
    "/{a:x|yy|zzz}": "more",
    "/{a:/[a-z]+/}": "regex",
    "/{a:/[a-y]+/}": "later regex",
    "/item-{a}.html": "mixed, more text",
    "/item-{a}": "mixed",
    "/{a}-{b}": "two",
    "/{a}": "any",
    "/{a:path}": "path",
}


@pytest.mark.parametrize(
    ("path", "leaf"),
    [
        ("/new", "text"),
        ("/7", "int"),
        (f"/{ID}", "uuid"),
        ("/x", "fewer"),
        ("/zzz", "more"),
        ("/xxx", "regex"),
        ("/item-1.html", "mixed, more text"),
        ("/item-1", "mixed"),
        ("/item1-1", "two"),
        ("/Item", "any"),
        ("/new/", "path"),
    ],
)
@pytest.mark.parametrize("turn", [list, reversed])
def test_the_most_specific_route_wins_in_any_order(path, leaf, turn):
    """Only between equals does the order decide, and the first declared wins."""
    routes = router(dict(turn(SPECIFIC.items())))
    found = routes.match(path)

    expected = "later regex" if leaf == "regex" and turn is reversed else leaf
    assert found is not None
    assert expected == found.leaf


def test_a_way_that_ends_falls_through_to_the_next():
    """From the left, segment by segment, until all ways are tried."""
    routes = router(
        {
            "/a/b/c": "abc",
            "/a/{x}/d": "axd",
            "/{x}/b/e": "xbe",
            "/{x:int}/{y:int}/f": "ints",
            "/{x}/{y}/{z:path}": "rest",
        }
    )

    assert ("abc", {}) == match(routes, "/a/b/c")
    assert ("axd", {"x": "b"}) == match(routes, "/a/b/d")
    assert ("xbe", {"x": "a"}) == match(routes, "/a/b/e")
    assert ("ints", {"x": 1, "y": 2}) == match(routes, "/1/2/f")
    assert ("rest", {"x": "1", "y": "2", "z": "g"}) == match(routes, "/1/2/g")
    assert ("rest", {"x": "a", "y": "b", "z": "c/d"}) == match(routes, "/a/b/c/d")
    assert match(routes, "/a/b") is None


def test_routes_may_name_a_shared_segment_differently():
    """`/{x}/b` and `/{y}/c` share a segment, not a name."""
    routes = router({"/{x}/b": "b", "/{y}/c": "c", "/{z:int}-{y}/d": "d", "/{u:int}-{v}/e": "e"})

    assert ("b", {"x": "1"}) == match(routes, "/1/b")
    assert ("c", {"y": "1"}) == match(routes, "/1/c")
    assert ("e", {"u": 1, "v": "2"}) == match(routes, "/1-2/e")


def test_a_match_is_a_frozen_value():
    """What a path leads to, with its route; what is bound in a static path is shared by all requests."""
    routes = shop()
    found = routes.match("/v1/de-DE/products")

    assert isinstance(found, Match)
    assert found == routes.match("/v1/de-DE/products")
    assert "/v1/de-DE/products" == found.route.pattern
    with pytest.raises(TypeError):
        found.params["a"] = 1


# Hostile paths

HOSTILE = [
    "/" * 100_000,
    "/a" * 50_000,
    "/v1/de-DE/products" + "/a" * 50_000,
    "/" + "a" * 100_000,
    "/" + "." * 100_000,
    "/a.b" * 25_000,
    "/" + "a." * 50_000 + "-",
    "/" + "1" * 100_000,
    "/%41" * 25_000,
    "/" + "%2F" * 33_000,
    "/.." * 33_000,
    "/files/" + "/".join(["..."] * 25_000) + "/..",
]


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path[:12])
def test_hostile_paths_are_answered_quickly(path):
    """Bounded, linear time: no recursion, no backtracking over the length of the path."""
    routes = router(
        {
            "/{x:int}": "int",
            "/{a}.{b}": "dot",
            "/{a}.{b}-{c:int}.json": "three",
            "/{a:/[a.]+/}.{b:/[a.]+/}!": "regex",
            "/v1/{locale}/{x}/{y}": "deep",
            "/files/{rest:path}": "file",
        }
    )
    start = time.process_time()
    routes.match(path)

    assert time.process_time() - start < 0.5


def test_nested_alternatives_do_not_multiply():
    """Each place in the tree is tried once, though at every depth there are four ways."""
    depth = 6
    kinds = ("a", "{%s}", "{%s:int}", "{%s:/[a-z1]+/}")
    patterns = [""]
    for level in range(depth):
        patterns = [f"{p}/{kind.replace('%s', f'p{level}')}" for p in patterns for kind in kinds]
    routes = router({pattern + "/end": "-leaf" for pattern in patterns})
    start = time.process_time()

    assert routes.match("/a" * depth + "/nowhere") is None
    assert time.process_time() - start < 0.5


# Writing paths


def test_path_for_stays_in_the_innermost_mount():
    """A link from /v1/fr-FR leads to /v1/fr-FR; what the mount has bound need not be repeated."""
    routes = shop()
    here = routes.match("/v1/fr-FR/products/a%2Fb/comments")
    assert here is not None

    assert "/v1/fr-FR/products" == routes.path_for("products", near=here)
    assert "/v1/fr-FR/products/a%2Fb" == routes.path_for("product", near=here)
    assert "/v1/fr-FR/products/c" == routes.path_for("product", {"product_id": "c"}, here)
    assert "/v1/fr-FR/products/c" == routes.path_for("product", {"product_id": "c"}, here.route)
    assert f"/v1/fr-FR/users/{ID}" == routes.path_for("user", {"user_id": ID}, here)
    assert "/" == routes.path_for("home", near=here)


def test_only_what_the_shared_mount_has_bound_is_inherited():
    """The same name elsewhere is another parameter."""
    routes = router({"/{shop}": {"/a/{id}": "a", "/b/{id}": "b", "/c": "c"}})
    here = routes.match("/zu/a/1")

    assert "/zu/b/2" == routes.path_for("b", {"id": "2"}, here)
    assert "/fr/c" == routes.path_for("c", {"shop": "fr"}, here)
    with pytest.raises(LinkError, match="id is missing"):
        routes.path_for("b", near=here)
    with pytest.raises(LinkError, match="shop is missing"):
        routes.path_for("c", near=here.route)


def test_path_for_encodes_as_a_segment_needs():
    """RFC 3986, section 3.3: a slash is encoded, and what may stand there is not."""
    routes = router({"/a b/{x}": "x", "/files/{rest:path}": "file", "/p/{n:int}.{f:a|b+}": "page"})

    assert "/a%20b/x%2Fy%3F%23%25%C3%A9" == routes.path_for("x", {"x": "x/y?#%é"})
    assert "/a%20b/-._~!$&'()*+,;=:@" == routes.path_for("x", {"x": "-._~!$&'()*+,;=:@"})
    assert "/files/a/b%20c/" == routes.path_for("file", {"rest": "a/b c/"})
    assert "/p/-7.b+" == routes.path_for("page", {"n": -7, "f": "b+"})


@pytest.mark.parametrize(
    ("pattern", "params", "why"),
    [
        ("/{x}", {}, r"'leaf' \(/{x}\): x is missing: text, neither empty"),
        ("/{x}", {"x": "a", "y": 1}, "y is no parameter of it$"),
        ("/{product}", {"produkt": "a"}, "product is missing.*did you mean 'product'"),
        ("/{x}", {"x": 5}, r"x is 5 \(int\); expected text"),
        ("/{x}", {"x": ""}, "x is '' "),
        ("/{x}", {"x": ".."}, r"x is '\.\.' "),
        ("/{x}", {"x": "a\0"}, "expected text"),
        ("/{x}", {"x": "\ud800"}, "expected text"),
        ("/{x}", {"x": None}, "x is None"),
        ("/{x:int}", {"x": "5"}, r"x is '5' \(str\); expected an int of at most 18 digits"),
        ("/{x:int}", {"x": True}, r"x is True \(bool\)"),
        ("/{x:int}", {"x": 10**18}, "at most 18 digits"),
        ("/{x:uuid}", {"x": str(ID)}, "expected a uuid.UUID"),
        ("/{x:a|b}", {"x": "c"}, "expected one of a, b"),
        ("/{x:/[a-z]+/}", {"x": "7"}, r"expected text that matches \[a-z\]\+"),
        ("/{x:path}", {"x": "/etc"}, 'does not begin with "/"'),
        ("/{x:path}", {"x": "a/../b"}, r'no part "\." or "\.\."'),
        ("/p-{x:int}.html", {"x": "5"}, "expected an int"),
        ("/{x}.{y}", {"x": "a", "y": 1}, "y is 1"),
        ("/{x}.{y}", {"x": "a", "y": "b.c"}, r"read back as \('a.b', 'c'\)"),
        ("/{x}.json", {"x": "a" * 255}, "read back not at all"),
    ],
)
def test_path_for_says_which_parameter_is_wrong(pattern, params, why):
    """And what is expected of it."""
    with pytest.raises(LinkError, match=why):
        only(pattern).path_for("leaf", params)


def test_a_name_must_be_known_and_clear():
    """The message holds what is close, or what there is to choose from."""
    routes = shop()

    with pytest.raises(LinkError, match=r"no route is named 'prodct'; did you mean 'product'"):
        routes.path_for("prodct")
    with pytest.raises(LinkError, match=r"no route is named 'zzz'$"):
        routes.path_for("zzz")
    with pytest.raises(LinkError, match="from the root: /v1/de-DE/products, /v1/fr-FR/products;"):
        routes.path_for("products")
    twins = router({"/a": {"/b": "twin", "/c": "twin"}, "/d": "-nameless"})
    with pytest.raises(LinkError, match="ambiguous from /a: /a/b, /a/c"):
        twins.path_for("twin", near=twins.match("/a/b"))
    with pytest.raises(LinkError, match="from the root"):
        twins.path_for("twin", near=twins.match("/d"))


# Listing


def test_leaves_are_all_routes_as_declared():
    """For documentation: patterns, names, parameters and their types."""
    routes = router(
        {"/b/{id:int}": {"": "b", "/{f:x|y}.{g:/[a-z]+/}": "-f"}, "/a/{u:uuid}/{r:path}": "a"}
    )
    b, f, a = routes.leaves()

    assert ("/b/{id:int}", "b", "b") == (b.pattern, b.leaf, b.name)
    assert ("", "/b/{id:int}") == b.mounts
    assert (Parameter("id", "int"),) == b.parameters
    assert None is f.name
    assert "/b/{id}/{f}.{g}" == f.template
    assert [("int", int), ("choice", str), ("regex", str)] == [
        (parameter.kind, parameter.type) for parameter in f.parameters
    ]
    assert ("x", "y") == f.parameters[1].choices
    assert "[a-z]+" == f.parameters[2].regex
    assert [UUID, str] == [parameter.type for parameter in a.parameters]
    assert isinstance(a, Route)


# What is refused


@pytest.mark.parametrize(
    ("routes", "why"),
    [
        ({}, "the root: nothing is mounted here"),
        ({"/a": {}}, "^/a: nothing is mounted here"),
        ({"a": "x"}, "^a: put '/' in front of 'a'"),
        ({"": "x"}, "put '/' in front of ''"),
        ({"/a": {"b": "x"}}, "^/ab: put '/' in front of 'b'"),
        ({"/a/": {"/b": "x"}}, "^/a//b: '/a/' ends with the '/' that '/b' begins with"),
        ({"/a?b": "x"}, "take query and fragment away"),
        ({"/a/<id>": "x"}, "'<id>' would be text; a parameter is written {id}"),
        ({"/<int:id>": "x"}, "a parameter is written {id}"),
        ({"/:id": "x"}, "':id' would be text; a parameter is written {id}"),
        ({"/caf%C3%A9": "x"}, "write it decoded: 'café'"),
        ({"/a\n": "x"}, "cannot be printed"),
        ({"/a/../b": "x"}, r"clients remove '\.\.'"),
        ({"/{a": "x"}, "^/{a: '{' is not understood; a parameter is written {name}"),
        ({"/a}": "x"}, "'}' is not understood"),
        ({"/{}": "x"}, "is not understood"),
        ({"/{a:}": "x"}, "is not understood"),
        ({"/{1a}": "x"}, "is not understood"),
        ({"/{a:itn}": "x"}, "'itn' is no type; did you mean 'int'.*{a} takes any text"),
        ({"/{a:x|x}": "x"}, "the alternatives 'x|x' repeat"),
        ({"/{a:x|}": "x"}, "repeat, or hold"),
        ({"/{a:x|..}": "x"}, "repeat, or hold"),
        ({"/{a:x|y?}": "x"}, "take query and fragment away"),
        ({"/{a:/[/}": "x"}, "is no regular expression"),
        ({"/{a:/(?i)x/}": "x"}, "is no regular expression"),
        ({"/{a:/x)(y/}": "x"}, "is no regular expression"),
        ({"/{a:/(x|y)z/}": "x"}, r"write \(\?:…\) instead of \(…\)"),
        ({"/{a}/{a:int}": "x"}, "'a' stands there twice"),
        ({"/{a}{b}": "x"}, "two parameters touch"),
        ({"/{a}.{b}.{c}": "x"}, "more than two parameters of open length"),
        ({"/{a:path}/b": "x"}, "nothing can follow a path"),
        ({"/{a:path}": {"": "x", "/b": "y"}}, "nothing can follow a path"),
        ({"/a-{a:path}": "x"}, "a path is a segment by itself"),
        ({"/a/{x}": "x", "/a/{y}": "y"}, "^/a/{y} matches the same paths as /a/{x}; remove one"),
        ({"/a": {"/b": "x"}, "/": {"a/b": "y"}}, "^/a/b matches the same paths as /a/b"),
        ({"/{x:a|b}": "x", "/{y:b|a}": "y"}, "matches the same paths"),
        ({"/{x}.{y:int}": "x", "/{a}.{b:int}": "y"}, "matches the same paths"),
        ({"/{x:path}": "x", "/{y:path}": "y"}, "matches the same paths"),
        ({"/{x:a|b}/c": "x", "/a/c": "a", "/b/c": "b"}, "taken by /a/c, /b/c; remove it"),
        ({"/{x:1|b}": "x", "/{n:int}": "n", "/b": "b"}, "taken by /{n:int}, /b; remove it"),
        ({"/{x:a|b|c}": "x", "/{y:a|b}": "y", "/c": "c"}, "/{x:a|b|c} is never reached"),
    ],
)
def test_routes_that_cannot_be_served_are_refused(routes, why):
    """When the service starts, not when the first client comes; the message says where."""
    with pytest.raises(RoutesError, match=why.replace("{", r"\{").replace("|", r"\|")):
        router(routes)


def test_alternatives_that_are_taken_in_part_stay():
    """A route is refused only if all of its alternatives lead elsewhere."""
    routes = router({"/{x:a|b}/c": "x", "/a/c": "a", "/b/d": "b"})

    assert ("x", {"x": "b"}) == match(routes, "/b/c")
    assert ("a", {}) == match(routes, "/a/c")


# Properties

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
NASTY = st.sampled_from(["/", "%", "%2F", "a/b", "...", ".a", " ", "é", "日本", "\n", "?#", "\\"])
VALUE = (TEXT | NASTY).filter(lambda text: text not in (".", ".."))
LITERAL = st.text(string.ascii_letters + string.digits + "-_~é ", min_size=1, max_size=5)
NUMBER = st.integers(-(10**18) + 1, 10**18 - 1)
KINDS: dict[str, Callable[[], st.SearchStrategy[object]]] = {
    "{%s}": lambda: VALUE,
    "{%s:int}": lambda: NUMBER,
    "{%s:uuid}": st.uuids,
    "{%s:de-DE|fr-FR|é}": lambda: st.sampled_from(["de-DE", "fr-FR", "é"]),
    "{%s:/[a-z]{2}[.%%]?/}": lambda: st.from_regex(r"\A[a-z]{2}[.%]?\Z"),
    "x-{%s}.html": lambda: VALUE.filter(lambda text: len(text) < 100),
    "{%s:int}.{%s_}": lambda: NUMBER,
}


@st.composite
def tables(draw):
    """Random nested routes: from a pattern to the strategies of its parameters."""
    routes, values = {}, {}

    def grow(place, prefix, bound, depth):
        for segment in draw(
            st.lists(st.sampled_from(list(KINDS)) | LITERAL, min_size=1, max_size=3, unique=True)
        ):
            name = f"p{len(bound)}"
            key = "/" + segment.replace("%s", name).replace("%%", "%")
            now = dict(bound)
            if "%s" in segment:
                now[name] = KINDS[segment]()
            if "%s_" in segment:
                now[name + "_"] = VALUE.filter(lambda text: len(text) < 100)
            if depth < 3 and draw(st.booleans()):
                place[key] = {"": prefix + key}
                grow(place[key], prefix + key, now, depth + 1)
            else:
                place[key] = prefix + key
            values[prefix + key] = now

    grow(routes, "", {}, 0)
    if draw(st.booleans()):
        routes["/files/{rest:path}"] = "/files/{rest:path}"
        parts = st.lists(VALUE.map(lambda text: text.replace("/", "")), min_size=1)
        rest = parts.map("/".join).filter(
            lambda text: text and text[0] != "/" and not {".", ".."} & set(text.split("/"))
        )
        values["/files/{rest:path}"] = {"rest": rest}
    return routes, values


@pytest.mark.no_cover
@settings(max_examples=300, deadline=None)
@given(data=st.data(), table=tables())
def test_what_is_written_is_read_back(data, table):
    """match(path_for(x)) == x for all routes and values, however nasty."""
    routes, values = table
    built = router(routes)
    for route in built.leaves():
        params = {name: data.draw(value) for name, value in values[route.pattern].items()}
        path = built.path_for(route.leaf, params)
        found = built.match(path)

        assert path.isascii()
        assert found is not None
        if found.route is not route:  # a more specific one has this very path
            found = only(route.pattern).match(path)
            assert found is not None
        assert params == found.params


@given(path=st.text("/.%20aF\0é", max_size=12) | st.text(max_size=8))
@settings(deadline=None)
def test_no_path_breaks_the_router(path):
    """Whatever is sent, the answer is a match, None or MalformedPath."""
    routes = router(SPECIFIC)
    try:
        found = routes.match("/" + path)
    except MalformedPath:
        return
    assume(found is not None)
    assert found.leaf in SPECIFIC.values()


@given(value=VALUE)
def test_encoding_is_that_of_the_standard_library(value):
    """What we leave as it is, every decoder leaves too."""
    path = only("/{x}").path_for("leaf", {"x": value})

    assert path == "/" + quote(value, safe="!$&'()*+,;=:@")
