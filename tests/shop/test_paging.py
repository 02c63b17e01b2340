"""Links to the other pages of a list."""

from ogrom.http import Context, Request
from shop.core.paging import links


def test_the_rest_of_a_query_is_kept_in_links():
    """However it is written: as it came where it is as we would write it, else written anew."""
    for query, kept in {
        "": "",
        "q=rote+Kleider&per_page=5": "q=rote+Kleider&per_page=5&",
        "page=1&q=x": "q=x&",
        "q=x&page=1": "q=x&",
        "q=x&p%61ge=1": "q=x&",
        "q=%C3%A4&q=": "q=%C3%A4&q=&",
        "q=<a>&": "q=%3Ca%3E&",
        "q&&a=b": "q=&a=b&",
    }.items():
        ctx = Context(Request(method="GET", path="/x", query=query))
        found = links(ctx, page=1, per_page=10, total=25)["Link"]
        assert f'</x?{kept}page=2>; rel="next"' in found, query
