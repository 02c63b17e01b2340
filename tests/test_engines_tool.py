"""tools/engines.py: the search engine that is asked for is the one that runs."""

import json
import urllib.request
from typing import Any

import engines
import pytest
from opensearch import Node

TOLD = {
    "2": ("2.19.", "opensearch"),
    "cluster": ("2.19.", "opensearch"),
    "3": ("3.", "opensearch"),
    "elasticsearch": ("8.", None),
}
"""How the version begins that `GET /` tells of each, and its distribution."""


@pytest.mark.slow
def test_the_one_that_is_asked_for_runs(node: Node) -> None:
    """So that no suite passes on another one; with all of its nodes."""
    url = node.start()
    with urllib.request.urlopen(url, timeout=60) as answer:
        version: dict[str, Any] = json.load(answer)["version"]
    with urllib.request.urlopen(f"{url}/_cluster/health", timeout=60) as answer:
        assert engines.nodes() == json.load(answer)["number_of_nodes"]
    number, distribution = TOLD[engines.asked()]
    assert version["number"].startswith(number)
    assert version.get("distribution") == distribution


def test_the_default_is_opensearch_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the variable is empty, as Make hands it on."""
    monkeypatch.delenv("SEARCH_ENGINE", raising=False)
    assert engines.asked() == "2"
    monkeypatch.setenv("SEARCH_ENGINE", "")
    assert engines.asked() == "2"


def test_an_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which there are."""
    monkeypatch.setenv("SEARCH_ENGINE", "solr")
    with pytest.raises(engines.CannotStart, match="solr: there are 2, cluster, 3, elasticsearch"):
        engines.fetch()
